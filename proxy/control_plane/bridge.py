"""The way from the strict parser to aiohttp: a connection of the control plane inside our own.

aiohttp sees neither a caller's bytes nor its socket. It is fed each request written anew from the
parsed head, over a transport in memory; what it writes goes to the caller as it is, watched so that
the end of each answer is known. Knows nothing of what is asked or answered.
"""

import asyncio
from collections.abc import Callable
from random import getrandbits
from time import monotonic
from typing import Final, Protocol

from proxy import errors
from proxy.control_plane.inner import Inner, Stream
from proxy.control_plane.owned import Owned
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.fields import READ, WITHHELD, combined
from proxy.wire.forwarding import Caller
from proxy.wire.framing import Body, body_reader, chunk, last_chunk
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead
from proxy.wire.parser import ResponseReader
from proxy.wire.problem import Problem, problem
from proxy.wire.reader import HeadLimits
from proxy.wire.trace import trace_of

_FOREVER: Final = float("inf")
_BODY_TIME_S: Final = 30.0
LINGER_S: Final = 5.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Protocol):
    """All that the bridge needs of the caller's connection."""

    caller: Caller
    due_at: float

    body_complete: bool

    async def body_end(self) -> None: ...

    @property
    def idle_s(self) -> float: ...

    @property
    def unsent_bytes(self) -> int: ...

    def extra_info(self, name: str, default: object = None) -> object: ...

    def stays_open(self) -> bool: ...

    def last(self) -> None: ...

    def send(self, data: bytes) -> None: ...

    def send_problem(self, parts: Problem) -> int: ...

    def take_body(self) -> bytes: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def break_off(self, *, reset: bool) -> None: ...

    def interruption(self) -> errors.ProxyError | None: ...


class Bridge:
    """The control plane as the door sees it (see `data_plane.door.ControlPlane`).

    `inner` makes the inner end of a session: aiohttp in this process, or the way to another.
    """

    def __init__(
        self,
        inner: "Callable[[Session], Inner]",
        publish: Callable[[ExchangeRecord], None],
        instance: str,
        owned: Owned,
    ) -> None:
        self.owned = owned
        self.inner = inner
        self.publish = publish
        self.instance = instance

    def has(self, path: bytes) -> bool:
        """Is the path one of its own?"""
        return self.owned.has(path)

    def open(self, connection: Connection) -> "Session":
        return Session(self, connection)


class Session:
    """One caller's connection as aiohttp sees it; `inner` is its side, while it is needed."""

    def __init__(self, bridge: Bridge, connection: Connection) -> None:
        self.bridge = bridge
        self.connection = connection
        self.inner: Inner | None = None
        self.current: BridgedExchange | None = None

    def handler(self, head: RequestHead) -> "BridgedExchange":
        if self.inner is None:
            self.inner = self.bridge.inner(self)
        self.current = BridgedExchange(self, head)
        return self.current

    def close(self) -> None:
        """The caller's connection is gone."""
        if self.inner is not None:
            inner, self.inner = self.inner, None
            inner.lose()

    def wrote(self, data: bytes) -> None:
        if self.current is not None:
            self.current.wrote(data)

    def closed(self) -> None:
        """Its connection is closed by aiohttp; so the answer, if one is under way, is over."""
        self.connection.last()
        if self.current is not None:
            self.current.ended()
        self.close()

    def refuse(self, error: errors.ProxyError) -> None:
        """Nobody is there to answer, or to go on with it."""
        if self.current is not None:
            self.current.refused(error)
            self.connection.last()
        self.close()

    def take_over(self) -> Stream:
        """From here on the answer goes past aiohttp, which is let go of: 10 KiB a listener."""
        if self.current is None or self.inner is None:
            raise ConnectionResetError("The caller has left")
        inner, self.inner = self.inner, None
        inner.let_go()
        return self.current.take_over()

    def matched(self, route: str) -> None:
        if self.current is not None:
            self.current.matched(route)

    def failed(self, error: errors.ProxyError) -> None:
        if self.current is not None:
            self.current.failed(error)


