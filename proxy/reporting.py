"""Who is told what happened: metrics and hub always, the others as the settings switch them on.

Builds the readers of records and events, gives them what a reload changes, lets go of them at the
end. Decides nothing about a call, and costs it nothing but being told.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from proxy.config.settings import Settings
from proxy.events.bus import Bus, BusUnavailableError
from proxy.events.folding import Folding
from proxy.events.hub import Hub
from proxy.events.journal import Journal
from proxy.events.query import normal
from proxy.events.tail import Tail, rotated
from proxy.telemetry import logs
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.lines import Lines
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.publisher import Publisher
from proxy.telemetry.record import ExchangeRecord
from proxy.telemetry.tracing import Tracing, TracingUnavailableError

_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_FOLD_EVERY_S: Final = 0.25

Own = Callable[[Coroutine[Any, Any, None]], None]  # keeps a task, ends it with the sidecar


class _Bugs(logging.Handler):
    """A bug of ours, which costs a traceback in the log, is an event too."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(logging.ERROR)
        self._hub = hub
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and not self._loop.is_closed():
            facts = {"status": "failure", "message": record.getMessage(), "error_code": "internal"}
            self._loop.call_soon_threadsafe(self._hub.tell, "error", facts)


class ReportingError(Exception):
    """Something that the settings ask for can't be had."""


