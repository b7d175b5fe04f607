"""A real upstream on real sockets that does what a test tells it, and forgets nothing it saw.

It knows nothing of the proxy: every byte that arrives is kept as it arrived, and so is the end of
each connection. What it answers is a script (`tests.support.scripts`).
"""

import asyncio
import contextlib
import enum
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

READER_LIMIT_BYTES = 1 << 20
RAW_LIMIT_BYTES = 4 << 20
PIECE_BYTES = 1 << 16
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Ending(enum.Enum):
    """Who ended a connection, and how."""

    EOF = "the peer said goodbye"
    RESET = "the peer dropped it"
    OURS = "the script ended it"


class Visit:
    """One request, as its bytes came in on one connection, and the means to answer it.

    `wire` is every byte of it (to a limit), `body` what `read` took for its body.
    """

    def __init__(self, connection: "OriginConnection", head: bytes) -> None:
        self.connection = connection
        self.head = head
        self.wire = bytearray(head)
        self.body = bytearray()
        self.body_bytes = 0
        self.complete = False
        line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        self.method, self.target, self.version = line.split(b" ")
        self.headers = [_name_and_value(field) for field in fields]

    def __repr__(self) -> str:
        return f"<Visit {self.method.decode()} {self.target.decode()} complete={self.complete}>"

    def values(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body's octets as they come; `IncompleteReadError` if it breaks off."""
        if self.complete:
            return
        if self.values("transfer-encoding"):
            source = self._chunks()
        else:
            source = self._counted(int(self.value("content-length") or 0))
        async for piece in source:
            self.body_bytes += len(piece)
            yield piece
        self.complete = True

    async def read(self) -> bytes:
        """The whole body; it stays in `body`."""
        async for piece in self.pieces():
            self.body += piece
        return bytes(self.body)

    async def send(self, octets: bytes) -> None:
        self.connection.writer.write(octets)
        await self.connection.writer.drain()

    def close(self) -> None:
        self.connection.close()

    def reset(self) -> None:
        self.connection.reset()

    async def _counted(self, length: int) -> AsyncIterator[bytes]:
        left = length
        while left:
            piece = self._seen(await self.connection.reader.read(min(left, PIECE_BYTES)))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._line(), 16):
            async for piece in self._counted(size):
                yield piece
            assert await self._line() == b"\r\n"
        while await self._line() != b"\r\n":
            pass

    async def _line(self) -> bytes:
        return self._seen(await self.connection.reader.readuntil(b"\r\n"))

    def _seen(self, octets: bytes) -> bytes:
        if len(self.wire) < RAW_LIMIT_BYTES:
            self.wire += octets
        return octets


Script = Callable[[Visit], Awaitable[None]]


class OriginConnection(asyncio.StreamReaderProtocol):
    """One connection that a client opened: its bytes, its visits and its end."""

    def __init__(self, origin: "Origin") -> None:
        self.reader = asyncio.StreamReader(limit=READER_LIMIT_BYTES)
        super().__init__(self.reader, self._serve)
        self._origin = origin
        self.writer: asyncio.StreamWriter
        self.serving: asyncio.Task[None] | None = None
        self._made: asyncio.BaseTransport | None = None
        self.raw = bytearray()
        self.received_bytes = 0
        self.visits: list[Visit] = []
        self.ending: Ending | None = None
        self.ended_at: float | None = None

    def data_received(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if len(self.raw) < RAW_LIMIT_BYTES:
            self.raw += data
        super().data_received(data)

    def eof_received(self) -> bool | None:
        self._end(Ending.EOF)
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Ending.RESET if exc else Ending.EOF)
        super().connection_lost(exc)

    def close(self) -> None:
        self._end(Ending.OURS)
        self.writer.close()

    def reset(self) -> None:
        """Drop it with a RST, unsent bytes and all."""
        self._end(Ending.OURS)
        plain: socket.socket = self.writer.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._made = transport
        super().connection_made(transport)

    def let_go(self) -> None:
        """Whatever became of it: nothing may be left for the garbage collector to complain of."""
        if isinstance(self._made, asyncio.Transport):
            with contextlib.suppress(AttributeError):  # of one over TLS that is gone already
                self._made.abort()

    def _end(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.ended_at = time.monotonic()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.serving = asyncio.current_task()
        try:
            while self.ending is not Ending.OURS and not reader.at_eof():
                head = await reader.readuntil(b"\r\n\r\n")
                await self._origin.visited(Visit(self, head))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.close()


class Origin:
    """Listens on TCP or a Unix socket, plain or TLS; plays `script` to every call.

    `GET …/health` is answered with the bytes in `health` and counted, but is no call.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.health: bytes | None = HEALTHY
        self.calls: list[Visit] = []
        self.connections: list[OriginConnection] = []
        self.probes = 0
        self.port = 0
        self._ever: list[OriginConnection] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, *, tls: ssl.SSLContext | None = None, port: int = 0) -> "Origin":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def start_on_path(self, path: Path) -> "Origin":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._accept, str(path))
        return self

    async def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server:
            self._server.close()
        serving = [each.serving for each in self._ever if each.serving]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        for each in self._ever:
            each.let_go()

    def forget(self, script: Script) -> None:
        """Begin anew for another test, without touching open connections."""
        self.script = script
        self.health = HEALTHY
        self.calls = []
        self.connections = []

    @property
    def open_connections(self) -> Sequence[OriginConnection]:
        return [connection for connection in self.connections if connection.ending is None]

    async def visited(self, visit: Visit) -> None:
        if visit.method == b"GET" and visit.target.endswith(b"/health"):
            await self._answer_probe(visit)
            return
        visit.connection.visits.append(visit)
        self.calls.append(visit)
        await self.script(visit)
        if visit.connection.ending is not Ending.OURS:
            await visit.read()

    async def _answer_probe(self, visit: Visit) -> None:
        self.probes += 1
        if self.health is None:
            visit.close()
        else:
            await visit.send(self.health)

    def _accept(self) -> OriginConnection:
        connection = OriginConnection(self)
        self.connections.append(connection)
        self._ever.append(connection)
        return connection


def _name_and_value(field: bytes) -> tuple[bytes, bytes]:
    name, _, value = field.partition(b":")
    return name, value.strip(b" \t")
