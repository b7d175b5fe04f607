"""One replica: answers each call in 1 ms, until a signal makes it slow or failing. `… HOST PORT`.

A thread for each connection, since a sleeping thread wakes up within a tenth of a millisecond and
an event loop's timer only within one.
"""

import contextlib
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import Final, NamedTuple

from benchmarks.body_wire import Stream

_BACKLOG: Final = 1024
_ANSWER: Final = (
    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
)
_GOOD: Final = _ANSWER.format(status="200 OK").encode()
_BAD: Final = _ANSWER.format(status="503 Service Unavailable").encode()


class Manner(NamedTuple):
    """How calls are answered."""

    takes_s: float
    answer: bytes


USUAL: Final = Manner(0.001, _GOOD)
SLOW: Final = Manner(0.2, _GOOD)
FAILING: Final = Manner(0.0, _BAD)
BY_SIGNAL: Final = {signal.SIGUSR1: SLOW, signal.SIGUSR2: FAILING}


class Replica:
    """Serves connections, all of them in the present manner."""

    def __init__(self) -> None:
        self._manner = USUAL

    def __repr__(self) -> str:
        return f"<Replica {self._manner}>"

    def change(self, number: int, frame: FrameType | None) -> None:
        """A signal's handler."""
        del frame
        self._manner = BY_SIGNAL[signal.Signals(number)]

    def serve(self, connection: socket.socket) -> None:
        """Answer one connection's calls until it ends."""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = Stream(connection)
        with connection, contextlib.suppress(OSError):
            while head := stream.head():
                stream.discard(head)
                manner = self._manner
                if manner.takes_s:
                    time.sleep(manner.takes_s)
                connection.sendall(manner.answer)


def main() -> None:
    host, port = sys.argv[1:]
    replica = Replica()
    for number in BY_SIGNAL:
        signal.signal(number, replica.change)
    with socket.create_server((host, int(port)), backlog=_BACKLOG) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=replica.serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
