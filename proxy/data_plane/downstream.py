"""One caller's connection: have each request answered, in order; keep it, or close it well.

Knows connections and time. Knows nothing of tools: who answers a request is the `Handler` that the
door gives for it. How requests are read is in `intake`.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from random import getrandbits
from time import monotonic
from typing import Any, Final, Protocol, cast

from proxy import errors
from proxy.data_plane.intake import Intake
from proxy.data_plane.roles import LINGER_S, ControlSession, Entryway, Handler, Plane, Rules
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import Caller, connection_field
from proxy.wire.head import RequestHead
from proxy.wire.problem import Problem, problem, problem_bytes
from proxy.wire.trace import trace_of

_FOREVER: Final = float("inf")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s


class Door(Protocol):
    """What a connection needs of the listener that accepted it."""

    plane: Plane
    draining: bool

    def opened(self, connection: "Downstream") -> errors.ProxyError | None:
        """A connection is there: why it can't stay, or nothing."""

    def may_linger(self, connection: "Downstream") -> bool:
        """May it wait for its caller's end?"""

    def caller(self, peer: object, entryway: Entryway, secured: Any) -> Caller:
        """What is known of who connected from this address; `secured` is what TLS knows."""

    def handler(self, head: RequestHead, connection: "Downstream") -> Handler:
        """Who answers this; raises when nobody may."""

    def closed(self, connection: "Downstream") -> None: ...


