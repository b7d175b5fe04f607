"""Bus: one order of events for every sidecar, by a stream of Redis; local events while it is away.

Decides which event is shown when and under whose id: exactly once, by the stream if it can be.
Knows nothing of rings and subscribers: `deliver` does.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from random import uniform
from time import perf_counter
from typing import Final, TypeVar

from proxy.events.bus_link import Address, BusError, BusUnavailableError, Link
from proxy.events.bus_outbox import Outbox
from proxy.events.bus_stream import Entry, Stream

__all__ = ["Bus", "BusUnavailableError"]

T = TypeVar("T")
Deliver = Callable[[bytes, bytes | None], None]

CONNECTED: Final = "connected"
CONNECTING: Final = "connecting"
AWAY: Final = "away"

_LOG = logging.getLogger("toolproxy.events")
_CONNECT_WITHIN_S: Final = 1.0  # then local events wait no longer
_CLOSE_WITHIN_S: Final = 1.0
_GLANCE_S: Final = 0.005
_WAIT_MS: Final = 1000
# Between two batches, and between two pages that were not full: a batch and its page cost the loop
# some 300 µs, however few their events. Twice this is how late an event may be shown.
_GATHER_S: Final = 0.020
_PING_EVERY_S: Final = 30.0  # what is idle for minutes is forgotten by many a balancer
_TURN_S: Final = 0.000_5  # of the loop, for one slice of deliveries
_AGAIN_FIRST_S: Final = 0.1
_AGAIN_MOST_S: Final = 2.0


class Bus:
    """The stream at `url`, shared by all sidecars that name the same.

    `deliver(data, stream_id)` is called in the order of the stream, on the loop; `stream_id` is
    None for an own event that is shown while Redis is away. It must not raise. `problem` is empty
    or one sentence for people. Raises `BusUnavailableError`.
    """

    def __init__(
        self, url: str, deliver: Deliver, *, stream: str = "toolproxy:events", most: int = 10_000
    ) -> None:
        self.state = CONNECTING
        self.problem = ""
        self._address = Address(url)
        self._deliver = deliver
        self._stream = Stream(stream, most)
        self._outbox = Outbox()
        self._wanted = asyncio.Event()
        self._is_away = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Bus {self.state} {self._address} backlog={self.backlog} dropped={self.dropped}>"

    @property
    def dropped(self) -> int:
        """Own events that never reached Redis, since more waited than is kept."""
        return self._outbox.dropped

    @property
    def backlog(self) -> int:
        """Own events that wait for Redis."""
        return len(self._outbox)

    @property
    def bad(self) -> int:
        """Entries of the stream that were no events."""
        return self._stream.bad

    def publish(self, event_id: bytes, data: bytes) -> None:
        """Hand over an event; it comes back by `deliver`. On the path of calls."""
        self._outbox.put(event_id, data)
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        timer = asyncio.get_running_loop().call_later(
            _CONNECT_WITHIN_S, self._leave, f"not connected within {_CONNECT_WITHIN_S:g} s"
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._show_while_away())
                tasks.create_task(self._keep_connected(timer))
        finally:
            timer.cancel()
            self.state = AWAY

    async def close(self) -> None:
        """Before `run` is cancelled: let what waits be sent, for at most a second."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + _CLOSE_WITHIN_S
        while self._is_sending() and loop.time() < ends_at:  # noqa: ASYNC110 - every `publish` would have to clear an event
            await asyncio.sleep(_GLANCE_S)

    # --- connected or not ---

    async def _keep_connected(self, timer: asyncio.TimerHandle) -> None:
        again_s = _AGAIN_FIRST_S
        while True:
            try:
                async with self._address.link() as writing, self._address.link() as reading:
                    await self._resume(writing, reading)
                    timer.cancel()
                    self._arrive()
                    again_s = _AGAIN_FIRST_S
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(self._write(writing))
                        tasks.create_task(self._read(reading))
            except* BusError as errors:
                timer.cancel()
                self._outbox.take_back()
                self._leave(_first(errors))
            await asyncio.sleep(uniform(again_s / 2, again_s))  # noqa: S311 - spreads, guards nothing
            again_s = min(again_s * 2, _AGAIN_MOST_S)

    async def _resume(self, writing: Link, reading: Link) -> None:
        """Read what others wrote, and with it which of ours had arrived; then try one batch.

        Only a batch proves that Redis takes events again (it may be full, or a replica): until
        then local events go on.
        """
        await self._look(reading)
        more = True
        while more:
            entries, more = await self._stream.page(reading)
            await self._take_in(entries)
        if batch := self._outbox.take(fresh=False):
            await self._send(writing, batch)

    def _is_sending(self) -> bool:
        return self.state == CONNECTED and not self._outbox.is_settled

    def _arrive(self) -> None:
        self.state, self.problem = CONNECTED, ""
        self._is_away.clear()
        self._wanted.set()
        _LOG.info("events.bus: connected to %s", self._address)

    def _leave(self, problem: str) -> None:
        self.problem = problem
        if self.state == AWAY:
            return
        self.state = AWAY
        self._is_away.set()
        _LOG.warning("events.bus: %s is away, events stay local: %s", self._address, problem)

    async def _show_while_away(self) -> None:
        while True:
            await self._is_away.wait()
            await self._wanted.wait()
            await self._show()

    async def _show(self) -> None:
        async for data in _sliced(self._fresh()):
            self._deliver(data, None)
        if self.state == AWAY:
            self._wanted.clear()

    def _fresh(self) -> Iterator[bytes]:
        while self.state == AWAY and (data := self._outbox.show()) is not None:
            yield data

    # --- while connected ---

    async def _write(self, link: Link) -> None:
        while True:
            try:
                async with asyncio.timeout(_PING_EVERY_S):
                    await self._wanted.wait()
            except TimeoutError:
                await link.ask(b"PING")
            if batch := self._outbox.take():
                await self._send(link, batch)
            elif not self.backlog:
                self._wanted.clear()
                continue
            await asyncio.sleep(_GATHER_S)

    async def _send(self, link: Link, batch: list[bytes]) -> None:
        await link.order(self._stream.additions(batch), len(batch))
        self._outbox.acknowledge(len(batch))

    async def _read(self, link: Link) -> None:
        while True:
            mark = self._outbox.acknowledged
            entries, more = await self._stream.page(link, wait_ms=_WAIT_MS)
            await self._take_in(entries)
            if more:
                continue
            if entries or not await self._look(link):
                await self._show_vanished(mark)
            await asyncio.sleep(_GATHER_S)

    async def _look(self, link: Link) -> str:
        """Is it still the same stream?"""
        news = await self._stream.find_place(link)
        if news:
            _LOG.warning("events.bus: %s", news)
        return news

    async def _take_in(self, entries: list[Entry]) -> None:
        async for stream_id, event_id, data in _sliced(entries):
            # Before anything can end us: what was delivered is behind us.
            self._stream.place = stream_id
            if event_id and self._outbox.sight(event_id):
                self._deliver(data, stream_id)

    async def _show_vanished(self, mark: int) -> None:
        """Acknowledged, and deleted before we could read it: nobody else will show it here."""
        vanished = self._outbox.vanished(mark)
        if vanished:
            _LOG.warning("events.bus: %d events were gone before they were read", len(vanished))
        async for data in _sliced(vanished):
            self._deliver(data, None)


async def _sliced(items: Iterable[T]) -> AsyncIterator[T]:
    """Each of them, and now and then the loop's other work in between."""
    turn_ends_at = perf_counter() + _TURN_S
    for item in items:
        yield item
        if perf_counter() > turn_ends_at:
            await asyncio.sleep(0)
            turn_ends_at = perf_counter() + _TURN_S


def _first(errors: BaseExceptionGroup[BusError]) -> str:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
