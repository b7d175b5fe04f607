"""Exchanges that never were, as their spans show them."""

from random import getrandbits
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, StatusCode

from proxy.telemetry.record import Attempt, ExchangeRecord
from proxy.telemetry.spans import Spans
from proxy.wire.trace import trace_of
from tests.support.messages import post
from tests.support.records import record

FIRST: Final = "http://10.0.0.1:8001"
SECOND: Final = "http://[fd00::2]:8002/base"
ERROR: Final = StatusCode.ERROR
UNSET: Final = StatusCode.UNSET


def call(
    *fields: bytes, status: int = 200, code: str = "", request: bytes | None = None
) -> ExchangeRecord:
    """One that reached an upstream, which answered unless there is a code."""
    made = record(status, code, request=request or post("/tools/o.call", *fields))
    made.trace = trace_of(made.head.noted, getrandbits)
    made.asked = b"POST", b"/tools/call"
    made.attempts, made.endpoint = 1, FIRST
    made.sent_at = made.started_at + 0.001
    made.answered_at = 0.0 if code else made.started_at + 0.01
    return made


def refused(status: int, code: str) -> ExchangeRecord:
    """One that reached no upstream."""
    made = call(status=status, code=code)
    made.attempts, made.endpoint, made.sent_at = 0, "", 0.0
    return made


def left(*, answered: bool) -> ExchangeRecord:
    """One whose caller went away."""
    made = call(status=200 if answered else 0)
    made.flag, made.answered_at = "DC", made.answered_at * answered
    return made


def retried(*failures: Attempt, attempts: int | None = None) -> ExchangeRecord:
    made = call()
    made.failed = failures
    made.attempts = len(failures) + 1 if attempts is None else attempts
    made.endpoint, made.sent_at = SECOND, 5.011
    return made


def spans_of(made: ExchangeRecord, *, sample: float = 1.0) -> list[ReadableSpan]:
    return Spans(sample, "instance-1").of(made)


def attributes_of(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


def context_of(span: ReadableSpan) -> SpanContext:
    context = span.get_span_context()
    assert context is not None
    return context


def id_of(context: SpanContext | None) -> str:
    return f"{context.span_id:016x}" if context else ""


def sent_by(made: ExchangeRecord) -> tuple[str, str]:
    """Trace and parent id, as the upstream got them."""
    _, trace_id, parent_id, _ = made.trace.context_lines.split(b"\r\n")[0].split(b"-")
    return trace_id.decode(), parent_id.decode()


def told(span: ReadableSpan) -> tuple[StatusCode, object]:
    return span.status.status_code, attributes_of(span).get("error.type")
