"""Outbox of the bus: which of our own events has the stream not shown us yet?

An event is ours until we read it in the stream: only that proves that it is there, once. Knows
order, bounds, and who has been shown what. Knows nothing of Redis.
"""

from collections import deque
from typing import Final

MOST_EVENTS: Final = 10_000
MOST_BYTES: Final = 8 << 20
BATCH_EVENTS: Final = 500
BATCH_BYTES: Final = 1 << 20
REMEMBERED: Final = 20_000  # event ids: a whole stream, and a whole backlog behind it


class Own:
    """One event of this process: `shown` under the local epoch, `seen` in the stream."""

    __slots__ = ("data", "event_id", "seen", "shown")

    def __init__(self, event_id: bytes, data: bytes) -> None:
        self.event_id = event_id
        self.data = data
        self.shown = False
        self.seen = False

    def __repr__(self) -> str:
        return f"<Own {self.event_id!r} shown={self.shown} seen={self.seen}>"


class Recent:
    """The newest ids, in two halves of `remembered`: the older is forgotten whole."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._half = remembered
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()

    def __contains__(self, event_id: bytes) -> bool:
        return event_id in self._young or event_id in self._old

    def add(self, event_id: bytes) -> None:
        self._young.add(event_id)
        if len(self._young) >= self._half:
            self._old, self._young = self._young, set()


class Outbox:
    """Own events in their order: first those `_shown` and to be sent, then the fresh ones.

    `dropped` counts what was given up, oldest first, since more waited than is kept.
    """

    def __init__(self, most_events: int = MOST_EVENTS, most_bytes: int = MOST_BYTES) -> None:
        self.dropped = 0
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._bytes = 0
        self._fresh: deque[Own] = deque()
        self._shown: deque[Own] = deque()
        self._sent: deque[Own] = deque()
        self._unseen: dict[bytes, Own] = {}
        self._recent = Recent()
        self._acknowledged = 0  # of all that were ever in `_sent`
        self._settled = 0  # of those: gone from it, at its left end

    def __repr__(self) -> str:
        return f"<Outbox fresh={len(self._fresh)} shown={len(self._shown)} sent={len(self._sent)}>"

    def __len__(self) -> int:
        """What waits to be sent."""
        return len(self._fresh) + len(self._shown)

    @property
    def is_settled(self) -> bool:
        """Everything was acknowledged by Redis."""
        return not len(self) and self._acknowledged - self._settled >= len(self._sent)

    def put(self, event_id: bytes, data: bytes) -> None:
        own = self._unseen[event_id] = Own(event_id, data)
        self._fresh.append(own)
        self._bytes += len(data)
        # On the path of calls: `len(self)` would cost as much as all of this.
        if len(self._unseen) > self._most_events or self._bytes > self._most_bytes:
            self._drop()

    def show(self) -> bytes | None:
        """The next event to be shown here, since the stream cannot; it still waits."""
        own = self._next(self._fresh)
        if own is None:
            return None
        own.shown = True
        self._shown.append(own)
        self._bytes += len(own.data)
        return own.data

    def take(self, *, fresh: bool = True) -> list[bytes]:
        """The next batch to send."""
        batch: list[bytes] = []
        size_bytes = 0
        while (
            len(batch) < BATCH_EVENTS
            and size_bytes < BATCH_BYTES
            # The reader is behind: what is sent is to stay bounded too.
            and len(self._sent) < self._most_events
            and (own := self._next(self._shown) or (self._next(self._fresh) if fresh else None))
        ):
            self._sent.append(own)
            batch.append(own.data)
            size_bytes += len(own.data)
        return batch

    def acknowledge(self, count: int) -> None:
        self._acknowledged += count

    @property
    def acknowledged(self) -> int:
        """A mark for `vanished`."""
        return self._acknowledged

    def sight(self, event_id: bytes) -> bool:
        """This event is in the stream. Is it to be shown, for the first time?"""
        if event_id in self._recent:
            return False
        self._recent.add(event_id)
        own = self._unseen.pop(event_id, None)
        if own is None:
            return True
        own.seen = True
        while self._sent and self._sent[0].seen:
            self._settle()
        return not own.shown

    def vanished(self, mark: int) -> list[bytes]:
        """What was acknowledged before the mark and is not in the stream, as far as it is unshown.

        To be called when the stream was read to its end after the mark was taken.
        """
        gone = []
        while self._settled < mark and self._sent:
            own = self._settle()
            if not own.seen:
                self._forget(own)
                gone.append(own)
        return [own.data for own in gone if not own.shown]

    def take_back(self) -> None:
        """The connection is lost: all that was sent and not seen waits anew, in its order."""
        for own in reversed(self._sent):
            if not own.seen:
                (self._shown if own.shown else self._fresh).appendleft(own)
                self._bytes += len(own.data)
        self._sent.clear()
        self._acknowledged = self._settled = 0
        self._drop()

    def _next(self, waiting: deque[Own]) -> Own | None:
        """The oldest that waits; those that were seen meanwhile wait no more."""
        while waiting:
            own = waiting.popleft()
            self._bytes -= len(own.data)
            if not own.seen:
                return own
        return None

    def _settle(self) -> Own:
        self._settled += 1
        return self._sent.popleft()

    def _drop(self) -> None:
        while len(self) > self._most_events or self._bytes > self._most_bytes:
            own = self._next(self._shown) or self._next(self._fresh)
            if own is None:
                return
            self.dropped += 1
            self._forget(own)

    def _forget(self, own: Own) -> None:
        """It is ours no more; should it be in the stream all the same, it is not shown again."""
        self._unseen.pop(own.event_id, None)
        self._recent.add(own.event_id)
