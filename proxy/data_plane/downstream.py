"""One caller's connection: read requests strictly, have each answered in order, keep or close.

Knows HTTP/1.1 and flow control. Knows nothing of tools: who answers a request is the `Handler` that
the door gives for it. Bytes behind a request stay unparsed until its answer is out.
"""

import asyncio
import socket
import struct
from random import getrandbits
from typing import Final, NamedTuple, Protocol, cast

from proxy import errors
from proxy.data_plane.exchange import LINGER_S, Exchange, Plane
from proxy.wire.forwarding import Caller, connection_field
from proxy.wire.framing import Body, body_reader
from proxy.wire.head import RequestHead
from proxy.wire.parser import HeadLimits, RequestReader
from proxy.wire.problem import Problem, problem, problem_bytes
from proxy.wire.trace import trace_of

_FOREVER: Final = float("inf")
_MOST_LINGERING_BYTES: Final = 1024 * 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s


class Rules(NamedTuple):
    """What a connection is held to: the settings as they were when it was accepted."""

    heads: HeadLimits = HeadLimits()
    head_timeout_s: float = 10.0
    idle_s: float = 75.0
    read_buffer_bytes: int = 64 * 1024
    high_water_bytes: int = 256 * 1024
    low_water_bytes: int = 64 * 1024
    half_close: bool = False


class Handler(Protocol):
    """What answers one request: an exchange, or the bridge to the control plane."""

    due_at: float

    async def run(self) -> None: ...

    def overdue(self, now: float) -> errors.ProxyError | None:
        """`due_at` has come: what is wrong; or nothing, and a later `due_at`."""

    def request_piece(self, payload: bytes) -> None:
        """More of the body, or (with nothing) its end."""

    def pause_answer(self) -> None: ...

    def resume_answer(self) -> None: ...


class Door(Protocol):
    """What a connection needs of the listener that accepted it."""

    plane: Plane
    draining: bool

    def opened(self, connection: "Downstream") -> errors.ProxyError | None:
        """A connection is there: why it can't stay, or nothing."""

    def caller(self, peer: object) -> Caller:
        """What is known of who connected from this address."""

    def handler(self, head: RequestHead, connection: "Downstream") -> Handler:
        """Who answers this; raises when nobody may."""

    def closed(self, connection: "Downstream") -> None: ...


class ControlSession(Protocol):
    """The control plane's side of one connection."""

    def handler(self, head: RequestHead) -> Handler: ...

    def close(self) -> None: ...


