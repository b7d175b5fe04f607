"""The hall: every subscriber of one server, most of them counting, some of them witnesses.

Both kinds are processes of their own; among the subscribers the witnesses are spread evenly.
"""

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec

from benchmarks.processes import LOOPBACK, UnusableError
from benchmarks.sse.audience import COUNTING, WITNESSING
from benchmarks.sse.ears import Account, Report
from benchmarks.sse.messages import subscription

WITNESSES: Final = 50
_SEATED_WITHIN_S: Final = 30.0
_SILENCE_S: Final = 5.0  # after which nothing more will come
_GLANCE_S: Final = 0.02
_ENDS_WITHIN_S: Final = 10.0
# So that the kernels' buffers hold little of what is not read, as over a long network.
_DEAF_BUFFER_BYTES: Final = 4096
_DEAF_SEGMENT_BYTES: Final = 536


T = TypeVar("T")


class _Wing:
    """One of the audiences, in its process."""

    def __init__(self, port: int, path: str, manner: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "benchmarks.sse.audience", str(port), path, manner],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def __repr__(self) -> str:
        return f"<_Wing {self._process.args!r}>"

    def tell(self, order: str) -> None:
        self.ask(order, type(None))

    def ask(self, order: str, kind: type[T]) -> T:
        """Its answer, which is of that kind."""
        orders, answers = self._process.stdin, self._process.stdout
        if orders is None or answers is None:
            raise TypeError("its input and output are pipes")
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            orders.write(f"{order}\n".encode())
            orders.flush()
        line = answers.readline()
        if not line:
            raise UnusableError(f"an audience ended when it was told to {order}")
        return msgspec.json.decode(line, type=kind)

    def end(self) -> None:
        """The end of its input is its end."""
        with contextlib.suppress(subprocess.TimeoutExpired, BrokenPipeError):
            self._process.communicate(timeout=_ENDS_WITHIN_S)
        self._process.kill()
        self._process.wait()


class Hall:
    """Both audiences."""

    def __init__(self, crowd: _Wing, witnesses: _Wing) -> None:
        self._crowd = crowd
        self._witnesses = witnesses
        self.subscribers = 0

    def __repr__(self) -> str:
        return f"<Hall of {self.subscribers}>"

    def seat(self, subscribers: int) -> None:
        """Let so many subscribe, and wait until all are confirmed."""
        for number in range(1, WITNESSES + 1):
            until = subscribers * number // WITNESSES
            self._crowd.tell(f"open {until - self.subscribers - 1}")
            self._witnesses.tell("open 1")
            self.subscribers = until
        seen = self._await(lambda it: it.seated + it.left >= subscribers, _SEATED_WITHIN_S)
        if seen.left or seen.seated < subscribers:
            raise UnusableError(f"of {subscribers} subscribers, {seen.seated} sat: {seen.problem}")

    def begin(self) -> None:
        """A course begins: forget what was heard."""
        for audience in (self._crowd, self._witnesses):
            audience.tell("begin")

    def hear_out(self, events: int) -> Report:
        """What was heard when so many events have reached everybody, or nothing more comes."""
        wanted = events * self.subscribers
        self._await(lambda it: it.heard >= wanted, _SILENCE_S)
        return self._report(events)

    def account(self) -> Account:
        """Of a course in which something was heard."""
        return self._witnesses.ask("testify", Account)

    def _await(self, enough: Callable[[Report], bool], silence_s: float) -> Report:
        """Look until it is enough, or nothing has changed for so long."""
        seen, since = self._report(), time.monotonic()
        while not enough(seen) and time.monotonic() - since < silence_s:
            time.sleep(_GLANCE_S)
            if (now := self._report()) != seen:
                seen, since = now, time.monotonic()
        return seen

    def _report(self, expected: int = 0) -> Report:
        crowd, witnesses = (
            each.ask(f"report {expected}", Report) for each in (self._crowd, self._witnesses)
        )
        return crowd + witnesses


@contextmanager
def opened(port: int, path: str) -> Iterator[Hall]:
    """An empty hall, until the end of the block."""
    with contextlib.ExitStack() as until:
        crowd, witnesses = (_Wing(port, path, each) for each in (COUNTING, WITNESSING))
        until.callback(crowd.end)
        until.callback(witnesses.end)
        yield Hall(crowd, witnesses)


@contextmanager
def deaf(port: int, path: str) -> Iterator[None]:
    """A subscriber that reads nothing at all."""
    with socket.socket() as seat:
        seat.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _DEAF_BUFFER_BYTES)
        seat.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _DEAF_SEGMENT_BYTES)
        seat.connect((LOOPBACK[0], port))
        seat.sendall(subscription(path))
        yield
