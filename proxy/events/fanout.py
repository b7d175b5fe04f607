"""The fan-out: each event to everyone who asked for it, and nobody waits for anybody.

Works in slices, between which calls are served; what came meanwhile goes out in one write per
subscriber. Knows neither HTTP nor what an event says.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Final

from proxy.events.event import KEEP_ALIVE, Wanted
from proxy.events.ring import Place, Ring
from proxy.events.subscription import Bounds, Channel, Outlet, Subscription

# A call passes through the loop four times or so, and may meet a slice each time.
_LOG = logging.getLogger("toolproxy.events")
SLICE_S: Final = 0.000_25
# The first event after a silence goes at once; then so long is waited for more, to share a write.
ROUND_S: Final = 0.02
_AT_ONCE: Final = 8  # subscribers between two looks at the clock
_LOOK_EVERY_S: Final = 5.0
_STUCK_S: Final = 30.0


class Fanout:
    """Everyone who listens to one ring. `added` says that there is more in it."""

    def __init__(self, ring: Ring, bounds: Bounds) -> None:
        self.ring = ring
        self.bounds = bounds
        self.subscribers = 0
        self.stuck = 0  # who were sent away, since they took nothing
        self._dropped = 0  # events, of those who have left
        self._loop = asyncio.get_running_loop()
        self._channels: dict[tuple[Wanted, bool], Channel] = {}
        self._delivered = 0  # up to where all who keep up have it
        self._behind: set[Subscription] = set()
        self._work: Iterator[None] = iter(())
        self._scheduled = False
        self._round_s = 0.0  # spent on this round
        self._began_at = 0.0
        self._next_at = 0.0
        self._keepalive_at = 0.0
        self._look_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Fanout {self.subscribers} subscribers>"

    @property
    def dropped(self) -> int:
        """Events that subscribers were too slow for."""
        return self._dropped + sum([one.dropped for one in self._members()])

    # --- who listens ---

    def join(self, outlet: Outlet, wanted: Wanted, place: Place, *, chunked: bool) -> Subscription:
        """Listen from this place on."""
        key = (wanted, chunked)
        channel = self._channels.get(key)
        if channel is None:
            channel = self._channels[key] = Channel(wanted, chunked=chunked)
        one = Subscription(self.ring, self.bounds, channel, outlet, place, self)
        if not self.subscribers:
            self._start()
        self.subscribers += 1
        channel.members.add(one)
        if one.behind:
            self.hurry(one)
        return one

    def leave(self, one: Subscription) -> None:
        if one.closed:
            return
        one.closed = True
        self._dropped += one.dropped
        self._behind.discard(one)
        self.subscribers -= 1
        channel = one.channel
        channel.members.discard(one)
        if not channel.members:
            self._channels.pop((channel.wanted, channel.chunked), None)
        if not self.subscribers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def hurry(self, one: Subscription) -> None:
        """He is behind, and takes more."""
        self._behind.add(one)
        self._schedule()

    def added(self) -> None:
        """There is one more event in the ring."""
        if self.subscribers and not self._scheduled:
            self._schedule()

    def turn(self, ring: Ring) -> None:
        """The ring is another, of another size: positions stay."""
        self.ring = ring
        for one in self._members():
            one.ring = ring

    async def end_all(self, retry_ms: Callable[[], int]) -> None:
        """End every stream, and say after how many milliseconds to come back."""
        for number, one in enumerate(self._members()):
            if one.closed:
                continue
            one.put_aside(self.ring.end)
            while one.behind and not (one.full or one.closed):
                self._write(one, one.next_piece())
            self._write(one, one.channel.comment(b"retry: %d\n" % retry_ms()))
            self._part(one, one.outlet.end)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _write(self, one: Subscription, data: bytes) -> None:
        """Raises nothing: what is wrong with one must not cost the others."""
        try:
            if data:
                one.write(data)
        except Exception:  # noqa: BLE001 - as above
            _LOG.exception("A bug of ours in writing to a listener")
            self._part(one, one.outlet.abort)

    def _part(self, one: Subscription, how: Callable[[], None]) -> None:
        """Left first: nothing may be written behind the end."""
        self.leave(one)
        try:
            how()
        except Exception:  # noqa: BLE001 - as above
            _LOG.exception("A bug of ours in parting from a listener")

    def _members(self) -> list[Subscription]:
        return [one for channel in self._channels.values() for one in channel.members]

    # --- when ---

    def _start(self) -> None:
        now = self._loop.time()
        self._delivered = self.ring.end
        self._keepalive_at = now + self.bounds.keepalive_s
        self._look_at = now + _LOOK_EVERY_S
        self._tick()

    def _tick(self) -> None:
        """One timer for all that is due when nothing happens."""
        # The settings may have changed meanwhile.
        self._keepalive_at = min(self._keepalive_at, self._loop.time() + self.bounds.keepalive_s)
        if self._loop.time() >= min(self._keepalive_at, self._look_at):
            self._schedule()
        later_s = min(self.bounds.keepalive_s, _LOOK_EVERY_S) / 4
        self._timer = self._loop.call_later(later_s, self._tick)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_at(max(self._next_at, self._loop.time()), self._begin)

    def _begin(self) -> None:
        self._began_at = self._loop.time()
        self._round_s = 0.0
        self._work = self._round()
        self._go_on()

    def _go_on(self) -> None:
        """One slice of the round; those who wait meanwhile are served before the next."""
        began = perf_counter()
        for _ in self._work:
            if perf_counter() - began >= SLICE_S:
                self._round_s += perf_counter() - began
                self._loop.call_soon(self._go_on)
                return
        self._round_s += perf_counter() - began
        self._scheduled = False
        # At most half of the time is ours.
        self._next_at = self._began_at + max(ROUND_S, 2 * self._round_s)
        if self.subscribers and (self._delivered != self.ring.end or self._behind):
            self._schedule()

    # --- one round: all that is due; it yields where it may be interrupted ---

    def _round(self) -> Iterator[None]:
        start, end = self._delivered, self.ring.end
        self._delivered = end
        if start < end:
            for channel in list(self._channels.values()):
                yield from self._deliver(channel, start, end)
        for one in list(self._behind):
            while one.behind and not (one.full or one.closed):
                self._write(one, one.next_piece())
                yield
            self._behind.discard(one)
        now = self._loop.time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S
            yield from self._look(now)
        if now >= self._keepalive_at:
            self._keepalive_at = now + self.bounds.keepalive_s
            yield from self._keep_alive()

    def _deliver(self, channel: Channel, start: int, end: int) -> Iterator[None]:
        first = self.ring.first
        events = channel.picked(self.ring, start, end)
        together = channel.joined(events)
        for number, one in enumerate(list(channel.members)):
            if one.closed or one.seen >= end:  # who came meanwhile has it from the ring
                continue
            if one.cursor != start or start < first or one.full or one.queue or one.reason:
                one.put_aside(end)
                if one.behind and not one.full:
                    self._behind.add(one)
            else:
                one.seen = one.cursor = end
                self._write(one, together)
            if number % _AT_ONCE == 0:
                yield

    def _keep_alive(self) -> Iterator[None]:
        for channel in list(self._channels.values()):
            comment = channel.comment(KEEP_ALIVE)
            for number, one in enumerate(list(channel.members)):
                if not (one.closed or one.full or one.behind):
                    self._write(one, comment)
                if number % _AT_ONCE == 0:
                    yield

    def _look(self, now: float) -> Iterator[None]:
        """Who has taken nothing for too long is sent away, and whose token has expired."""
        for number, one in enumerate(self._members()):
            if one.closed:
                continue
            sight = one.channel.wanted.sight
            if sight is not None and sight.is_over():
                self._part(one, one.outlet.end)
                continue
            unsent = one.outlet.unsent_bytes
            if not unsent or one.written - unsent != one.taken:
                one.taken = one.written - unsent
                one.stuck_at = now
            elif now - one.stuck_at >= _STUCK_S:
                self.stuck += 1
                self._part(one, one.outlet.abort)
            if number % _AT_ONCE == 0:
                yield
