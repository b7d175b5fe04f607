"""One listening socket, served: who connects is asked what has to be known before their requests.

Plain listeners are the loop's own business. Where a PROXY header or a handshake comes first, the
connections are accepted here, so each gets the certificates that hold when it comes, and nobody
waits for a slow one. Knows nothing of requests.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy.listening.complaints import Complaints, handshake_failure
from proxy.listening.handshakes import alert_of
from proxy.listening.sockets import BACKLOG
from proxy.wire.proxy_protocol import MOST_BYTES, BadHeaderError, Header, read_header

if TYPE_CHECKING:  # it needs `cryptography`, which those who speak no TLS need not load
    from proxy.listening.certificates import Certificates

_LOG = logging.getLogger("toolproxy.listening")
_GOODBYE_S: Final = 5.0  # for a caller to answer the end of a TLS connection
_AT_ONCE: Final = 64  # accepted in one turn of the loop; then others have theirs
_PAUSE_S: Final = 0.1
_SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_HANDSHAKE: Final = 0x16  # how a record of TLS begins that begins a connection
_WRONG_PORT: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 50\r\n"
    b"Connection: close\r\n\r\nPlain HTTP was sent to an HTTPS port; use https.\r\n"
)

Factory = Callable[[object], asyncio.BaseProtocol]  # of the peer that a PROXY header named


class Manner(NamedTuple):
    """How the connections of one listener begin, and for whom."""

    factory: Factory
    proxy_protocol: bool
    certificates: "Certificates | None"
    trusts: Callable[[str], bool]  # this address, that says whom it brings
    has_room: Callable[[int], bool]  # for one more, beside so many that have not begun yet
    patience_s: Callable[[], float]  # for a PROXY header, and for a handshake
    complaints: Complaints


class Acceptor:
    """Serves one socket from `start` to `close`."""

    def __init__(self, sock: socket.socket, manner: Manner) -> None:
        self._socket = sock
        self._manner = manner
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.AbstractServer | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Acceptor of {self._socket.fileno()}, {len(self._under_way)} under way>"

    async def start(self) -> None:
        manner = self._manner
        if manner.proxy_protocol or manner.certificates is not None:
            self._loop.add_reader(self._socket, self._accept)
            return
        serve = (
            self._loop.create_unix_server
            if self._socket.family == socket.AF_UNIX
            else self._loop.create_server
        )
        self._server = await serve(lambda: manner.factory(None), sock=self._socket, backlog=BACKLOG)

    def close(self) -> None:
        """Accept no more; who was accepted goes on."""
        if self._closed:
            return
        self._closed = True
        if self._server is not None:
            self._server.close()
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    async def settled(self) -> None:
        """Wait until all who were accepted have begun, or have gone."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    def cut(self) -> None:
        for task in self._under_way:
            task.cancel()

    # --- accepting ---

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, peer = self._socket.accept()
            except (BlockingIOError, InterruptedError):  # none left, or a sibling was quicker
                return
            except ConnectionError:  # gone before it was accepted
                continue
            except OSError as error:
                self._rest(error)
                return
            self._begin(connection, peer)

    def _rest(self, error: OSError) -> None:
        """None can be accepted for now: those who wait stay in the kernel's queue."""
        if error.errno not in _SHORTAGES:
            _LOG.error("Cannot accept connections: %s", error.strerror)
        self._loop.remove_reader(self._socket)
        self._pause = self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._pause = None
        self._loop.add_reader(self._socket, self._accept)

    def _begin(self, connection: socket.socket, peer: object) -> None:
        if not self._manner.has_room(len(self._under_way)):
            connection.close()
            self._manner.complaints.say("listen", _shown(peer), "no room for more connections")
            return
        connection.setblocking(False)  # noqa: FBT003 - the name of the method says it
        task = self._loop.create_task(self._welcome(connection, _shown(peer)))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    # --- one connection ---

    async def _welcome(self, connection: socket.socket, address: str) -> None:
        """Everything before its first request; whoever is not let in has their socket closed."""
        try:
            if await self._is_to_stay(connection, address):
                return
        except OSError as error:
            if what := handshake_failure(error):
                self._manner.complaints.say("tls", address, what)
        except BadHeaderError as error:
            self._manner.complaints.say("proxy_protocol", address, str(error))
        connection.close()

    async def _is_to_stay(self, connection: socket.socket, address: str) -> bool:
        factory, _, certificates = self._manner[:3]
        brought = await self._brought(connection, address) if self._manner.proxy_protocol else None
        if certificates is None:
            await self._loop.connect_accepted_socket(lambda: factory(brought), connection)
            return True
        if not await self._speaks_tls(connection, address):
            return False
        with connection.dup() as spare:  # the loop closes its own when a handshake fails
            try:
                await self._loop.connect_accepted_socket(
                    lambda: factory(brought),
                    connection,
                    ssl=certificates.context,
                    ssl_handshake_timeout=self._manner.patience_s(),
                    ssl_shutdown_timeout=_GOODBYE_S,
                )
            except ssl.SSLError as error:
                with contextlib.suppress(OSError):
                    spare.send(alert_of(error))
                raise
        return True

    async def _brought(self, connection: socket.socket, address: str) -> object:
        """Whom the PROXY header names."""
        if connection.family != socket.AF_UNIX and not self._manner.trusts(address):
            raise BadHeaderError("it may not say whom it brings: trusted_proxies leaves it out")
        try:
            async with asyncio.timeout(self._manner.patience_s()):
                return (await self._header(connection)).source
        except TimeoutError:
            raise BadHeaderError("no whole header came in time") from None

    async def _header(self, connection: socket.socket) -> Header:
        """The PROXY header; it alone, and not a byte behind it, is taken."""
        held = b""
        while True:
            await self._readable(connection)
            seen = held + connection.recv(MOST_BYTES, socket.MSG_PEEK)
            if seen == held:
                raise ConnectionResetError
            header = read_header(seen)
            length = len(seen) if header is None else header.length
            connection.recv(length - len(held))
            if header is not None:
                return header
            held = seen

    async def _speaks_tls(self, connection: socket.socket, address: str) -> bool:
        async with asyncio.timeout(self._manner.patience_s()):
            await self._readable(connection)
        first = connection.recv(1, socket.MSG_PEEK)
        if first and first[0] != _HANDSHAKE:
            if first.isalpha():
                connection.send(_WRONG_PORT)
            self._manner.complaints.say("tls", address, "what was sent is not TLS")
        return first[:1] == b"\x16"

    async def _readable(self, connection: socket.socket) -> None:
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(connection, _set, readable)
        try:
            await readable
        finally:
            self._loop.remove_reader(connection)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _shown(peer: object) -> str:
    return str(peer[0]) if isinstance(peer, tuple) else "unix:"
