"""What becomes of the record of an exchange: numbers, a line, a span, an event, a refusal told.

Metrics and the story always, the others as the settings switch them on. Knows nothing of who hears
the story, nor of what is asked beside calls.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

from proxy.config.settings import Settings
from proxy.events.folding import Folding
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.publisher import Publisher
from proxy.telemetry.record import ExchangeRecord
from proxy.telemetry.tracing import Tracing

_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_FOLD_EVERY_S: Final = 0.25

Own = Callable[[Coroutine[Any, Any, None]], None]  # keeps a task, ends it with the sidecar


class Story(Protocol):
    """Where events go: the hub, or the way to it."""

    def record(self, record: ExchangeRecord, /) -> None:
        """A call is over."""

    def tell(self, kind: str, facts: Mapping[str, object], /) -> None:
        """Anything else has happened."""


class Recording:
    """Readers of the records of one process. `calls`, `control`, `refusals`: where they go."""

    def __init__(self, settings: Settings, instance: str, own: Own, story: Story) -> None:
        """Raises `TracingUnavailableError`."""
        self.metrics = Metrics()
        self.calls = Publisher()
        self.control = Publisher()
        self.refusals = Publisher()
        self._own = own
        self._story = story
        self._folding = Folding(story.tell)
        self._access_log: AccessLog | None = None
        self._tracing: Tracing | None = None
        if settings.tracing.otlp:
            self._tracing = Tracing(settings.tracing.otlp, settings.tracing.sample, instance)
        self._written: tuple[str, str] = ("", "")

    def start(self) -> None:
        """Begin what works by itself."""
        self._own(self._fold())

    def apply(self, settings: Settings) -> None:
        """Take up the settings that can change."""
        wanted = (settings.access_log, settings.access_format)
        if self._access_log is not None and wanted != self._written:
            self._own(self._access_log.close())
            self._access_log = None
        if self._access_log is None and settings.access_log:
            self._access_log = AccessLog(*wanted)
        self._written = wanted
        self._tell_all()

    def _tell_all(self) -> None:
        """Each record goes to whom it concerns; metrics first, for they are always there."""
        written = () if self._access_log is None else (self._access_log.record,)
        traced = () if self._tracing is None else (self._tracing.record,)
        observe = self.metrics.observe
        self.calls.subscribers = (observe, self._story.record, *written, *traced)
        # A span for each probe is no use to anybody.
        self.control.subscribers = (observe, self._denied, *written)
        self.refusals.subscribers = (observe, self._denied, *written, *traced)

    def reopen(self) -> None:
        """The file may have been moved away: the next line goes to where the settings say."""
        if self._access_log is not None:
            self._access_log.reopen()

    async def close(self) -> None:
        """Write and send what waits, in 2 s or so."""
        async with asyncio.TaskGroup() as closing:
            if self._access_log is not None:
                closing.create_task(self._access_log.close())
            if self._tracing is not None:
                closing.create_task(self._tracing.close())

    # --- how they are ---

    def state(self) -> Iterator[tuple[str, str]]:
        """Everything that is switched on, and what is wrong with it, if anything is."""
        if self._access_log is not None:
            yield "access_log", self._access_log.problem
        if self._tracing is not None:
            yield "tracing.otlp", self._tracing.problem

    def dropped(self) -> Iterator[tuple[str, int]]:
        """What was lost of lines and spans, and on the way to where."""
        if self._access_log is not None:
            yield "access_log", self._access_log.dropped
        if self._tracing is not None:
            yield "spans", self._tracing.dropped + self._tracing.failed

    # --- who may not come in ---

    def _denied(self, record: ExchangeRecord) -> None:
        if record.code and record.status in _DENIED:
            now = asyncio.get_running_loop().time()
            subject = record.subject or record.caller.address.decode()
            tool = f"{record.server}.{record.tool}" if record.tool else ""
            self._folding.denied(subject, tool, record.code, record.reason or record.code, now)

    def denied_elsewhere(self, facts: Mapping[str, Any]) -> None:
        """By another process, which tells of several at a time: folded with those of all."""
        subject, code, reason = (facts[it] for it in ("subject", "error_code", "reason"))
        now = asyncio.get_running_loop().time()
        tool, times = facts["tool_name"] or "", facts["count"]
        self._folding.denied(subject, tool, code, reason, now, times=times)

    async def _fold(self) -> None:
        while True:
            await asyncio.sleep(_FOLD_EVERY_S)
            self._folding.sweep(asyncio.get_running_loop().time())
