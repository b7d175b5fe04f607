"""The connection that aiohttp believes it has, and the way past it.

A transport in memory for whole answers; for an endless one, once its head is out, a `Stream` that
writes to the caller's connection itself. Knows nothing of what is asked or answered.
"""

import asyncio
from typing import Any, Protocol, cast

from aiohttp import web

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


class CanBeTakenOver(Protocol):
    """An exchange, as far as it is needed here."""

    def take_over(self) -> "Stream": ...

    def matched(self, route: str) -> None: ...


class Outer(Protocol):
    """The session behind the transport (see `bridge.Session`)."""

    @property
    def connection(self) -> CallerSide: ...

    @property
    def current(self) -> CanBeTakenOver | None: ...

    @property
    def protocol(self) -> asyncio.BaseProtocol: ...

    def wrote(self, data: bytes) -> None: ...

    def closed(self) -> None: ...


class Listener(Protocol):
    """Who wants to know when a stream takes no more, and when it does again."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Stream:
    """The way of an event to its reader: whole chunks, which nobody looks at again."""

    __slots__ = ("_connection", "_record", "listener")

    def __init__(self, connection: CallerSide, record: ExchangeRecord) -> None:
        self._connection = connection
        self._record = record
        self.listener: Listener | None = None

    @property
    def unsent_bytes(self) -> int:
        return self._connection.unsent_bytes

    def write(self, data: bytes) -> None:
        self._record.response_bytes += len(data)
        self._connection.send(data)

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


def matched(request: web.Request, route: str) -> None:
    """Say for which route the request is: a bounded label for metrics."""
    if isinstance(request.transport, InMemoryTransport):
        request.transport.matched(route)


def stream_of(request: web.Request) -> Stream:
    """Take over the rest of the answer to this request; raises ConnectionResetError."""
    return cast("InMemoryTransport", request.transport).take_over()


class InMemoryTransport(asyncio.Transport):
    """What aiohttp takes for its connection."""

    def __init__(self, session: Outer) -> None:
        super().__init__()
        self._session = session
        self.lost = False

    def matched(self, route: str) -> None:
        if self._session.current is not None:
            self._session.current.matched(route)

    def take_over(self) -> Stream:
        """The rest of the answer that is under way; raises ConnectionResetError when none is."""
        if self.lost or self._session.current is None:
            raise ConnectionResetError("The caller has left")
        return self._session.current.take_over()

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        if not self.lost:
            self._session.wrote(bytes(data))

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self.lost:
            self._session.closed()

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self.lost

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
        return self._session.protocol
