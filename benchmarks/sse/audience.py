"""An audience: subscribers in a process of their own, which does what its standard input says.

`… PORT PATH counting|witnessing`, then a line for each order; a line of JSON answers each.
"""

import argparse
import gc
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from benchmarks.processes import LOOPBACK
from benchmarks.sse.ears import Account, CountingEar, Ear, Report, Witness
from benchmarks.sse.messages import BrokenError, RefusedError, subscription
from proxy.descriptors import raise_limit

OPENS_PER_S: Final = 1000
_PATIENCE_S: Final = 10.0
_PIECE_BYTES: Final = 16 * 1024
_AT_ONCE: Final = 16 * 1024  # sockets
COUNTING: Final = "counting"
WITNESSING: Final = "witnessing"

E = TypeVar("E", bound=Ear)


class Manner(NamedTuple):
    """How an audience reads."""

    pause_s: float  # between two looks; what came meanwhile is read at once
    scheduler: int


# Both yield to calls, whose time is the server's to answer for, and counting to witnesses, who tell
# the time: a lower priority alone would let it end its slice of milliseconds. Its pause spares the
# server the waking of a process for each event, which over a network it would not pay for either.
MANNERS: Final = {
    COUNTING: Manner(0.01, os.SCHED_IDLE),
    WITNESSING: Manner(0.0, os.SCHED_BATCH),
}


class Audience(Generic[E]):
    """Subscribers at one address."""

    def __init__(self, port: int, path: str, new_ear: Callable[[], E], pause_s: float) -> None:
        self._address = LOOPBACK[0], port
        self._subscribe = subscription(path)
        self._new_ear = new_ear
        self._pause_s = pause_s
        self._epoll = select.epoll()
        self._seats: dict[int, tuple[socket.socket, E]] = {}
        self._problem = ""
        self._left = 0

    def __repr__(self) -> str:
        return f"<Audience of {len(self._seats)}>"

    @property
    def ears(self) -> list[E]:
        return [ear for _, ear in self._seats.values()]

    def open(self, count: int) -> None:
        """Connect so many more, at a bounded rate."""
        for _ in range(count):
            due_at = time.monotonic() + 1 / OPENS_PER_S
            seat = socket.create_connection(self._address, _PATIENCE_S)
            seat.sendall(self._subscribe)
            seat.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
            self._seats[seat.fileno()] = seat, self._new_ear()
            self._epoll.register(seat, select.EPOLLIN)
            time.sleep(max(0.0, due_at - time.monotonic()))

    def attend(self, orders: int, obey: Callable[[], bool]) -> None:
        """Hear whatever comes; `obey` what comes at that descriptor, until it says no."""
        self._epoll.register(orders, select.EPOLLIN)
        while True:
            for descriptor, _ in self._epoll.poll(maxevents=_AT_ONCE):
                if descriptor != orders:
                    self._hear(descriptor)
                elif not obey():
                    return
            if self._pause_s:
                time.sleep(self._pause_s)

    def begin(self) -> None:
        """What was heard until now was another course's."""
        for ear in self.ears:
            ear.begin()

    def report(self, expected: int) -> Report:
        return Report.of(self.ears, expected, self._left, self._problem)

    def _hear(self, descriptor: int) -> None:
        seat, ear = self._seats[descriptor]
        try:
            piece = seat.recv(_PIECE_BYTES)
            now_ns = time.monotonic_ns()
            if piece:
                ear.take(piece, now_ns)
                return
        except (OSError, RefusedError, BrokenError) as error:
            self._problem = str(error)
        self._epoll.unregister(seat)
        seat.close()
        self._left += 1


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("manner", choices=MANNERS)
    options = parser.parse_args(arguments)
    manner = MANNERS[options.manner]
    raise_limit()
    os.sched_setscheduler(0, manner.scheduler, os.sched_param(0))
    gc.disable()  # nothing here goes in circles
    if options.manner == WITNESSING:
        witnesses = Audience(options.port, options.path, Witness, manner.pause_s)
        _serve(witnesses, lambda: Account.of(witnesses.ears))
    else:
        _serve(Audience(options.port, options.path, CountingEar, manner.pause_s), lambda: None)


def _serve(audience: Audience[E], testify: Callable[[], Account | None]) -> None:
    """Orders: `open N`, `begin`, `report EXPECTED`, `testify`; the end of the input ends it."""

    def obey() -> bool:
        order, *numbers = sys.stdin.buffer.readline().split() or [b""]
        answer: msgspec.Struct | None = None
        match order, [int(each) for each in numbers]:
            case b"open", [count]:
                audience.open(count)
            case b"begin", []:
                audience.begin()
            case b"report", [expected]:
                answer = audience.report(expected)
            case b"testify", []:
                answer = testify()
            case _:
                return False
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
        return True

    audience.attend(sys.stdin.fileno(), obey)


if __name__ == "__main__":
    main()
