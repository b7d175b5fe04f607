"""TLS connections, one after the other: a full handshake, a call, the end."""

import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from benchmarks.processes import LOOPBACK

CALLERS: Final = 4
_TIMEOUT_S: Final = 30.0
_PIECE_BYTES: Final = 16 * 1024
_GOOD: Final = b"HTTP/1.1 200 "
_CALL: Final = (
    b"POST /tools/bench.echo HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
)


class Shaken(NamedTuple):
    """What came of it."""

    connections: int
    failed: int
    took_s: float


def shake_hands(port: int, seconds: float) -> Shaken:
    """A few callers for so long; connections that are open then are finished."""
    began = time.monotonic()
    caller = partial(_calls, port, began + seconds)
    with ThreadPoolExecutor(CALLERS) as threads:
        done = [threads.submit(caller) for _ in range(CALLERS)]
    counts = [each.result() for each in done]
    made, failed = (sum(each) for each in zip(*counts, strict=True))
    return Shaken(made, failed, time.monotonic() - began)


def trusting() -> ssl.SSLContext:
    """Takes whatever certificate is shown, and resumes nothing: all handshakes are full ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _calls(port: int, ends_at: float) -> tuple[int, int]:
    context = trusting()
    made = failed = 0
    while time.monotonic() < ends_at:
        try:
            failed += not _call(context, port)
        except OSError:
            failed += 1
        made += 1
    return made, failed


def _call(context: ssl.SSLContext, port: int) -> bool:
    answer = b""
    with (
        socket.create_connection((LOOPBACK[0], port), _TIMEOUT_S) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(_CALL)
        while piece := connection.recv(_PIECE_BYTES):
            answer += piece
    return answer.startswith(_GOOD)
