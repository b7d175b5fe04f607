"""Facts about tracing: what waits, what is dropped, what is told of trouble, and how it ends."""

import asyncio
import logging
import sys
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from proxy.telemetry.tracing import Tracing, TracingUnavailableError
from tests.support.records import record
from tests.support.spans import call, sent_by
from tests.support.waiting import eventually

URL = "http://127.0.0.1:9"
QUEUE = 2048
PATIENCE_S = 20.0  # ten times the 2 s that the end waits


class Moody(SpanExporter):
    """Does what it is told to, once its gate is open."""

    def __init__(self) -> None:
        self.result: SpanExportResult | Exception = SpanExportResult.SUCCESS
        self.gate = threading.Event()
        self.gate.set()
        self.asked = 0
        self.threads: set[int] = set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        self.asked += 1
        self.threads.add(threading.get_ident())
        self.gate.wait(PATIENCE_S)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def shutdown(self) -> None:
        self.gate.set()


class Walker(SpanExporter):
    """Takes one span after the other, as the real one does."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(sum(1 for _ in spans))
        return SpanExportResult.SUCCESS


def tracing(exporter: SpanExporter, *, sample: float = 1.0) -> Tracing:
    return Tracing(URL, sample, "instance-1", exporter=exporter)


async def test_spans_of_a_record_reach_the_exporter() -> None:
    exporter, made = InMemorySpanExporter(), call()
    traced = tracing(exporter)

    traced.record(made)
    await traced.close()

    spans = exporter.get_finished_spans()
    contexts = [span.get_span_context() for span in spans]
    assert [f"{context.trace_id:032x}" for context in contexts if context] == 2 * [sent_by(made)[0]]
    assert (traced.exported, repr(traced)) == (2, "<Tracing 2 exported, 0 failed, 0 dropped>")


async def test_all_that_waits_gets_out_in_order() -> None:
    exporter, records = InMemorySpanExporter(), [call() for _ in range(100)]
    traced = tracing(exporter)

    for each in records:
        traced.record(each)
    await traced.close()

    contexts = [span.get_span_context() for span in exporter.get_finished_spans()[::2]]
    came = [f"{context.trace_id:032x}" for context in contexts if context]
    assert came == [sent_by(each)[0] for each in records]


async def test_spans_get_out_without_waiting_for_the_end() -> None:
    exporter = InMemorySpanExporter()
    traced = tracing(exporter)

    traced.record(call())

    assert await asyncio.to_thread(eventually, lambda: len(exporter.get_finished_spans()) == 2)
    await traced.close()


async def test_nothing_is_exported_on_the_callers_thread() -> None:
    exporter = Moody()
    traced = tracing(exporter)

    traced.record(call())
    await traced.close()

    assert len(exporter.threads) == 1
    assert threading.get_ident() not in exporter.threads


async def test_others_go_first_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("proxy.telemetry.tracing.sleep", pauses.append)
    exporter = Walker()
    traced = tracing(exporter)

    for _ in range(64):
        traced.record(call())
    await traced.close()

    # One for every eight records that are made into spans, and for every eight spans walked over.
    assert sum(exporter.batches) == 128
    assert max(exporter.batches) <= 64
    assert len(pauses) >= 64 / 8 + 128 / 8
    assert min(pauses) > 0


async def test_what_is_not_sampled_is_not_exported() -> None:
    exporter = Moody()
    traced = tracing(exporter, sample=0.0)

    traced.record(call())
    await traced.close()

    assert (exporter.asked, traced.exported, traced.failed) == (0, 0, 0)


async def test_newest_are_dropped_and_counted_when_too_many_wait() -> None:
    exporter = Moody()
    exporter.gate.clear()
    traced = tracing(exporter)
    traced.record(call())
    assert await asyncio.to_thread(eventually, lambda: exporter.asked)

    for _ in range(QUEUE + 3):
        traced.record(record())

    assert traced.dropped == 3
    exporter.gate.set()
    assert await asyncio.to_thread(eventually, lambda: traced.exported == QUEUE + 2)
    await traced.close()


async def test_record_that_makes_no_spans_costs_only_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exporter, broken = InMemorySpanExporter(), call()
    broken.trace.context_lines = b"nonsense"
    traced = tracing(exporter)

    traced.record(broken)
    traced.record(call())
    await traced.close()

    assert traced.exported == 2
    assert "A bug of ours in the spans of" in caplog.text


# --- trouble ---


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (SpanExportResult.FAILURE, "the exporter does not say why"),
        (OSError("no way"), "OSError('no way')"),
    ],
)
async def test_trouble_is_told_once_and_so_is_its_end(
    result: SpanExportResult | Exception, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "toolproxy.tracing")
    exporter = Moody()
    exporter.result = result
    traced = tracing(exporter)
    for failed in (2, 4):
        traced.record(call())
        assert await asyncio.to_thread(eventually, lambda goal=failed: traced.failed == goal)
    seen = traced.problem
    exporter.result = SpanExportResult.SUCCESS
    traced.record(call())

    await traced.close()

    assert (seen, traced.problem, traced.failed, traced.exported) == (problem, "", 4, 2)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("WARNING", f"tracing.otlp: spans do not get out: {problem}"),
        ("INFO", "tracing.otlp: spans get out again"),
    ]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("proxy.telemetry.spans", "proxy.telemetry.otlp"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.delattr("proxy.telemetry.spans", raising=False)
    monkeypatch.delattr("proxy.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)

    with pytest.raises(TracingUnavailableError, match=r"pip install 'toolproxy\[otel\]'$"):
        Tracing(URL, 1.0, "instance-1")


# --- the end ---


async def test_end_waits_two_seconds_for_an_exporter_and_never_blocks_the_loop() -> None:
    exporter = Moody()
    exporter.gate.clear()
    traced = tracing(exporter)
    traced.record(call())
    loop = asyncio.get_running_loop()
    began_at, turns = loop.time(), 0

    closing = loop.create_task(traced.close())
    while not closing.done():
        await asyncio.sleep(0.01)
        turns += 1

    assert 1.9 < loop.time() - began_at < PATIENCE_S
    assert turns > 20


async def test_end_is_quick_when_nothing_waits() -> None:
    traced = tracing(InMemorySpanExporter())
    loop = asyncio.get_running_loop()
    began_at = loop.time()

    await traced.close()

    assert loop.time() - began_at < 1.0


async def test_nothing_is_left_behind() -> None:
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    before = list(logger.handlers)
    traced = tracing(InMemorySpanExporter())

    await traced.close()

    assert logger.handlers == before
    assert "tracing" not in {thread.name for thread in threading.enumerate()}
