"""A proxy just started: how soon it answers, what it weighs idle and with idle connections."""

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.body_wire import Stream
from benchmarks.figures import FAILED, IDLE, PER_CONNECTION, START, Round
from benchmarks.peers.peer import Peer, running

CONNECTIONS: Final = 1000
_FIRST_CALLS: Final = 100  # what they make a proxy load or allocate is not the connections' weight
_TIMEOUT_S: Final = 30.0
_CALL: Final = (
    b"POST /tools/bench.echo HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


def measure_fresh(peer: Peer, folder: Path, upstream: Sequence[str]) -> Round:
    """Start one, call it, then leave connections open that have made one call each."""
    began = time.monotonic()
    with running(peer, folder, upstream) as proxy, contextlib.ExitStack() as stack:
        first = stack.enter_context(_connected(proxy.port))
        _call(first)
        first_call_s = time.monotonic() - began
        for _ in range(_FIRST_CALLS):
            _call(first)
        before = proxy.resident_bytes()
        idle = [stack.enter_context(_connected(proxy.port)) for _ in range(CONNECTIONS)]
        for connection in idle:
            _call(connection)
        after = proxy.resident_bytes()
        figures = {
            START.key: first_call_s,
            IDLE.key: proxy.idle_bytes / 1e6,
            PER_CONNECTION.key: (after - before) / CONNECTIONS / 1024,
            FAILED.key: sum(map(_ended, idle)),
        }
        return Round(figures)


@contextlib.contextmanager
def _connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
        yield connection


def _call(connection: socket.socket) -> None:
    connection.sendall(_CALL)
    stream = Stream(connection)
    head = stream.head()
    if head is None or " 200 " not in head.first_line:
        raise OSError(f"answered with {head}")
    stream.discard(head)


def _ended(connection: socket.socket) -> bool:
    connection.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
    with contextlib.suppress(BlockingIOError):
        connection.recv(1, socket.MSG_PEEK)
        return True
    return False
