"""Where events go from the hub on: journal, bus, and what others write, as the settings say.

Builds them, gives them what a reload changes, lets go of them at the end. What becomes of single
records is `recording`'s.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from proxy.config.settings import Settings
from proxy.events.bus import Bus, BusUnavailableError
from proxy.events.hub import Hub
from proxy.events.journal import Journal
from proxy.events.query import normal
from proxy.events.tail import Tail, rotated
from proxy.recording import Own, Recording
from proxy.telemetry import logs
from proxy.telemetry.tracing import TracingUnavailableError


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
    """All that happens in one sidecar, and who is told. `recording`: where records go."""

    def __init__(self, settings: Settings, instance: str, own: Own) -> None:
        """Raises `ReportingError`."""
        self.hub = Hub(settings.events.ring)
        self._own = own
        self._journal: Journal | None = None
        self._tails: dict[str, tuple[Tail, asyncio.Task[None]]] = {}
        self._bus: Bus | None = None
        try:
            self.recording = Recording(settings, instance, own, self.hub)
            if settings.events.bus:
                self._bus = Bus(settings.events.bus, self.hub.deliver, most=settings.events.ring)
                self.hub.join(self._bus)
        except (BusUnavailableError, TracingUnavailableError) as error:
            raise ReportingError(str(error)) from None
        self._last = settings
        self._bugs = _Bugs(self.hub)
        self._started = False

    # --- begin, change, end ---

    def start(self) -> None:
        """Begin what works by itself."""
        self._started = True
        self.recording.start()
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
        self._follow(settings.events.tail)
        self._last = settings
        self.recording.apply(settings)

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

    def _follow(self, paths: tuple[str, ...]) -> None:
        for path in [path for path in self._tails if path not in paths]:
            self._tails.pop(path)[1].cancel()
        for path in paths:
            if path not in self._tails:
                tail = Tail(path, self._merge)
                task = asyncio.get_running_loop().create_task(tail.run())
                self._tails[path] = (tail, task)

    def reopen(self) -> None:
        """Files may have been moved away: the next line goes to where the settings say."""
        if self._journal is not None:
            self._journal.reopen()
        self.recording.reopen()

    async def close(self) -> None:
        """Write and send what waits, in 2 s or so."""
        logging.getLogger("toolproxy").removeHandler(self._bugs)
        if self._started:
            self.hub.tell("gateway_stopped", {"message": "The sidecar has stopped"})
        for _, task in self._tails.values():
            task.cancel()
        async with asyncio.TaskGroup() as closing:
            closing.create_task(self.recording.close())
            if self._journal is not None:
                closing.create_task(self._journal.close())
            if self._bus is not None:
                closing.create_task(self._bus.close())

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
        if self._bus is not None:
            yield "events.bus", self._bus.problem
        yield from self.recording.state()
        if self._tails:
            said = (tail.problem for tail, _ in self._tails.values() if tail.problem)
            yield "events.tail", "; ".join(said)

    def dropped(self) -> Iterator[tuple[str, int]]:
        """What was lost of events, lines and spans, and on the way to where."""
        yield "subscriber", self.hub.fanout.dropped
        yield "log", logs.dropped()
        if self._journal is not None:
            yield "journal", self._journal.dropped
        if self._bus is not None:
            yield "bus", self._bus.dropped
        yield from self.recording.dropped()
        if self._tails:
            yield "tail", sum(tail.bad for tail, _ in self._tails.values())

    def _merge(self, document: dict[str, object]) -> None:
        event = normal(document)
        if event is not None:
            with contextlib.suppress(ValueError):
                self.hub.merge(event)
