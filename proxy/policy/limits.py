"""Limits: may this call go now, must it wait its turn, or is it refused?

A permit for each call in flight, and a bounded line in order of arrival for those that wait. Knows
nothing of connections, clocks, or how one waits.
"""

from collections import deque
from enum import Enum
from typing import Protocol


class Waiter(Protocol):
    """Somebody in the line (a future is one): to be told when a permit is theirs."""

    def done(self) -> bool:
        """Has it been told, or has it left?"""

    def set_result(self, result: None, /) -> None:
        """A permit is yours."""


class Full(Enum):
    """Why a call may not even wait."""

    REQUESTS = "so many calls are in flight"
    PENDING = "so many calls wait for their turn"


class Lender(Protocol):
    """Where permits come from that are shared with others."""

    def wanted(self) -> None:
        """There is somebody in the line."""


class Gate:
    """So many calls at once, and so many more that wait.

    `most_busy` calls go at once, `most_pending` may wait, `most_requests` do either. Every
    `try_enter` that gave True, and every waiter that was told, is followed by one `leave`.
    """

    def __init__(self, most_busy: int, most_pending: int, most_requests: int) -> None:
        self.busy = 0  # permits that are out
        self.lender: Lender | None = None
        self._line: deque[Waiter] = deque()
        self.configure(most_busy, most_pending, most_requests)

    def __repr__(self) -> str:
        return f"<Gate {self.busy} busy, {self.queued} queued>"

    def configure(self, most_busy: int, most_pending: int, most_requests: int) -> None:
        """New limits hold from the next call on; who is in stays in."""
        self.most_busy = min(most_busy, most_requests)
        self.most_pending = most_pending
        self.most_requests = most_requests
        self._admit_next()

    @property
    def queued(self) -> int:
        return len(self._line)

    def try_enter(self) -> bool:
        """Take a permit, unless there is none or others wait for one already."""
        if self.busy >= self.most_busy or self._line:
            return False
        self.busy += 1
        return True

    def full(self) -> Full | None:
        """Why a call can't wait either; None when it can."""
        if self.busy + len(self._line) >= self.most_requests:
            return Full.REQUESTS
        return Full.PENDING if len(self._line) >= self.most_pending else None

    def line_up(self, waiter: Waiter) -> None:
        """Wait behind those who came before."""
        self._line.append(waiter)
        if self.lender is not None:
            self.lender.wanted()

    def push_in(self, waiter: Waiter) -> None:
        """Wait before all others: for a permit that was promised elsewhere."""
        self._line.appendleft(waiter)

    def step_out(self, waiter: Waiter) -> None:
        """Wait no longer. Who was given a permit meanwhile must `leave` instead."""
        if waiter in self._line:  # else it was passed over, being done
            self._line.remove(waiter)

    def leave(self) -> None:
        """Give the permit back: to whoever has waited longest."""
        self.busy -= 1
        if self._line:
            self._admit_next()

    def _admit_next(self) -> None:
        line = self._line
        while line and self.busy < self.most_busy:
            waiter = line.popleft()
            if not waiter.done():  # else it has left, and will say so
                self.busy += 1
                waiter.set_result(None)