class Downstream(Intake):
    """A caller's connection. `due_at` (loop time) is when `check` wants to be asked."""

    # On the class: with a 31st on the instance, all of them would cost more to reach.
    _leave: Callable[[], None] | None = None  # once it is one end of a tunnel

    def __init__(self, door: Door, rules: Rules, entryway: Entryway) -> None:
        super().__init__(rules)
        self._door = door
        self.entryway = entryway  # where it came in
        self._task: asyncio.Task[None] | None = None
        self._write_paused = False
        self._interruption: errors.ProxyError | None = None
        self._refused: errors.ProxyError | None = None  # before anyone was asked to answer
        self._at_end = False  # the caller sends no more
        self._half_closes = False  # is that all it means?
        self.caller = _NOBODY
        self.control: ControlSession | None = None  # once a request was for the control plane
        self.idle_since = 0.0

    def __repr__(self) -> str:
        state = "idle" if self.idle else "busy"
        return f"<Downstream {self.caller.address.decode()} {state}>"

    @property
    def idle(self) -> bool:
        """Is no request being read or answered?"""
        return self._handler is None and self._head is None and not self._reader.waiting

    @property
    def tunnelled(self) -> bool:
        """Is it one end of a tunnel?"""
        return self._leave is not None

    # --- the connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        rules = self._rules
        self._half_closes = rules.half_close and self._transport.can_write_eof()  # TLS can't
        self._transport.set_write_buffer_limits(rules.high_water_bytes, rules.low_water_bytes)
        self.idle_since = self._loop.time()
        self.due_at = self.idle_since + rules.idle_s
        peer = transport.get_extra_info("peername")
        if peer is None:  # it was reset before it was accepted: what it sent is nobody's
            self._transport.abort()
            return
        secured = transport.get_extra_info("ssl_object")
        self.caller = self._door.caller(peer, self.entryway, secured)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # event streams have no time-out
        refused = self._door.opened(self)
        if refused is not None:
            self._refuse_unread(refused)

    def eof_received(self) -> bool:
        """End of input means that the caller is gone (as for nginx), unless `half_close`."""
        self._at_end = True
        if self._lingering_bytes is not None or self.idle:
            return False
        if self._half_closes and self._body is None and self._head is not None:
            self._closing = True
            return True
        self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.due_at = _FOREVER
        if self._task is not None:
            if self._handler is None or not self._handler.outlive(self._task):
                self._task.cancel()
            self._task = None
        self._handler = None  # else: a circle, with the body that it has gathered
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
        else:
            self._wake()

    # --- requests answered, in order ---

    def _begin(self) -> None:
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        else:
            self._wake()

    async def _serve(self) -> None:
        """Answer one request after the other, for as long as the connection lasts."""
        loop, plane = self._loop, self._door.plane
        while True:
            while self._write_paused:  # answers that nobody takes must not pile up
                await self._wait()
            handler = self._handler_of(cast("RequestHead", self._head))
            if handler is not None:
                await handler.run()
                self._handler = None
                if self._body_paused:  # by an upstream that is gone, or a second try that failed
                    self.resume_body()
            if not self.stays_open() or self._transport.is_closing():
                self._close()
                return
            self._rest(plane.now)
            while self._head is None:
                self._waiter = loop.create_future()
                await self._waiter

    def _rest(self, now: float) -> None:
        """The answer is out: idle from now on, unless the next request lies here already."""
        self._head = None
        self._early = None
        self.idle_since = now
        self.due_at = now + self._rules.idle_s
        if self._ahead:
            self._next_of_ahead()

    def _handler_of(self, head: RequestHead) -> Handler | None:
        """Who answers; nobody when the answer is a refusal, which is sent at once."""
        try:
            if self._refused is not None:
                refused, self._refused = self._refused, None  # else: a circle, with its traceback
                raise refused
            self._handler = handler = self._door.handler(head, self)
        except errors.ProxyError as error:
            self._refuse(head, error)
            return None
        self.due_at = handler.due_at
        return handler

    def _refuse(self, head: RequestHead, error: errors.ProxyError) -> None:
        error.__traceback__ = None  # holds this connection and what it has read
        if error.closes or not self.body_complete:
            self._closing = True
        trace, plane = trace_of(head.noted, getrandbits), self._door.plane
        parts = problem(error, plane.instance, trace)
        record = ExchangeRecord(monotonic(), head, self.caller, trace)
        record.route = "unmatched"
        record.status, record.code, record.detail = error.status, error.code, error.detail
        record.reason = error.reason
        record.flag = error.flag
        record.response_bytes = self.send_problem(parts)
        record.finished_at = record.started_at
        plane.publish_refusal(record)

    def _refuse_unread(self, error: errors.ProxyError, begun: bytes = b"") -> None:
        self._refused = error
        # Stands for a request that can't be read while its refusal is sent: all there is of it.
        line = begun.partition(b"\n")[0].rstrip(b"\r")[:_LONGEST_SHOWN]
        self._head = RequestHead(b"", line, 1, b"", {}, 0, False, b"")  # noqa: FBT003
        self._broken = True
        self.body_complete = False
        self.due_at = self._loop.time() + LINGER_S
        self._begin()

    def _interrupt(self, error: errors.ProxyError) -> None:
        """With an answer, if it is not too late for one."""
        if self._handler is None or self._task is None:
            self._refused = error
        elif self._interruption is None:
            self._interruption = error
            self._task.cancel()

    def _close(self) -> None:
        """Close so that the last answer arrives: half-close, and read what still comes, bounded.

        A plain close with unread input makes the kernel send a reset, which may overtake the answer
        (RFC 9112, 9.6).
        """
        if self._transport.is_closing():
            return
        nothing_left = self._at_end or (self.body_complete and not self._ahead)
        # TLS can't half-close: its own close says the end, and reads on until the caller's.
        lingers = self._transport.can_write_eof() and self._door.may_linger(self)
        if nothing_left or not lingers:
            self.due_at = self._loop.time() + self._rules.idle_s
            self._transport.close()
            return
        self._lingering_bytes = 0
        self._body = None
        self.due_at = self._loop.time() + LINGER_S
        self._transport.write_eof()
        self._transport.resume_reading()

    # --- time, and the end ---

    def check(self, now: float) -> None:
        """`due_at` has come."""
        stuck = self._write_paused and self._handler is None
        if stuck or self._lingering_bytes is not None or self._transport.is_closing():
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
                errors.RequestTimeoutError(f"The request's head was not complete in {seconds:g} s"),
                self._reader.held,
            )
        elif self._transport.get_write_buffer_size():  # untaken: a close would wait for ever
            self._transport.abort()
        else:
            self._transport.close()

    def drain(self) -> None:
        """No more requests on this connection: close it now if none is under way."""
        if self.idle:
            self._transport.close()
        elif self._leave is not None:
            self._leave()

    def cut(self) -> None:
        """The sidecar stops: whatever is being done has had its time."""
        self._transport.abort()

    # --- for the control plane ---

    def extra_info(self, name: str, default: object = None) -> object:
        if name == "certificate":
            return self.caller.certificate
        return self._transport.get_extra_info(name, default)

    @property
    def idle_s(self) -> float:
        return self._rules.idle_s

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    # --- for the handler (see `roles.CallerSide`) ---

    def stays_open(self) -> bool:
        return not (self._closing or self._broken or self._door.draining)

    def last(self) -> None:
        self._closing = True

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def send_problem(self, parts: Problem) -> int:
        head = cast("RequestHead", self._head)
        connection = connection_field(
            keep_alive=self.stays_open(), minor_version=head.minor_version
        )
        date = self._door.plane.date
        head_only = head.method == b"HEAD"
        self.send(problem_bytes(parts, date, connection, head_only=head_only))
        return 0 if head_only else len(parts.body)

    def hand_over(self, side: asyncio.Protocol, leave: Callable[[], None]) -> bytes:
        self._leave = leave
        self._closing = True
        side.connection_made(self._transport)
        self._transport.set_protocol(side)
        if self._is_far_ahead:
            self._transport.resume_reading()
        return self._take_ahead()

    def break_off(self, *, reset: bool) -> None:
        self._closing = True
        if reset:
            # The answer's end would be the connection's: only a reset tells it from a whole one.
            raw = self._transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def interruption(self) -> errors.ProxyError | None:
        error, self._interruption = self._interruption, None
        if error is not None and self._task is not None:
            self._task.uncancel()
        return error


_NOBODY: Final = Caller(b"", b"http", b"", trusted=False)
_LONGEST_SHOWN: Final = 1024