class Downstream(asyncio.Protocol):
    """A caller's connection. `due_at` (loop time) is when `check` wants to be asked."""

    def __init__(self, door: Door, rules: Rules) -> None:
        # Of the connection:
        self._door = door
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._reader = RequestReader(rules.heads)
        self._task: asyncio.Task[None] | None = None
        self._ahead: list[bytes] = []  # bytes behind the request that is being answered
        self._ahead_bytes = 0
        self._body_paused = False
        self._write_paused = False
        self._interruption: errors.ProxyError | None = None
        self._at_end = False  # the caller sends no more
        self._lingering_bytes: int | None = None  # thrown away after our last answer
        self.caller = _NOBODY
        self.control: ControlSession | None = None  # once a request was for the control plane
        self.due_at = _FOREVER
        self.idle_since = 0.0
        # Of one request:
        self._head: RequestHead | None = None
        self._refused: errors.ProxyError | None = None  # before anyone was asked to answer
        self._broken = False  # where the next request would begin is not known
        self._body: Body | None = None
        self._early: list[bytes] | None = None  # payload that nobody has taken yet
        self._early_bytes = 0
        self._handler: Handler | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closing = False  # close once this request is answered

    def __repr__(self) -> str:
        state = "idle" if self.idle else "busy"
        return f"<Downstream {self.caller.address.decode()} {state}>"

    @property
    def idle(self) -> bool:
        """Is no request being read or answered?"""
        return self._handler is None and self._head is None and not self._reader.waiting

    # --- the connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        rules = self._rules
        self._transport.set_write_buffer_limits(rules.high_water_bytes, rules.low_water_bytes)
        self.idle_since = self._loop.time()
        self.due_at = self.idle_since + rules.idle_s
        self.caller = self._door.caller(transport.get_extra_info("peername"))
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # event streams have no time-out
        refused = self._door.opened(self)
        if refused is not None:
            self._refuse_unread(refused)

    def data_received(self, data: bytes) -> None:
        if self._lingering_bytes is not None:
            self._throw_away(data)
        elif self._head is not None:
            if self._body is not None and not self._body.done:
                self._read_body(data)
            else:
                self._read_ahead(data)
        else:
            self._read_head(data)

    def eof_received(self) -> bool:
        """End of input means that the caller is gone (as for nginx), unless `half_close`."""
        self._at_end = True
        if self._lingering_bytes is not None or self.idle:
            return False
        if self._rules.half_close and self.body_complete and self._head is not None:
            self._closing = True
            return True
        self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.due_at = _FOREVER
        if self._task is not None:
            self._task.cancel()
        if self.control is not None:
            self.control.close()
        self._door.closed(self)

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._handler is not None:
            self._handler.pause_answer()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._handler is not None:
            self._handler.resume_answer()

    # --- a request, as it comes ---

    def _read_head(self, data: bytes) -> None:
        begun = self._reader.waiting
        try:
            head = self._reader.read(data)
        except errors.ProxyError as error:
            self._refuse_unread(error)
            return
        if head is None:
            if not begun and self._reader.waiting:
                self.due_at = self._loop.time() + self._rules.head_timeout_s
            return
        self._head = head
        self._closing = not head.keep_alive
        self._expect_body(head)
        self._start()

    def _refuse_unread(self, error: errors.ProxyError) -> None:
        """Answer what can't be read, or will not be."""
        self._refused = error
        self._head = _UNREADABLE
        self._broken = True
        self.due_at = _FOREVER
        self._start()

    def _start(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        else:
            self._wake()

    def _expect_body(self, head: RequestHead) -> None:
        rest = self._reader.rest
        self._early = None
        if not head.body_bytes:
            self._body = None
            if rest:
                self._read_ahead(rest)
            return
        self._body = body_reader(head.body_bytes, _malformed)
        self._early = []
        self._early_bytes = 0
        if rest:
            self._read_body(rest)

    def _read_body(self, data: bytes) -> None:
        body = cast("Body", self._body)
        try:
            payload = body.take(data)
        except errors.ProxyError as error:
            self._body = None
            self._broken = True
            self._interrupt(error)
            return
        if body.done and body.rest:
            self._read_ahead(body.rest)
        if self._early is not None:
            self._early.append(payload)
            self._early_bytes += len(payload)
            if self._early_bytes > self._rules.read_buffer_bytes:
                self.pause_body()
            self._wake()
        elif self._handler is not None and (payload or body.done):
            self._handler.request_piece(payload)
            if body.done:
                self._wake()

    def _read_ahead(self, data: bytes) -> None:
        """Keep what comes behind the request; so the end of the connection is seen, and no more."""
        self._ahead.append(data)
        self._ahead_bytes += len(data)
        if self._ahead_bytes > self._rules.read_buffer_bytes:
            self._transport.pause_reading()

    def _throw_away(self, data: bytes) -> None:
        self._lingering_bytes = (self._lingering_bytes or 0) + len(data)
        if self._lingering_bytes > _MOST_LINGERING_BYTES:
            self._transport.abort()

    # --- requests answered, in order ---

    async def _serve(self) -> None:
        while True:
            await self._answer(cast("RequestHead", self._head))
            if self._closing or self._door.draining or self._transport.is_closing():
                self._close()
                return
            self._head = None
            self._body = None
            self.idle_since = self._loop.time()
            self.due_at = self.idle_since + self._rules.idle_s
            if self._ahead:
                self._next_of_ahead()
            while self._head is None:
                await self._wait()

    async def _answer(self, head: RequestHead) -> None:
        try:
            if self._refused is not None:
                raise self._refused
            self._handler = handler = self._door.handler(head, self)
        except errors.ProxyError as error:
            self._refuse(head, error)
            return
        self.due_at = handler.due_at
        if self._write_paused:
            handler.pause_answer()
        try:
            await handler.run()
        finally:
            self._handler = None
        if not self.body_complete:
            self._closing = True

    def _next_of_ahead(self) -> None:
        data = b"".join(self._ahead)
        paused = self._ahead_bytes > self._rules.read_buffer_bytes
        self._ahead.clear()
        self._ahead_bytes = 0
        if paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._read_head(data)

    def _refuse(self, head: RequestHead, error: errors.ProxyError) -> None:
        if error.closes or not self.body_complete:
            self._closing = True
        trace = trace_of(head.noted, getrandbits)
        self.send_problem(problem(error, self._door.plane.instance, trace))

    async def _wait(self) -> None:
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _close(self) -> None:
        """Close so that the last answer arrives: half-close, and read what still comes, bounded.

        A plain close with unread input makes the kernel send a reset, which may overtake the answer
        (RFC 9112, 9.6).
        """
        if self._transport.is_closing():
            return
        if self._at_end or (self.body_complete and not self._ahead and not self._broken):
            self._transport.close()
            return
        self._lingering_bytes = 0
        self.due_at = self._loop.time() + LINGER_S
        self._transport.write_eof()
        self._transport.resume_reading()

    # --- time ---

    def check(self, now: float) -> None:
        """`due_at` has come."""
        if self._lingering_bytes is not None:
            self._transport.abort()
        elif self._handler is not None:
            error = self._handler.overdue(now)
            self.due_at = self._handler.due_at
            if error is not None:
                self.due_at = _FOREVER
                self._interrupt(error)
        elif self._reader.waiting:
            seconds = self._rules.head_timeout_s
            self._refuse_unread(
                errors.RequestTimeoutError(f"The request's head was not complete in {seconds:g} s")
            )
        else:
            self._transport.close()

    def _interrupt(self, error: errors.ProxyError) -> None:
        """End what is being done for the caller, with an answer if it is not too late for one."""
        if self._handler is None or self._task is None:
            self._refused = error
        elif self._interruption is None:
            self._interruption = error
            self._task.cancel()

    def cut(self) -> None:
        """The sidecar stops: whatever is being done has had its time."""
        self._transport.abort()

    def drain(self) -> None:
        """No more requests on this connection: close it now if none is under way."""
        if self.idle:
            self._transport.close()

    # --- for the control plane ---

    def extra_info(self, name: str, default: object = None) -> object:
        return self._transport.get_extra_info(name, default)

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    # --- for the handler (see `exchange.CallerSide`) ---

    @property
    def body_complete(self) -> bool:
        return self._body is None or self._body.done

    def stays_open(self) -> bool:
        return not (self._closing or self._door.draining)

    def last(self) -> None:
        self._closing = True

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def send_problem(self, parts: Problem) -> None:
        head = cast("RequestHead", self._head)
        connection = connection_field(
            keep_alive=self.stays_open(), minor_version=head.minor_version
        )
        date = self._door.plane.date
        self.send(problem_bytes(parts, date, connection, head_only=head.method == b"HEAD"))

    def take_body(self) -> bytes:
        early, self._early = self._early, None
        if early is None:
            return b""
        self.resume_body()
        return early[0] if len(early) == 1 else b"".join(early)

    async def body_begun(self) -> None:
        while not (self._early_bytes or self.body_complete):
            await self._wait()

    async def body_end(self) -> None:
        while not self.body_complete:
            await self._wait()

    def trailers(self) -> list[bytes]:
        return self._body.trailers if self._body is not None else []

    def pause_body(self) -> None:
        if not self._body_paused and not self._transport.is_closing():
            self._body_paused = True
            self._transport.pause_reading()

    def resume_body(self) -> None:
        if self._body_paused and not self._transport.is_closing():
            self._body_paused = False
            if self._ahead_bytes <= self._rules.read_buffer_bytes:
                self._transport.resume_reading()

    def break_off(self, *, reset: bool) -> None:
        self._closing = True
        raw = self._transport.get_extra_info("socket")
        if reset:
            # The answer's end would be the connection's end: only a reset tells it from a whole one.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def interruption(self) -> errors.ProxyError | None:
        error, self._interruption = self._interruption, None
        if error is not None and self._task is not None:
            self._task.uncancel()
        return error


def _malformed(detail: str) -> errors.ProxyError:
    return errors.BadRequestError(f"The request breaks HTTP: {detail}")


_NOBODY: Final = Caller(b"", b"http", trusted=False)
# Stands for a request that can't be read while its refusal is sent.
_UNREADABLE: Final = RequestHead(b"", b"", 1, [], {}, [], 0, False, b"")  # noqa: FBT003
