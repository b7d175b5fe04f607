"""Memory stays within the water marks, however large a body or slow a reader is."""

import asyncio
import hashlib
import time
from collections.abc import Callable

import pytest

from tests.support.messages import get, message, ok, post
from tests.support.origin import Visit
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

MIB = 1 << 20
LARGE_BYTES = 50 * MIB
GROWTH_BYTES = 20 * MIB
PIECE = bytes(range(256)) * 256


async def swallow(visit: Visit) -> None:
    """Take a body of any size and say its sum."""
    digest = hashlib.sha256()
    async for piece in visit.pieces():
        digest.update(piece)
    await visit.send(ok(digest.hexdigest().encode()))


class Fountain:
    """Sends a large answer as fast as it is taken, and knows how much was."""

    def __init__(self, head: bytes, size: int = LARGE_BYTES) -> None:
        self._head = head
        self._size = size
        self.sent_bytes = 0

    async def __call__(self, visit: Visit) -> None:
        await visit.read()
        visit.connection.writer.transport.set_write_buffer_limits(high=0)
        await visit.send(self._head)
        while self.sent_bytes < self._size:
            await visit.send(PIECE)
            self.sent_bytes += len(PIECE)
        if b"Content-Length" not in self._head:
            visit.close()


@pytest.mark.slow
def test_large_request_passes_through_without_being_held(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = _warm(start_sidecar(server("o", start_origin(swallow).url), forked=False))
    body = PIECE * (LARGE_BYTES // len(PIECE))
    before = sidecar.resident_bytes()
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", body=body))

        said = caller.answer().body.decode()

    grown = sidecar.peak_bytes() - before
    print(f"50 MB up: {grown / MIB:.1f} MiB more")  # noqa: T201
    assert (said, grown < GROWTH_BYTES) == (hashlib.sha256(body).hexdigest(), True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "head",
    [
        message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % LARGE_BYTES),
        message(b"HTTP/1.1 200 OK", b"Connection: close"),
    ],
    ids=["counted", "until-close"],
)
def test_large_answer_passes_through_without_being_held(
    start_origin: StartOrigin, start_sidecar: StartSidecar, head: bytes
) -> None:
    origin = start_origin()
    sidecar = _warm(start_sidecar(server("o", origin.url), forked=False))
    origin.script = Fountain(head)
    before = sidecar.resident_bytes()

    body = sidecar.ask(post("/tools/o.call")).body

    grown = sidecar.peak_bytes() - before
    print(f"50 MB down: {grown / MIB:.1f} MiB more")  # noqa: T201
    assert (len(body), grown < GROWTH_BYTES) == (LARGE_BYTES, True)
    assert body == PIECE * (LARGE_BYTES // len(PIECE))


@pytest.mark.slow
def test_62_slow_reader_stops_the_upstream(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = _warm(start_sidecar(server("o", origin.url, passthrough=True), forked=False))
    fountain = Fountain(message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % LARGE_BYTES))
    origin.script = fountain
    before = sidecar.resident_bytes()
    with sidecar.caller(receive_buffer_bytes=65_536) as caller:
        caller.send(get("/servers/o/large"))
        stalled_at = _settled(lambda: fountain.sent_bytes)
        grown = sidecar.peak_bytes() - before

        body = caller.answer("GET").body

    print(f"stalled after {stalled_at / MIB:.1f} MiB, {grown / MIB:.1f} MiB more")  # noqa: T201
    found = (0 < stalled_at < LARGE_BYTES, grown < GROWTH_BYTES, len(body))
    assert found == (True, True, LARGE_BYTES)


@pytest.mark.slow
def test_hundred_slow_readers_stay_within_the_water_marks(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    limits = {"max_connections": 200}
    sidecar = _warm(
        start_sidecar(server("o", origin.url, passthrough=True, limits=limits), forked=False)
    )
    head = message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % LARGE_BYTES)
    fountains: list[Fountain] = []

    async def spring(visit: Visit) -> None:
        fountains.append(Fountain(head))
        await fountains[-1](visit)

    origin.script = spring
    before = sidecar.resident_bytes()
    callers = [sidecar.caller(receive_buffer_bytes=65_536) for _ in range(100)]
    for caller in callers:
        caller.send(get("/servers/o/large"))
    assert eventually(lambda: len(fountains) == len(callers))
    _settled(lambda: sum(fountain.sent_bytes for fountain in fountains))

    grown = sidecar.peak_bytes() - before

    for caller in callers:
        caller.leave()
    print(f"100 slow readers: {grown / MIB:.1f} MiB more")  # noqa: T201
    # Each may hold the high water mark, what was read beyond it, and a read buffer on either side.
    assert (len(fountains), grown < 100 * 800 * 1024) == (100, True)
    assert eventually(lambda: not origin.open_connections)


@pytest.mark.slow
def test_slow_upstream_stops_the_caller(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = _warm(start_sidecar(server("o", origin.url), forked=False))

    async def never_read(_: Visit) -> None:
        await asyncio.Event().wait()

    origin.script = never_read
    before = sidecar.resident_bytes()
    body = memoryview(post("/tools/o.call", body=PIECE * (LARGE_BYTES // len(PIECE))))
    with sidecar.caller() as caller:
        sent = caller.send_what_fits(body, within_s=0.5)

        grown = sidecar.peak_bytes() - before

    print(f"stalled after {sent / MIB:.1f} MiB, {grown / MIB:.1f} MiB more")  # noqa: T201
    assert (0 < sent < len(body), grown < GROWTH_BYTES) == (True, True)


def test_caller_that_only_sends_is_not_heard_for_ever(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    """Requests pipelined without reading an answer: input stops at a bounded buffer."""
    sidecar = _warm(start_sidecar(server("o", start_origin().url), forked=False))
    before = sidecar.resident_bytes()
    flood = memoryview(get("/tools") * 500_000)
    with sidecar.caller(receive_buffer_bytes=65_536) as caller:
        sent = caller.send_what_fits(flood, within_s=0.5)

        grown = sidecar.peak_bytes() - before

    assert (sent < len(flood), grown < GROWTH_BYTES) == (True, True)


def _warm(sidecar: Sidecar) -> Sidecar:
    """Let it grow by what the first calls need, so that growth means bodies."""
    for _ in range(20):
        sidecar.ask(post("/tools/o.call", body=PIECE * 4))
    sidecar.forget_peak()
    return sidecar


def _settled(count: Callable[[], int]) -> int:
    """The count once it has stood still for a while."""
    seen, since = count(), time.monotonic()

    def stands_still() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return seen > 0 and time.monotonic() - since > 0.3

    assert eventually(stands_still)
    return seen
