"""One who listens: where he is, what waits for him, what he has missed.

Events are never copied: the ring and all queues share them. Knows neither HTTP nor time.
"""

from collections import deque
from typing import Final, Protocol

from proxy.events.event import Event, Wanted, encoded, framed
from proxy.events.ring import Place, Ring

PIECE_BYTES: Final = 64 * 1024  # at once to one who is behind
_LOOKED_AT: Final = 500  # events at once, of which perhaps none is his
_ANY: Final = Wanted()


class Outlet(Protocol):
    """A subscriber's end of the line. It says `pause`, `resume` and `over` to its subscription."""

    @property
    def unsent_bytes(self) -> int: ...

    def write(self, data: bytes) -> None: ...

    def end(self) -> None:
        """That was all."""

    def abort(self) -> None:
        """He takes nothing: end the connection."""


class Crowd(Protocol):
    """All who listen (see `fanout`)."""

    def hurry(self, one: "Subscription") -> None:
        """He is behind, and takes more."""

    def leave(self, one: "Subscription") -> None: ...


class Bounds:
    """What subscribers may cost, by the settings; the fields may be changed at any time."""

    def __init__(self) -> None:
        self.subscribers = 10_000
        self.queue = 1_000  # events
        self.queue_bytes = 1024 * 1024
        self.keepalive_s = 15.0


class Channel:
    """All who asked for the same, in the same framing: put together once, it serves them all."""

    def __init__(self, wanted: Wanted, *, chunked: bool) -> None:
        self.wanted = wanted
        self.chunked = chunked
        self.members: set[Subscription] = set()
        self._wants_all = wanted == _ANY

    def takes(self, event: Event) -> bool:
        return self._wants_all or self.wanted.takes(event.facts)

    def picked(self, ring: Ring, start: int, end: int) -> list[Event]:
        events = ring.span(start, end)
        return (
            events
            if self._wants_all
            else [each for each in events if self.wanted.takes(each.facts)]
        )

    def joined(self, events: list[Event]) -> bytes:
        if self.chunked:
            return b"".join([each.frame for each in events])
        return b"".join([each.message for each in events])

    def comment(self, text: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(text), text) if self.chunked else text


class Subscription:
    """One who listens: first to what was before him, then to what comes.

    What was before him is read from the ring, from `cursor` up to `seen`; so is what comes
    meanwhile. Who is done with that has a queue, for what he does not take at once.
    """

    __slots__ = (
        "_fanout",
        "_gap_id",
        "bounds",
        "channel",
        "closed",
        "cursor",
        "dropped",
        "full",
        "missed",
        "outlet",
        "queue",
        "queue_bytes",
        "reason",
        "ring",
        "seen",
        "stuck_at",
        "taken",
        "written",
    )

    def __init__(
        self,
        ring: Ring,
        bounds: Bounds,
        channel: Channel,
        outlet: Outlet,
        place: Place,
        fanout: "Crowd",
    ) -> None:
        self.ring = ring
        self.bounds = bounds
        self.channel = channel
        self.outlet = outlet
        self._fanout = fanout
        self.cursor = place.position
        self.seen = ring.end
        self.queue: deque[Event] = deque()
        self.queue_bytes = 0
        self.missed = place.missed
        self.reason = place.reason  # why he has to be told of a gap; else nothing
        self._gap_id = ring.id_before(place.position) if place.reason else b""
        self.dropped = 0
        self.full = False
        self.closed = False
        self.written = 0
        self.taken = -1
        self.stuck_at = 0.0

    def __repr__(self) -> str:
        return f"<Subscription at {self.cursor} of {self.seen}, {len(self.queue)} queued>"

    @property
    def behind(self) -> bool:
        return self.cursor < self.seen or bool(self.queue) or bool(self.reason)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        self.outlet.write(data)

    # --- for the outlet ---

    def pause(self) -> None:
        self.full = True

    def resume(self) -> None:
        self.full = False
        if self.behind and not self.closed:
            self._fanout.hurry(self)

    def over(self) -> None:
        self._fanout.leave(self)

    # --- what waits ---

    def put_aside(self, end: int) -> None:
        """What came up to there can't be written now: it waits."""
        if self.cursor < self.seen:
            self.seen = end  # he will come to it in the ring
            return
        start = max(self.seen, self.ring.first)
        if start > self.seen:  # the ring turned faster than we look: nobody knows what was his
            self._drop(len(self.queue) + start - self.seen, self.ring.id_before(start), "expired")
            self.queue.clear()
            self.queue_bytes = 0
        fresh = self.channel.picked(self.ring, start, end)
        self.queue.extend(fresh)
        self.queue_bytes += sum([len(each.frame) for each in fresh])
        self.cursor = self.seen = end
        most, most_bytes = self.bounds.queue, self.bounds.queue_bytes
        while self.queue and (len(self.queue) > most or self.queue_bytes > most_bytes):
            oldest = self.queue.popleft()
            self.queue_bytes -= len(oldest.frame)
            self._drop(1, oldest.id, "slow")

    def next_piece(self) -> bytes:
        """Some of what waits, with a word on what is gone before it; or nothing, and then more."""
        events: list[Event] = []
        if self.cursor < self.seen:
            self._look_back(events)
        gap = self._gap() if self.reason else b""
        size = 0
        while self.queue and size < PIECE_BYTES:
            event = self.queue.popleft()
            events.append(event)
            size += len(event.frame)
        self.queue_bytes -= size
        return gap + self.channel.joined(events)

    def _look_back(self, events: list[Event]) -> None:
        """Find some of what was before him, and of what came meanwhile."""
        ring = self.ring
        if self.cursor < ring.first:  # it has overtaken him
            self._drop(ring.first - self.cursor, ring.id_before(ring.first), "expired")
            self.cursor = ring.first
        size, until = 0, min(self.seen, self.cursor + _LOOKED_AT)
        while self.cursor < until and size < PIECE_BYTES:
            event = ring.at(self.cursor)
            self.cursor += 1
            if self.channel.takes(event):
                events.append(event)
                size += len(event.frame)

    def _drop(self, number: int, last_id: bytes, reason: str) -> None:
        self.dropped += number
        self.missed += number
        self._gap_id = last_id
        self.reason = self.reason or reason

    def _gap(self) -> bytes:
        """A message for what he will never get; its id is that of the last of it."""
        name = self._gap_id
        data = encoded(
            {
                "event_id": name.decode(),
                "event_type": "gap",
                "schema_version": "1.0",
                "source": "toolproxy",
                "count": self.missed,
                "reason": self.reason,
            }
        )
        self.missed, self.reason = 0, ""
        frame = framed(b"gap", name, data)
        return frame if self.channel.chunked else frame[frame.index(b"\n") + 1 : -2]
