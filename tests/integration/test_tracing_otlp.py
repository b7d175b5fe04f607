"""Spans on their way to a collector: from calls of a real sidecar, and when the collector fails."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from proxy.telemetry.tracing import Tracing
from tests.support.messages import post
from tests.support.origin import Visit
from tests.support.otlp_receiver import Collector, attributes_of, collector
from tests.support.ports import refusing_port
from tests.support.scripts import echo, in_turn
from tests.support.sidecar import Sidecar, registry, run_command, server
from tests.support.spans import call, sent_by
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = f"traceparent: 00-{TRACE}-{PARENT}-01".encode()
CALLS = 50
QUICK_S = 8.0  # nothing waits for a collector: that would be 10 s


@pytest.fixture
def to() -> Iterator[Collector]:
    with collector() as listening:
        yield listening


def calls(sidecar: Sidecar, number: int = CALLS) -> tuple[list[int], float]:
    """The statuses of as many calls, and how long they took."""
    began_at = time.monotonic()
    with sidecar.caller() as caller:
        statuses = []
        for _ in range(number):
            caller.send(post("/tools/o.call"))
            statuses.append(caller.answer().status)
    return statuses, time.monotonic() - began_at


def traced(url: str, **more: object) -> dict[str, object]:
    return {"tracing": {"otlp": url, **more}}


def of_kind(spans: list[Span], kind: "Span.SpanKind.ValueType") -> list[Span]:
    return [span for span in spans if span.kind == kind]


async def _closes(visit: Visit) -> None:
    await visit.read()
    visit.close()


def both(to: Collector) -> bool:
    return len(to.of_trace(TRACE)) == 2


# --- a stream of records ---


async def test_stream_of_records_arrives_whole(to: Collector) -> None:
    tracing = Tracing(to.url, 1.0, "instance-1")
    records = [call() for _ in range(500)]

    for each in records:
        tracing.record(each)
    await tracing.close()

    came = {(span.trace_id.hex(), span.span_id.hex()) for span in to.spans if span.parent_span_id}
    assert came == {sent_by(each) for each in records}
    assert (len(to.spans), tracing.exported, to.paths) == (1000, 1000, {"/v1/traces"})
    assert attributes_of(to.resource)["service.name"] == "toolproxy"
    assert attributes_of(to.resource)["service.instance.id"] == "instance-1"


async def test_path_of_the_url_is_kept(to: Collector) -> None:
    tracing = Tracing(f"{to.url}/otlp/mine", 1.0, "instance-1")

    tracing.record(call())
    await tracing.close()

    assert to.paths == {"/otlp/mine"}


async def test_collector_that_refuses_is_named_and_its_recovery_told(
    to: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    to.status = 400
    tracing = Tracing(to.url, 1.0, "instance-1")
    for failed in (2, 4):
        tracing.record(call())
        assert await asyncio.to_thread(eventually, lambda goal=failed: tracing.failed == goal)
    seen = tracing.problem
    to.status = 200
    tracing.record(call())

    await tracing.close()

    assert "Bad Request" in seen
    assert (tracing.problem, tracing.exported, tracing.failed) == ("", 2, 4)
    told = [each.levelname for each in caplog.records if each.name == "toolproxy.tracing"]
    assert told == ["WARNING", "INFO"]


async def test_collector_that_is_busy_is_asked_again(to: Collector) -> None:
    to.status = 503
    tracing = Tracing(to.url, 1.0, "instance-1")
    tracing.record(call())
    assert await asyncio.to_thread(eventually, lambda: tracing.problem)

    to.status = 200

    assert await asyncio.to_thread(eventually, lambda: tracing.exported == 2)
    assert (to.posts > 1, tracing.failed, tracing.problem) == (True, 0, "")
    await tracing.close()


# --- a sidecar ---


def test_trace_of_a_caller_is_in_the_upstreams_headers_and_in_the_spans(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), settings=traced(to.url))

    answer = sidecar.ask(post("/tools/o.call?key=secret", TRACEPARENT, b"X-Chora-Trace-Id: flow-1"))

    assert answer.status == 200
    assert eventually(lambda: both(to))
    (outer,) = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_SERVER)
    (inner,) = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_CLIENT)
    sent = origin.calls[0].value("traceparent")
    assert sent == f"00-{TRACE}-{inner.span_id.hex()}-01"
    assert outer.parent_span_id.hex() == PARENT
    assert inner.parent_span_id == outer.span_id
    assert attributes_of(outer)["toolproxy.trace_id"] == "flow-1"
    assert attributes_of(inner)["server.port"] == origin.port
    assert "secret" not in str(to.spans)


@pytest.mark.parametrize("sample", [0.0, 0.5])
def test_flag_that_the_upstream_gets_says_whether_there_are_spans(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector, sample: float
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), settings=traced(to.url, sample=sample))

    calls(sidecar)
    sidecar.ask(post("/tools/o.call", TRACEPARENT))

    assert eventually(lambda: both(to))
    sent = [(visit.value("traceparent") or "").split("-") for visit in origin.calls]
    assert {trace_id for _, trace_id, _, flags in sent if flags == "01"} == {
        span.trace_id.hex() for span in to.spans
    }


def test_span_of_a_tool_with_a_path_of_its_own_says_what_was_asked(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    origin = start_origin()
    tools = [{"name": "call", "method": "GET", "path": "/own"}]
    sidecar = start_sidecar(server("o", origin.url, tools=tools), settings=traced(to.url))

    sidecar.ask(post("/tools/o.call?key=secret", TRACEPARENT))

    assert eventually(lambda: both(to))
    (inner,) = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_CLIENT)
    assert (inner.name, attributes_of(inner)["url.full"]) == ("GET", f"{origin.url}/own")


def test_span_lies_within_the_time_of_the_call(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=traced(to.url))

    began_ns = time.time_ns()
    sidecar.ask(post("/tools/o.call", TRACEPARENT))
    ended_ns = time.time_ns()

    assert eventually(lambda: both(to))
    (outer,) = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_SERVER)
    (inner,) = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_CLIENT)
    moments = [
        *(began_ns - 10**6, outer.start_time_unix_nano, inner.start_time_unix_nano),
        *(inner.end_time_unix_nano, outer.end_time_unix_nano, ended_ns + 10**6),
    ]
    assert moments == sorted(moments)


def test_attempt_that_failed_has_a_span_beside_the_one_that_did_not(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    origin = start_origin(in_turn(echo, _closes, echo))
    tools = [{"name": "call", "idempotent": True}]
    sidecar = start_sidecar(server("o", origin.url, tools=tools), settings=traced(to.url))
    sidecar.ask(post("/tools/o.call"))  # which leaves a connection that the next one will find dead

    answer = sidecar.ask(post("/tools/o.call", TRACEPARENT))

    assert answer.status == 200
    assert eventually(lambda: len(to.of_trace(TRACE)) == 3)
    attempts = of_kind(to.of_trace(TRACE), Span.SPAN_KIND_CLIENT)
    told = [attributes_of(span) for span in attempts]
    assert [each.get("error.type") for each in told] == ["upstream_closed", None]
    assert [each.get("http.request.resend_count") for each in told] == [None, 1]
    sent = {visit.value("traceparent") for visit in origin.calls[1:]}
    assert sent == {f"00-{TRACE}-{attempts[1].span_id.hex()}-01"}


def test_trace_that_the_caller_does_not_sample_is_not_exported(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=traced(to.url, sample=0.0))
    unsampled = f"traceparent: 00-{'1' * 32}-{PARENT}-00".encode()

    sidecar.ask(post("/tools/o.call", unsampled))
    sidecar.ask(post("/tools/o.call"))
    sidecar.ask(post("/tools/o.call", TRACEPARENT))

    assert eventually(lambda: both(to))
    assert {span.trace_id.hex() for span in to.spans} == {TRACE}


def test_spans_that_wait_get_out_when_the_sidecar_stops(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=traced(to.url))

    sidecar.ask(post("/tools/o.call", TRACEPARENT))
    sidecar.close()

    assert both(to)


# --- a collector that fails ---


def _lines(sidecar: Sidecar) -> list[str]:
    return [line for line in sidecar.stderr.splitlines() if "spans" in line]


def test_calls_do_not_notice_that_nobody_collects(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}"
        sidecar = start_sidecar(server("o", start_origin().url), settings=traced(url))

        statuses, took_s = calls(sidecar)
        assert eventually(lambda: _lines(sidecar))
        began_at = time.monotonic()
        sidecar.close()

        assert (statuses, took_s < QUICK_S) == ([200] * CALLS, True)
        assert time.monotonic() - began_at < QUICK_S
        (line,) = _lines(sidecar)
        assert "tracing.otlp: spans do not get out" in line


def test_calls_do_not_notice_a_collector_that_does_not_answer(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    to.open.clear()
    sidecar = start_sidecar(server("o", start_origin().url), settings=traced(to.url))

    statuses, took_s = calls(sidecar)
    assert eventually(lambda: to.posts)
    again, took_again_s = calls(sidecar)
    began_at = time.monotonic()
    sidecar.close()

    assert (statuses, again) == ([200] * CALLS, [200] * CALLS)
    assert took_s + took_again_s < QUICK_S
    assert time.monotonic() - began_at < QUICK_S


def test_calls_do_not_notice_a_collector_that_fails(
    start_origin: StartOrigin, start_sidecar: StartSidecar, to: Collector
) -> None:
    to.status = 500
    sidecar = start_sidecar(server("o", start_origin().url), settings=traced(to.url))

    statuses, took_s = calls(sidecar)
    assert eventually(lambda: _lines(sidecar))
    to.status = 200
    sidecar.ask(post("/tools/o.call", TRACEPARENT))

    assert (statuses, took_s < QUICK_S) == ([200] * CALLS, True)
    assert eventually(lambda: both(to))
    assert eventually(lambda: len(_lines(sidecar)) == 2)
    first, second = _lines(sidecar)
    assert "tracing.otlp: spans do not get out" in first
    assert "Internal Server Error" in first
    assert "tracing.otlp: spans get out again" in second


def test_sidecar_without_the_extra_says_what_to_install(tmp_path: Path) -> None:
    missing = tmp_path / "opentelemetry"
    missing.mkdir()
    (missing / "__init__.py").write_text("raise ModuleNotFoundError(__name__)")
    settings = tmp_path / "proxy.yaml"
    settings.write_text(f"listen: 127.0.0.1:0\nregistry: {{path: {tmp_path}/registry.yaml}}\n")
    (tmp_path / "registry.yaml").write_text(registry(server("o", "http://127.0.0.1:9")))

    ended = run_command(
        *("run", "-c", str(settings), "--set", "tracing.otlp=http://127.0.0.1:9"),
        extra={"PYTHONPATH": str(tmp_path)},
    )

    assert (ended.returncode, ended.stderr) == (
        2,
        "toolproxy: tracing.otlp needs the extra: pip install 'toolproxy[otel]'\n",
    )
