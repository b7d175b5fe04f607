"""The connection that aiohttp believes it has, and the way past it.

A transport in memory for whole answers; for an endless one, once its head is out, a `Stream` that
writes to the caller's connection itself. Knows nothing of what is asked or answered.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from proxy import errors
from proxy.telemetry.record import ExchangeRecord


class CallerSide(Protocol):
    """All that is needed here of the caller's connection."""

    @property
    def unsent_bytes(self) -> int: ...

    def extra_info(self, name: str, default: object = None) -> object: ...

    def send(self, data: bytes) -> None: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def break_off(self, *, reset: bool) -> None: ...


class Outer(Protocol):
    """The session behind the transport (see `bridge.Session`)."""

    @property
    def connection(self) -> CallerSide: ...

    def wrote(self, data: bytes) -> None: ...

    def closed(self) -> None: ...

    def take_over(self) -> "Stream": ...

    def matched(self, route: str) -> None: ...

    def failed(self, error: errors.ProxyError) -> None: ...


class Inside(Protocol):
    """Who takes bytes from the caller's side: aiohttp's protocol, or one like it."""

    def data_received(self, data: bytes) -> None: ...

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


class Inner(Protocol):
    """The inner end of a session: what is fed goes to its `protocol`."""

    @property
    def protocol(self) -> Inside: ...

    def lose(self) -> None:
        """The caller is gone."""

    def let_go(self) -> None:
        """The answer is somebody else's from here on."""


class Listener(Protocol):
    """Who wants to know when a stream takes no more, when it does again, and when it is over."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def over(self) -> None: ...


class Stream:
    """The way of an event to its reader: whole chunks, which nobody looks at again."""

    __slots__ = ("_connection", "_finish", "_last", "_record", "listener")

    def __init__(
        self,
        connection: CallerSide,
        record: ExchangeRecord,
        last: bytes,
        finish: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._record = record
        self._last = last
        self._finish = finish
        self.listener: Listener | None = None

    @property
    def unsent_bytes(self) -> int:
        return self._connection.unsent_bytes

    def write(self, data: bytes) -> None:
        self._record.response_bytes += len(data)
        self._connection.send(data)

    def end(self) -> None:
        """The answer is complete."""
        self._connection.send(self._last)
        self._finish()

    def abort(self) -> None:
        """Nothing of it is taken: the connection ends."""
        self._record.flag = "SI"
        self._connection.break_off(reset=True)

    def pause(self) -> None:
        if self.listener is not None:
            self.listener.pause()

    def resume(self) -> None:
        if self.listener is not None:
            self.listener.resume()

    def over(self) -> None:
        if self.listener is not None:
            self.listener.over()


def matched(request: web.Request, route: str) -> None:
    """Say for which route the request is: a bounded label for metrics."""
    if isinstance(request.transport, InMemoryTransport):
        request.transport.matched(route)


def failed(request: web.Request, error: errors.ProxyError) -> None:
    """Say which error the answer will tell of."""
    if isinstance(request.transport, InMemoryTransport):
        request.transport.failed(error)


def stream_of(request: web.Request) -> Stream:
    """Take over the rest of the answer to this request; raises ConnectionResetError."""
    return cast("InMemoryTransport", request.transport).take_over()


class InMemoryTransport(asyncio.Transport):
    """What aiohttp takes for its connection."""

    def __init__(self, session: Outer, protocol: RequestHandler) -> None:
        super().__init__()
        self._session = session
        self._lost = False
        self.protocol = protocol
        protocol.connection_made(self)

    def lose(self) -> None:
        """The connection is gone, as far as aiohttp is concerned."""
        self._lost = True
        self.protocol.connection_lost(None)

    def let_go(self) -> None:
        """The same, once the handler that is running has come to its end."""
        self._lost = True
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def matched(self, route: str) -> None:
        self._session.matched(route)

    def failed(self, error: errors.ProxyError) -> None:
        self._session.failed(error)

    def take_over(self) -> Stream:
        """The rest of the answer that is under way; raises ConnectionResetError when none is."""
        return self._session.take_over()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if not self._lost:
            self._session.wrote(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self._lost:
            self._session.closed()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._lost

    def can_write_eof(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._session.connection.extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._session.connection.unsent_bytes

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """The caller's connection has its own."""

    def pause_reading(self) -> None:
        self._session.connection.pause_body()

    def resume_reading(self) -> None:
        self._session.connection.resume_body()

    def is_reading(self) -> bool:
        return True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        raise NotImplementedError

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol
