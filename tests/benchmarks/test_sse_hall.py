"""Many subscribers of a server that runs in this process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.processes import UnusableError
from benchmarks.sse.ears import STAMP
from benchmarks.sse.hall import WITNESSES, Hall, deaf, opened

pytestmark = pytest.mark.sockets

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\n"
SUBSCRIBERS = 2 * WITNESSES


class Source:
    """Says the same to everybody who has asked."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self.writers: list[asyncio.StreamWriter] = []
        self.greeted = asyncio.Event()
        self.port = 0

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self._head)
        self.writers.append(writer)
        self.greeted.set()

    def tell(self, *, but: int = 0) -> None:
        """An event to all but the last few."""
        stamp = STAMP.format(time.monotonic_ns()).encode()
        for writer in self.writers[: len(self.writers) - but]:
            writer.write(b'id: 1\ndata: {"trace_id":"%b"}\n\n' % stamp)


@asynccontextmanager
async def speaking(head: bytes = HEAD) -> AsyncIterator[Source]:
    source = Source(head)
    server = await asyncio.start_server(source.greet, "127.0.0.1", 0)
    source.port = server.sockets[0].getsockname()[1]
    try:
        yield source
    finally:
        server.close()
        for writer in source.writers:
            writer.close()


def seated(hall: Hall) -> Hall:
    hall.seat(SUBSCRIBERS)
    hall.begin()
    return hall


async def test_every_subscriber_hears_every_event() -> None:
    async with speaking() as source:
        with opened(source.port, "/events") as hall:
            await asyncio.to_thread(seated, hall)
            source.tell()
            source.tell()

            report = await asyncio.to_thread(hall.hear_out, 2)
            said = await asyncio.to_thread(hall.account)

    assert (report.seated, report.heard, report.astray) == (SUBSCRIBERS, 2 * SUBSCRIBERS, 0)
    assert (said.at_odds, said.p50_ms > 0) == (0, True)


async def test_what_somebody_does_not_hear_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.sse.hall._SILENCE_S", 0.5)
    async with speaking() as source:
        with opened(source.port, "/events") as hall:
            await asyncio.to_thread(seated, hall)
            source.tell(but=3)

            report = await asyncio.to_thread(hall.hear_out, 1)

    assert (report.heard, report.astray) == (SUBSCRIBERS - 3, 3)


async def test_who_is_refused_makes_it_unusable() -> None:
    async with speaking(b"HTTP/1.1 404 Not Found\r\n\r\n") as source:
        with opened(source.port, "/events") as hall, pytest.raises(UnusableError, match="404"):
            await asyncio.to_thread(hall.seat, SUBSCRIBERS)


async def test_the_deaf_one_subscribes_and_takes_nearly_nothing() -> None:
    async with speaking() as source:
        with deaf(source.port, "/events"):
            await source.greeted.wait()
            for _ in range(20_000):
                source.tell()

            unsent_bytes = source.writers[0].transport.get_write_buffer_size()

    assert unsent_bytes > 500_000  # of 1.2 MB
