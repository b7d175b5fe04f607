"""TLS in front of a plain port, as a load balancer has it: octets go on as they come."""

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Final

import trustme

_PIECE_BYTES: Final = 1 << 16


class TlsFront:
    """Listens on a port of its own; `authorities` is a file for `SSL_CERT_FILE`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._behind = port
        authority = trustme.CA()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(self._tls)
        self.authorities = folder / "authorities.pem"
        authority.cert_pem.write_to_path(str(self.authorities))
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self.port = 0

    def __repr__(self) -> str:
        return f"<TlsFront :{self.port} of :{self._behind}>"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def environ(self) -> dict[str, str]:
        """For a process that is to trust it."""
        return {"SSL_CERT_FILE": str(self.authorities)}

    async def start(self) -> None:
        """At the port that it had before, if it had one."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server
        self._server.close()
        for way in list(self._ways):
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._ways.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            try:
                inner_reader, inner_writer = await asyncio.open_connection(
                    "127.0.0.1", self._behind
                )
                try:
                    await _carry(reader, writer, inner_reader, inner_writer)
                finally:
                    inner_writer.close()
            finally:
                writer.close()
                self._ways.discard(task)


async def _carry(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    inner_reader: asyncio.StreamReader,
    inner_writer: asyncio.StreamWriter,
) -> None:
    """Both ways, until one of them ends."""
    ways = [
        asyncio.get_running_loop().create_task(_pump(reader, inner_writer)),
        asyncio.get_running_loop().create_task(_pump(inner_reader, writer)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE_BYTES):
        writer.write(piece)
        await writer.drain()
