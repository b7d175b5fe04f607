"""A way to a server that a test can cut, as often as it likes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Cutter:
    """Carries bytes to a port until `cut`; connections that come later are carried again."""

    def __init__(self, port: int) -> None:
        self.url = ""
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    def cut(self) -> None:
        """Drop all connections, with what is on its way."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while octets := await reader.read(1 << 16):
            writer.write(octets)
            await writer.drain()


@asynccontextmanager
async def cutter(port: int) -> AsyncIterator[Cutter]:
    way = Cutter(port)
    listener = await asyncio.start_server(way.carry, "127.0.0.1", 0)
    way.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield way
    finally:
        way.cut()
        listener.close()