class BridgedExchange:
    """One control request and its answer (see `downstream.Handler`)."""

    def __init__(self, session: Session, head: RequestHead) -> None:
        self._session = session
        self._connection = session.connection
        self._head = head
        self._chunked = head.body_bytes == CHUNKED
        self._trace = trace_of(head.noted, getrandbits)
        self._reader = ResponseReader(HeadLimits(head_bytes=1 << 20, fields=1 << 10))
        self._reader.bodiless = head.method == b"HEAD"
        self._answer: Body | None = None
        self._until_close = False
        self._paused = False
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._record = ExchangeRecord(monotonic(), head, self._connection.caller, self._trace)
        self._record.route = "unmatched"
        self._stream: Stream | None = None  # which has taken over the answer
        now = asyncio.get_running_loop().time()
        self.due_at = _FOREVER if self._connection.body_complete else now + _BODY_TIME_S

    async def run(self) -> None:
        try:
            await self._bridge()
        except asyncio.CancelledError:
            interruption = self._connection.interruption()
            if interruption is None:
                raise
            self._refuse(interruption)
        finally:
            self._session.current = None
            if self._stream is not None:
                self._stream.over()
            self._publish()

    async def _bridge(self) -> None:
        connection, head = self._connection, self._head
        expects = head.noted.get(b"expect", b"").lower() == b"100-continue"
        if expects and head.minor_version and not connection.body_complete:
            connection.send(_CONTINUE)
        body = connection.take_body()
        self._feed(self._rewritten_head() + self._as_sent(body))
        await self._over
        if not connection.body_complete and connection.stays_open():
            self._due_in(LINGER_S)
            await connection.body_end()

    def _rewritten_head(self) -> bytes:
        """The head as aiohttp gets it: what was parsed, and no byte of what was sent beside it."""
        head = self._head
        framing = b""
        if self._chunked:
            framing = b"Transfer-Encoding: chunked\r\n"
        elif head.body_bytes or b"content-length" in head.noted:
            framing = b"Content-Length: %d\r\n" % head.body_bytes
        passing = READ | WITHHELD
        lines = b"".join(
            b"\r\n%b: %b" % (name, head.noted[name]) for name in head.noted if name in passing
        )
        return b"%b %b HTTP/1.%d%b%b\r\nHost: %b\r\n%b%bConnection: %b\r\n\r\n" % (
            head.method,
            head.target,
            head.minor_version,
            combined(head.lines),
            lines,
            head.authority or b"localhost",  # HTTP/1.0 may name none
            framing,
            self._trace.id_lines,
            b"keep-alive" if self._connection.stays_open() else b"close",
        )

    def _as_sent(self, payload: bytes) -> bytes:
        if not self._chunked:
            return payload
        end = last_chunk([]) if self._connection.body_complete else b""
        return chunk(payload) + end

    def _feed(self, data: bytes) -> None:
        if self._session.inner is not None:
            self._session.inner.protocol.data_received(data)

    def _refuse(self, error: errors.ProxyError) -> None:
        self._record.code, self._record.detail = error.code, error.detail
        ended = self._over.done() and not self._over.cancelled()  # as it is with our own task
        if ended or (self._answer is not None and self._answer.done):
            self._connection.last()
            return
        if self._answer is not None:
            self._connection.break_off(reset=self._until_close)
            return
        self._record.status = error.status
        self._connection.last()
        parts = problem(error, self._session.bridge.instance, self._trace)
        self._record.response_bytes = self._connection.send_problem(parts)

    def refused(self, error: errors.ProxyError) -> None:
        """There will be no answer, or no more of it."""
        if not self._over.done():
            self._refuse(error)
            self._finish()

    def _publish(self) -> None:
        record = self._record
        record.finished_at = monotonic()
        self._session.bridge.publish(record)

    # --- the answer, from aiohttp ---

    def wrote(self, data: bytes) -> None:
        """Pass it on as it is; see whether it is the last of the answer."""
        if self._answer is None:
            data = data.replace(b"HTTP/1.0 ", b"HTTP/1.1 ", 1)  # RFC 9112, 2.3: our own version
        self._connection.send(data)
        self._record.response_bytes += len(data)
        if self._answer is None:
            head = self._reader.read(data)
            if head is None:
                return
            self._record.status = head.status
            self._record.response_bytes = len(self._reader.rest)
            self._until_close = head.body_bytes == UNTIL_CLOSE
            self._answer = body_reader(head.body_bytes, errors.InternalError)
            if not head.keep_alive or self._until_close:
                self._connection.last()
            data = self._reader.rest
        if not self._answer.done and data:
            self._answer.take(data)
        if self._answer.done:
            self._finish()

    def ended(self) -> None:
        """The end, says aiohttp; an answer that is not whole is broken off."""
        if self._answer is None or not (self._answer.done or self._until_close):
            self._connection.break_off(reset=False)
        self._finish()

    def _finish(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    # --- an answer whose rest goes past aiohttp ---

    def matched(self, route: str) -> None:
        """It is for this route: a bounded label, never a raw path."""
        self._record.route = route

    def failed(self, error: errors.ProxyError) -> None:
        """The answer that is to come says this."""
        record = self._record
        record.code, record.detail, record.flag = error.code, error.detail, error.flag
        record.reason = error.reason

    def take_over(self) -> Stream:
        """From here on the answer's chunks are written by whom this is given to."""
        last = b"" if self._until_close else last_chunk([])
        self._stream = Stream(self._connection, self._record, last, self._finish)
        return self._stream

    # --- for the connection (see `downstream.Handler`) ---

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        del task
        return False

    def overdue(self, now: float) -> errors.ProxyError | None:
        del now
        if self._paused:
            return errors.RequestTimeoutError("The answer was not taken in time")
        if self._connection.body_complete:
            self.due_at = _FOREVER
            return None
        return errors.RequestTimeoutError("The request's body did not come in time")

    def request_piece(self, payload: bytes) -> None:
        self._feed(self._as_sent(payload))

    def pause_answer(self) -> None:
        if self._stream is not None:
            self._stream.pause()
            return
        self._paused = True
        self._due_in(self._connection.idle_s)
        if self._session.inner is not None:
            self._session.inner.protocol.pause_writing()

    def resume_answer(self) -> None:
        if self._stream is not None:
            self._stream.resume()
            return
        self._paused = False
        self._due_in(_FOREVER if self._connection.body_complete else _BODY_TIME_S)
        if self._session.inner is not None:
            self._session.inner.protocol.resume_writing()

    def _due_in(self, seconds: float) -> None:
        self.due_at = self._connection.due_at = asyncio.get_running_loop().time() + seconds
