"""Calls by the ten thousand: callers in closed loops, an upstream that costs next to nothing."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Final, NamedTuple, cast

from tests.support.messages import chunked, get, message, ok, post, post_chunked

LARGE: Final = b"x" * 20_000
_LAST_CHUNK: Final = b"0\r\n\r\n"
_CONNECTIONS: Final = 20

# By what the upstream is asked for. `/tools/silence` is in none of them, and gets no answer.
ANSWERS: Final = {
    b"/health": ok(),
    b"/tools/call": ok(b'{"said":"ok"}', b"Content-Type: application/json"),
    b"/tools/chunks": message(
        b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(b"one", b"two", b"three")
    ),
    b"/tools/large": ok(LARGE),
    b"/tools/error": message(b"HTTP/1.1 500 Oh", b"Content-Length: 2", body=b"no"),
    b"/tools/half": message(b"HTTP/1.1 200 OK", b"Content-Length: 9", body=b"half"),
    b"/tools/garbage": b"no HTTP\r\n\r\n" + LARGE * 20,
}
TOOLS: Final = [*(name.rpartition(b"/")[2].decode() for name in ANSWERS), "silence"]


class Errand(NamedTuple):
    """What is asked, and the status that it gets."""

    request: bytes
    status: bytes


MIXED: Final = (
    Errand(post("/tools/o.call"), b"200"),
    Errand(post("/tools/o.chunks", body=LARGE), b"200"),
    Errand(post_chunked("/tools/o.large", body=chunked(b"some", b"more")), b"200"),
    Errand(post("/tools/o.error"), b"500"),
    Errand(
        post("/tools/o.call", b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"), b"200"
    ),
    Errand(post("/tools/o.unknown"), b"404"),
    Errand(get("/tools/o.call"), b"405"),
    Errand(get("/health"), b"200"),
)


class Answering(asyncio.Protocol):
    """The upstream's side of one connection: each request gets the bytes that belong to it."""

    def __init__(self) -> None:
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._held += data
        if _is_whole(self._held):
            target = self._held.split(b" ", 2)[1]
            self._held = b""
            self._transport.write(ANSWERS.get(target, b""))


class _Runner(asyncio.Protocol):
    """One caller's connection: the next errand as soon as the last is done."""

    def __init__(self, errands: Iterator[Errand], came: Counter[bytes]) -> None:
        self._errands = errands
        self._came = came
        self._held = b""
        self._errand = MIXED[0]
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._run_next()

    def data_received(self, data: bytes) -> None:
        self._held += data
        if _is_whole(self._held):
            status, self._held = self._held[9:12], b""
            self._came[b"as expected" if status == self._errand.status else status] += 1
            self._run_next()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.done.done():
            self._came[b"lost"] += 1
            self.done.set_result(None)

    def _run_next(self) -> None:
        errand = next(self._errands, None)
        if errand is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._errand = errand
        self._transport.write(errand.request)


async def answering() -> asyncio.Server:
    """Such an upstream; whoever asks for it closes it."""
    return await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)


async def run(port: int, calls: int) -> Counter[bytes]:
    """So many calls, as fast as they are answered; how many came `as expected`, or else how."""
    came: Counter[bytes] = Counter()
    left = islice(cycle(MIXED), calls)
    loop = asyncio.get_running_loop()
    for runner in [
        (await loop.create_connection(lambda: _Runner(left, came), "127.0.0.1", port))[1]
        for _ in range(_CONNECTIONS)
    ]:
        await runner.done
    return came


def _is_whole(held: bytes) -> bool:
    """Whether one message is complete; nothing ever follows it, since its sender waits."""
    head, end, body = held.partition(b"\r\n\r\n")
    if not end:
        return False
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        return body.endswith(_LAST_CHUNK)
    _, _, length = lower.partition(b"content-length:")
    return len(body) >= int(length.partition(b"\r\n")[0] or 0)
