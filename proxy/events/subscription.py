"""One who listens: where in the ring he is, what waits for him there, what he has missed.

He who falls behind reads on from the ring, as far as a queue of his own would have reached, so that
he costs a position and no copies. Knows neither HTTP nor time.
"""

from typing import Final, Protocol

from proxy.events.event import Event, Wanted, encoded, framed
from proxy.events.ring import Place, Ring

PIECE_BYTES: Final = 64 * 1024  # at once to one who is behind
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
    """One who listens. `cursor` is the next event for him, `seen` how far was looked for more.

    `pending` events between the two are his and not sent yet; more than his room drops the oldest.
    """

    __slots__ = (
        "_fanout",
        "bounds",
        "channel",
        "closed",
        "cursor",
        "dropped",
        "full",
        "missed",
        "outlet",
        "pending",
        "pending_bytes",
        "reason",
        "ring",
        "room",
        "room_bytes",
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
        self.pending = 0
        self.pending_bytes = 0
        self.count()
        # What came before him may be more than a queue holds.
        self.room = self.pending
        self.room_bytes = self.pending_bytes
        self.missed = place.missed
        self.reason = place.reason  # why he has to be told of a gap; else nothing
        self.dropped = 0
        self.full = False
        self.closed = False
        self.written = 0
        self.taken = -1
        self.stuck_at = 0.0

    def __repr__(self) -> str:
        return f"<Subscription at {self.cursor}, {self.pending} pending>"

    @property
    def behind(self) -> bool:
        return self.pending > 0 or bool(self.reason)

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
        """What came up to there can't be written now: it waits in the ring."""
        unseen = self.ring.first - self.seen
        fresh = self.channel.picked(self.ring, self.seen, end)
        self.seen = end
        self.pending += len(fresh)
        self.pending_bytes += sum([len(each.frame) for each in fresh])
        if unseen > 0:  # the ring turned faster than we look
            self._drop(unseen)
        self._trim()

    def count(self) -> None:
        waiting = self.channel.picked(self.ring, self.cursor, self.seen)
        self.pending = len(waiting)
        self.pending_bytes = sum([len(each.frame) for each in waiting])

    def next_piece(self) -> bytes:
        """Some of what waits, with a word on what is gone before it."""
        self._trim()
        gap = self._gap() if self.reason else b""
        events: list[Event] = []
        size = 0
        while self.pending and size < PIECE_BYTES:
            event = self.ring.at(self.cursor)
            self.cursor += 1
            if self.channel.takes(event):
                events.append(event)
                size += len(event.frame)
                self.pending -= 1
        self.pending_bytes -= size
        if not self.pending:
            self.cursor = self.seen
            self.room = self.room_bytes = 0
        return gap + self.channel.joined(events)

    def _trim(self) -> None:
        ring, bounds = self.ring, self.bounds
        if self.cursor < ring.first:  # the ring has overtaken him
            before = self.pending
            self.cursor = ring.first
            self.count()
            self._drop(before - self.pending)
        room = max(bounds.queue, self.room)
        room_bytes = max(bounds.queue_bytes, self.room_bytes)
        while self.pending > room or (self.pending_bytes > room_bytes and self.pending):
            event = ring.at(self.cursor)
            self.cursor += 1
            if self.channel.takes(event):
                self.pending -= 1
                self.pending_bytes -= len(event.frame)
                self._drop(1)

    def _drop(self, number: int) -> None:
        if number:
            self.dropped += number
            self.missed += number
            self.reason = self.reason or "slow"

    def _gap(self) -> bytes:
        """A message for what he will never get; its id is that of the last of it."""
        name = self.ring.id_before(self.cursor)
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