class Reporting:
    """All readers of one sidecar. `calls`, `control`, `refusals`: where records are published."""

    def __init__(self, settings: Settings, instance: str, own: Own) -> None:
        """Raises `ReportingError`."""
        self.metrics = Metrics()
        self.hub = Hub(settings.events.ring)
        self.calls = Publisher()
        self.control = Publisher()
        self.refusals = Publisher()
        self._own = own
        self._folding = Folding(self.hub.tell)
        self._journal: Journal | None = None
        self._access_log: AccessLog | None = None
        self._tails: dict[str, tuple[Tail, asyncio.Task[None]]] = {}
        self._bus: Bus | None = None
        self._tracing: Tracing | None = None
        try:
            if settings.events.bus:
                self._bus = Bus(settings.events.bus, self.hub.deliver, most=settings.events.ring)
                self.hub.join(self._bus)
            if settings.tracing.otlp:
                self._tracing = Tracing(settings.tracing.otlp, settings.tracing.sample, instance)
        except (BusUnavailableError, TracingUnavailableError) as error:
            raise ReportingError(str(error)) from None
        self._last = settings
        self._bugs = _Bugs(self.hub)
        self._started = False

    # --- begin, change, end ---

    def start(self) -> None:
        """Begin what works by itself."""
        self._started = True
        self._own(self._fold())
        logging.getLogger("toolproxy").addHandler(self._bugs)
        if self._bus is not None:
            self._own(self._bus.run())

    def apply(self, settings: Settings) -> None:
        """Take up the settings that can change."""
        events, bounds = settings.events, self.hub.bounds
        bounds.subscribers = events.max_subscribers
        bounds.queue = events.queue
        bounds.queue_bytes = events.queue_bytes
        bounds.keepalive_s = events.keepalive_s
        self.hub.resize(events.ring)
        logs.change(settings.log_level, settings.log_format)
        self._apply_journal(settings)
        self._apply_access_log(settings)
        self._follow(settings.events.tail)
        self._last = settings
        self._tell_all()

    def _apply_journal(self, settings: Settings) -> None:
        now, before = settings.events, self._last.events
        wanted = (now.journal, now.journal_size_bytes, now.journal_keep)
        had = (before.journal, before.journal_size_bytes, before.journal_keep)
        if self._journal is not None and wanted != had:
            self._own(self._journal.close())
            self._journal = None
        if self._journal is None and now.journal:
            self._journal = Journal(*wanted)
        self.hub.journal = self._journal

    def _apply_access_log(self, settings: Settings) -> None:
        wanted = (settings.access_log, settings.access_format)
        if self._access_log is not None and wanted != (
            self._last.access_log,
            self._last.access_format,
        ):
            self._own(self._access_log.close())
            self._access_log = None
        if self._access_log is None and settings.access_log:
            self._access_log = AccessLog(*wanted)

    def _follow(self, paths: tuple[str, ...]) -> None:
        for path in [path for path in self._tails if path not in paths]:
            self._tails.pop(path)[1].cancel()
        for path in paths:
            if path not in self._tails:
                tail = Tail(path, self._merge)
                task = asyncio.get_running_loop().create_task(tail.run())
                self._tails[path] = (tail, task)

    def _tell_all(self) -> None:
        """Each record goes to whom it concerns; metrics first, for they are always there."""
        written = () if self._access_log is None else (self._access_log.record,)
        traced = () if self._tracing is None else (self._tracing.record,)
        observe = self.metrics.observe
        self.calls.subscribers = (observe, self.hub.record, *written, *traced)
        # A span for each probe is no use to anybody.
        self.control.subscribers = (observe, self._denied, *written)
        self.refusals.subscribers = (observe, self._denied, *written, *traced)

    def reopen(self) -> None:
        """Files may have been moved away: the next line goes to where the settings say."""
        for lines in self._files():
            lines.reopen()

    async def close(self) -> None:
        """Write and send what waits, in 2 s or so."""
        logging.getLogger("toolproxy").removeHandler(self._bugs)
        if self._started:
            self.hub.tell("gateway_stopped", {"message": "The sidecar has stopped"})
        for _, task in self._tails.values():
            task.cancel()
        async with asyncio.TaskGroup() as closing:
            for lines in self._files():
                closing.create_task(lines.close())
            if self._bus is not None:
                closing.create_task(self._bus.close())
            if self._tracing is not None:
                closing.create_task(self._tracing.close())

    # --- how they are ---

    @property
    def kept(self) -> list[list[Path]]:
        """Files with events of the past: the journal's and others', each oldest first."""
        files = [rotated(path) for path in list(self._tails)]  # asked in a thread
        return [self._journal.files(), *files] if self._journal is not None else files

    def problems(self) -> dict[str, str]:
        """What does not work now, in one sentence each; calls go on without it."""
        return {where: said for where, said in self.state() if said}

    def state(self) -> Iterator[tuple[str, str]]:
        """Everything that is switched on, and what is wrong with it, if anything is."""
        if self._journal is not None:
            yield "events.journal", self._journal.problem
        if self._access_log is not None:
            yield "access_log", self._access_log.problem
        if self._bus is not None:
            yield "events.bus", self._bus.problem
        if self._tracing is not None:
            yield "tracing.otlp", self._tracing.problem
        if self._tails:
            said = (tail.problem for tail, _ in self._tails.values() if tail.problem)
            yield "events.tail", "; ".join(said)

    def dropped(self) -> Iterator[tuple[str, int]]:
        """What was lost of events, lines and spans, and on the way to where."""
        yield "subscriber", self.hub.fanout.dropped
        yield "log", logs.dropped()
        if self._journal is not None:
            yield "journal", self._journal.dropped
        if self._access_log is not None:
            yield "access_log", self._access_log.dropped
        if self._bus is not None:
            yield "bus", self._bus.dropped
        if self._tracing is not None:
            yield "spans", self._tracing.dropped + self._tracing.failed
        if self._tails:
            yield "tail", sum(tail.bad for tail, _ in self._tails.values())

    def _files(self) -> Iterator[Lines]:
        if self._journal is not None:
            yield self._journal
        if self._access_log is not None:
            yield self._access_log

    # --- who may not come in ---

    def _denied(self, record: ExchangeRecord) -> None:
        if record.code and record.status in _DENIED:
            now = asyncio.get_running_loop().time()
            subject = record.subject or record.caller.address.decode()
            tool = f"{record.server}.{record.tool}" if record.tool else ""
            self._folding.denied(subject, tool, record.code, record.reason or record.code, now)

    async def _fold(self) -> None:
        while True:
            await asyncio.sleep(_FOLD_EVERY_S)
            self._folding.sweep(asyncio.get_running_loop().time())

    def _merge(self, document: dict[str, object]) -> None:
        event = normal(document)
        if event is not None:
            with contextlib.suppress(ValueError):
                self.hub.merge(event)
