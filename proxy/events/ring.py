"""The ring: the newest events, and from which of them on somebody who comes back has to go.

A position counts all events since the start, so that it stays true while old ones fall out. Knows
ids and positions. Knows nothing of who reads.
"""

import re
from typing import Final, NamedTuple

from proxy.events.event import Event

_STREAM_ID: Final = re.compile(rb"([0-9]{1,20})-([0-9]{1,20})")


class Place(NamedTuple):
    """Where to go on. `missed` events, or more, are gone; `reason` says why, where some are."""

    position: int
    missed: int = 0
    reason: str = ""


class Ring:
    """Events from position `first` up to, and without, position `end`."""

    def __init__(self, capacity: int, epoch: bytes) -> None:
        self.capacity = capacity
        self.epoch = epoch
        self.first = 0
        self.end = 0
        self.sequence = 0  # of the newest id of this epoch
        self.in_step = True  # is each event's sequence its position and one?
        self._events: list[Event | None] = [None] * capacity
        self._evicted = b"%b-0" % epoch  # the id of the newest that fell out

    def __repr__(self) -> str:
        return f"<Ring {self.first}..{self.end}>"

    def next_id(self) -> bytes:
        """The id of one more event of this epoch."""
        # Counted by the ring while it can be: what was named and never came must leave no hole.
        self.sequence = self.end + 1 if self.in_step else self.sequence + 1
        return b"%b-%d" % (self.epoch, self.sequence)

    def add(self, event: Event) -> None:
        index = self.end % self.capacity
        if self.end - self.first == self.capacity:
            oldest = self._events[index]
            if oldest is not None:
                self._evicted = oldest.id
            self.first += 1
        self._events[index] = event
        self.end += 1

    def at(self, position: int) -> Event:
        event = self._events[position % self.capacity]
        if event is None or not self.first <= position < self.end:
            raise IndexError(position)
        return event

    def span(self, start: int, end: int) -> list[Event]:
        """Events of these positions, as far as they are still there."""
        return [self.at(position) for position in range(max(start, self.first), end)]

    def resized(self, capacity: int) -> "Ring":
        """The same, with room for more or fewer."""
        new = Ring(capacity, self.epoch)
        new.sequence, new.in_step = self.sequence, self.in_step
        new.first = new.end = max(self.first, self.end - capacity)
        new._evicted = self.id_before(new.first)
        for event in self.span(new.first, self.end):
            new.add(event)
        return new

    # --- who comes back ---

    def id_before(self, position: int) -> bytes:
        """The id of the event before this one: who resumes there gets this one next."""
        return self.at(position - 1).id if position > self.first else self._evicted

    def here(self) -> Place:
        """For somebody who is new."""
        return Place(self.end)

    def after(self, last_id: bytes) -> Place:
        """Where somebody goes on who has seen this one last."""
        epoch, _, number = last_id.rpartition(b"-")
        moment = _moment(last_id)
        if self.in_step:
            if epoch == self.epoch and number.isdigit():
                return self._after_sequence(int(number[:_LONGEST_NUMBER]))
        elif epoch == self.epoch or moment is not None:
            for position in range(self.end - 1, self.first - 1, -1):
                if self.at(position).id == last_id:
                    return Place(position + 1)
            if last_id == self._evicted:
                return Place(self.first)
            if moment is not None:
                return self._after_moment(moment)
        return Place(self.first, self.first, "epoch")

    def lags(self, last_id: bytes) -> bool:
        """Has somebody seen more, at another sidecar, than has come here yet?"""
        seen = _moment(last_id)
        if self.in_step or seen is None:
            return False
        for position in range(self.end - 1, self.first - 1, -1):
            newest = _moment(self.at(position).id)
            if newest is not None:
                return newest < seen
        return False

    def _after_sequence(self, seen: int) -> Place:
        if seen > self.end:  # nobody was given that one
            return Place(self.first, self.first, "epoch")
        missed = max(self.first - seen, 0)
        return Place(max(seen, self.first), missed, "expired" if missed else "")

    def _after_moment(self, moment: tuple[int, int]) -> Place:
        """By a Redis Stream's ids, which grow: it may have been another sidecar's, or be trimmed.

        Events of an epoch on the way there went past other sidecars: who was there has a gap.
        """
        found, strangers = self.end, False
        for position in range(self.end - 1, self.first - 1, -1):
            other = _moment(self.at(position).id)
            if other is None:
                strangers = True
                continue
            if other <= moment:
                return Place(found, 0, "epoch" if strangers else "")
            found = position
        return Place(self.first, 0, "expired")


_LONGEST_NUMBER: Final = 20


def _moment(name: bytes) -> tuple[int, int] | None:
    match = _STREAM_ID.fullmatch(name)
    return None if match is None else (int(match[1]), int(match[2]))
