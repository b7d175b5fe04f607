"""Load by bodies of 10 MB, up or down: a few connections, one call after the other on each."""

import os
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from benchmarks.body_wire import BODY_BYTES, Stream, body_file

CONNECTIONS: Final = 4
_TIMEOUT: Final = struct.pack("ll", 60, 0)  # s and µs
_HEAD: Final = (
    "POST /tools/bench.{tool} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    "Content-Length: {length}\r\n\r\n"
)


class BodyLoad(NamedTuple):
    """What came of it."""

    bodies: int
    failed: int
    took_s: float


def load_bodies(port: int, tool: str, seconds: float) -> BodyLoad:
    """Calls of `bench.up` or `bench.down` for so long; those under way then are finished."""
    file = body_file()
    began = time.monotonic()
    caller = partial(_calls, port, tool, file, began + seconds)
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        done = [threads.submit(caller) for _ in range(CONNECTIONS)]
    os.close(file)
    bodies, failed = (sum(counts) for counts in zip(*(each.result() for each in done), strict=True))
    return BodyLoad(bodies, failed, time.monotonic() - began)


def _calls(port: int, tool: str, file: int, ends_at: float) -> tuple[int, int]:
    """One connection's: how many were carried, and whether one failed, which ends it."""
    bodies = 0
    try:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            # The kernel's own limits: with Python's the socket would not block, and sendfile must.
            for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
                connection.setsockopt(socket.SOL_SOCKET, option, _TIMEOUT)
            while time.monotonic() < ends_at:
                _call(connection, Stream(connection), tool, file)
                bodies += 1
    except OSError:
        return bodies, 1
    return bodies, 0


def _call(connection: socket.socket, stream: Stream, tool: str, file: int) -> None:
    up = tool == "up"
    length = BODY_BYTES if up else 2
    connection.sendall(_HEAD.format(tool=tool, length=length).encode() + (b"" if up else b"{}"))
    if up:
        stream.send_file(file)
    head = stream.head()
    if head is None or " 200 " not in head.first_line:
        raise OSError(f"answered with {head}")
    if not up and head.length != BODY_BYTES:
        raise OSError(f"answered with {head.length} bytes")
    stream.discard(head)
