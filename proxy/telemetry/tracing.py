"""Tracing: records in, spans out, and nothing of it on the event loop but an append.

A thread of its own makes the spans and exports them in batches. Knows neither conventions nor ids
(`spans`), nor anything of OpenTelemetry until it is switched on.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Iterator
from time import sleep
from typing import TYPE_CHECKING, Final

from proxy.telemetry.record import ExchangeRecord

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

_LOG = logging.getLogger("toolproxy.tracing")
_MOST_WAITING: Final = 2048
_BATCH: Final = 32  # records; protobuf puts the spans of 256 together in 5 ms, and all in C
_PAUSE_S: Final = 0.1
_FLUSH_S: Final = 2.0
# The loop gets the GIL from a thread that computes after 5 ms, and at once from one that sleeps.
_AT_ONCE: Final = 8  # records made into spans, or spans written down: a third of a millisecond
_BREATH_S: Final = 0.0002


class TracingUnavailableError(Exception):
    """The settings ask for spans, and what is needed for them is not installed."""


class Tracing:
    """A subscriber of records. `exporter` is where spans go instead of to `url`.

    `exported` and `failed` count spans; `dropped` counts records that found the queue full.
    `problem` is why spans do not get out, while they don't. Raises `TracingUnavailableError`.
    """

    def __init__(
        self, url: str, sample: float, instance: str, *, exporter: "SpanExporter | None" = None
    ) -> None:
        try:
            from proxy.telemetry import otlp, spans  # noqa: PLC0415 - an extra, and 0.2 s
        except ModuleNotFoundError as error:
            raise TracingUnavailableError(
                "tracing.otlp needs the extra: pip install 'toolproxy[otel]'"
            ) from error
        self.problem = ""
        self.dropped = 0
        self.exported = 0
        self.failed = 0
        self._waiting: deque[ExchangeRecord] = deque()
        self._hearing = otlp.Hearing(self._fail)
        self._spans = spans.Spans(sample, instance)
        self._exporter = exporter or otlp.exporter_to(url)
        self._closing = threading.Event()
        self._worker = threading.Thread(target=self._work, name="tracing", daemon=True)
        self._worker.start()

    def __repr__(self) -> str:
        return (
            f"<Tracing {self.exported} exported, {self.failed} failed, {self.dropped} dropped"
            f"{', ' * bool(self.problem)}{self.problem}>"
        )

    def record(self, record: ExchangeRecord) -> None:
        """A call is over."""
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(record)

    async def close(self) -> None:
        """Let out what is waiting, as far as that goes in two seconds."""
        self._closing.set()
        await asyncio.to_thread(self._worker.join, _FLUSH_S)
        self._exporter.shutdown()  # ends its waiting, too
        self._hearing.close()

    # --- in the thread ---

    def _work(self) -> None:
        while not self._closing.wait(_PAUSE_S):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._waiting:
            batch = _Unhurried(self._made(min(len(self._waiting), _BATCH)))
            if batch:
                self._export(batch)

    def _made(self, records: int) -> "Iterator[ReadableSpan]":
        for number in range(records):
            record = self._waiting.popleft()
            if number % _AT_ONCE == 0:
                sleep(_BREATH_S)
            try:
                yield from self._spans.of(record)
            except Exception:  # noqa: BLE001 - as in `Publisher`: of the others there are spans
                _LOG.exception("A bug of ours in the spans of %s", record)

    def _export(self, batch: "_Unhurried") -> None:
        try:
            well = self._exporter.export(batch).name == "SUCCESS"
        except Exception as error:  # noqa: BLE001 - it is not ours
            self._fail(repr(error))
            well = False
        if not well:
            self.failed += len(batch)
            self._fail("the exporter does not say why")
            return
        self.exported += len(batch)
        if self.problem:
            self.problem = ""
            _LOG.info("tracing.otlp: spans get out again")

    def _fail(self, reason: str) -> None:
        """Say so once, and the first reason: those that follow are its consequences."""
        if not self.problem:
            self.problem = reason
            _LOG.warning("tracing.otlp: spans do not get out: %s", reason)


class _Unhurried(list["ReadableSpan"]):
    """Spans that let others go first while somebody walks through them.

    The exporter writes down a batch in one go, 35 µs a span; in pieces, the loop is not kept
    waiting.
    """

    def __iter__(self) -> "Iterator[ReadableSpan]":
        for number, span in enumerate(super().__iter__()):
            if number % _AT_ONCE == 0:
                sleep(_BREATH_S)
            yield span
