"""One connection to an endpoint: send a request, stream its answer, say if it may be used again.

Knows one exchange at a time. Knows nothing of pools, routes or callers: what comes goes to a
`Relay`.
"""

import asyncio
import select
from typing import Final, Protocol, cast

from proxy import errors
from proxy.wire import fields
from proxy.wire.framing import Body, body_reader
from proxy.wire.head import UNTIL_CLOSE, ResponseHead
from proxy.wire.parser import ResponseReader
from proxy.wire.reader import HeadLimits
from proxy.wire.websocket import SWITCHING, is_switched, switched

_MOST_INTERIM_HEADS: Final = 16
_CONTINUE: Final = 100
_MOST_EARLY_BYTES: Final = 64 * 1024  # of a body that the exchange has not asked for yet


class Relay(Protocol):
    """Where an answer goes, as it comes; what an exchange is to its upstream connection."""

    upgrading: bool  # may the answer be a 101?

    def interim(self, head: ResponseHead) -> None:
        """A 1xx answer before the final one."""

    def piece(self, payload: bytes) -> None:
        """Some of the body, after `Upstream.relay` was called."""

    def pause_request(self) -> None:
        """The upstream takes no more of the request for now."""

    def resume_request(self) -> None:
        """It does again."""


class IdleLoss(Protocol):
    """Who must know when an idle connection is gone."""

    def forget(self, upstream: "Upstream") -> None: ...


class Upstream(asyncio.Protocol):
    """One upstream connection. `reusable` tells the pool what to do with it after an exchange."""

    def __init__(self, limits: HeadLimits) -> None:
        # Of the connection:
        self._loop = asyncio.get_running_loop()
        self._reader = ResponseReader(limits)
        self._poll = select.poll()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.on_idle_loss: IdleLoss | None = None  # the pool, while the connection lies in it
        self.exchanges = 0
        self.gone = False  # closing or closed: the transport knows it too, at the price of a call
        self.kept_at = 0.0
        self.expires_at = 0.0
        self.keep_alive_s: float | None = None  # what the upstream said in `Keep-Alive: timeout`
        self._write_paused = False
        self._read_paused = False
        self._held_back = False  # paused by ourselves, until `relay` is called
        # Of one exchange:
        self._relay: Relay | None = None
        self._answer: asyncio.Future[ResponseHead] | None = None
        self._ended: asyncio.Future[None] | None = None  # while somebody waits for the end
        self._head: ResponseHead | None = None
        self._body: Body | None = None  # while the answer's body is not over
        self._early: bytes | None = None  # payload that came before `relay` was called
        self._error: errors.ProxyError | None = None
        self._interim_heads = 0
        self.answered = False  # has a byte of the answer come?
        self.complete = False  # is the answer over?
        self.reusable = False
        self.trailers: list[bytes] = []

    def __repr__(self) -> str:
        state = "busy" if self._relay else "idle"
        return f"<Upstream {state} after {self.exchanges} exchanges>"

    # --- for the pool ---

    @property
    def quiet(self) -> bool:
        """Nothing has come while the connection lay idle, not even what the loop has yet to read.

        One poll(2), 1 us between other work: without it, stray bytes that arrived while the loop
        was busy would answer the next call.
        """
        return not self._poll.poll(0)

    def close(self) -> None:
        """End the connection, at once and whatever it is doing."""
        self.on_idle_loss = None
        self.gone = True
        self.transport.abort()

    # --- for the exchange ---

    def begin(self, relay: Relay, *, bodiless: bool) -> "asyncio.Future[ResponseHead]":
        """A new exchange; the future gives the final head, or raises `UpstreamError`.

        `bodiless` when the request is a HEAD. (A future: a coroutine around it costs 0.3 us more.)
        """
        self.exchanges += 1
        self._relay = relay
        if bodiless is not self._reader.bodiless:
            self._reader.expect(bodiless=bodiless)
        self._head = None
        self._body = None
        self._early = None
        self.answered = False
        self.reusable = False
        self.complete = False
        if self.trailers:
            self.trailers = []
        self._answer = answer = self._loop.create_future()
        if self.gone:
            self._fail(errors.UpstreamGoneError("The upstream closed the connection"))
        if self._write_paused:
            relay.pause_request()
        return answer

    def send(self, data: bytes) -> None:
        """Send some of the request. Only bytes of this request ever go in between `begin`s."""
        if not self.gone:  # else the loss is known, and told by the future
            self.transport.write(data)

    def relay(self) -> bytes:
        """Give the payload that came since the head; from now on it goes to the relay."""
        early, self._early = self._early, None
        if self._held_back:
            self.resume()
        return early or b""

    def hand_over(self, side: asyncio.Protocol) -> bytes:
        """It has switched: what comes from now on is the side's; gives what has come already.

        Raises `UpstreamError`.
        """
        if self.gone:
            raise self._error or errors.UpstreamClosedError("The upstream closed as it switched")
        self.gone = True  # for everybody else
        side.connection_made(self.transport)
        self.transport.set_protocol(side)
        self.transport.resume_reading()
        return self._reader.rest

    async def end(self) -> None:
        """Wait until the answer is over; raises `UpstreamError` when it breaks off."""
        if self._body is not None and self._error is None:
            self._ended = self._loop.create_future()
            await self._ended
        if self._error is not None:
            raise self._error

    def release(self) -> None:
        """The exchange is over, one way or another."""
        if self._read_paused:  # the caller was slow to the end; the next one may not be
            self.resume()
        self._relay = None
        self._answer = None
        self._ended = None
        self._error = None  # with its traceback, which holds the exchange

    def pause(self) -> None:
        """The caller takes no more for now: read no more than the socket's buffer holds."""
        self._read_paused = True
        self._held_back = False
        if not self.gone:
            self.transport.pause_reading()

    def resume(self) -> None:
        self._read_paused = False
        self._held_back = False
        if not self.gone:
            self.transport.resume_reading()

    # --- the answer, as it comes ---

    def data_received(self, data: bytes) -> None:
        if self._relay is None:
            self._lost_while_idle()
            return
        self.answered = True
        try:
            if self._body is not None:
                self._read_body(self._body, data)
            elif self._head is None:
                self._read_head(data)
            else:
                # RFC 9112, 9.3: what comes behind the answer is no answer. Use this one no more.
                self.reusable = False
                self.gone = True
                self.transport.abort()
        except errors.ProxyError as error:
            self._fail(error)

    def _read_head(self, data: bytes) -> None:
        reader = self._reader
        head = reader.read(data)
        while head is not None and head.status < 200:  # noqa: PLR2004 - 1xx
            if self._switches(head):
                self._switch(head)
                return
            self._interim(head)
            head = reader.read(reader.rest) if reader.rest else None
        if head is None:
            return
        self._head = head
        rest = reader.rest
        if head.body_bytes == len(rest):  # all in one piece, as most answers are
            self._early = rest
            self._complete(head)
        else:
            self._body = body = body_reader(head.body_bytes, _malformed)
            self._early = b""
            if rest or body.done:
                self._read_body(body, rest)
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(head)

    def _switches(self, head: ResponseHead) -> bool:
        asked = self._relay is not None and self._relay.upgrading
        return head.status == SWITCHING and asked and is_switched(head)

    def _switch(self, head: ResponseHead) -> None:
        """What follows is for whom `hand_over` says; until then it is not read."""
        self._head = head
        self.pause()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(switched(head))

    def _interim(self, head: ResponseHead) -> None:
        self._interim_heads += 1
        if head.status == SWITCHING or self._interim_heads > _MOST_INTERIM_HEADS:
            raise errors.UpstreamProtocolError("The upstream switches protocols unasked, or stalls")
        # RFC 9110, 10.1.1: an Expect is answered by us and not sent on, so its 100 is not news.
        if head.status != _CONTINUE and self._relay is not None:
            self._relay.interim(head)

    def _read_body(self, body: Body, data: bytes) -> None:
        was_over = body.done
        payload = b"" if was_over else body.take(data)
        if self._early is not None:
            self._early += payload
            if len(self._early) > _MOST_EARLY_BYTES and not self._read_paused:
                self.pause()
                self._held_back = True
        elif payload and self._relay is not None:
            self._relay.piece(payload)
        if body.done and self._head is not None:
            self._body = None
            self.trailers = body.trailers
            self._complete(self._head)
            if body.rest or (was_over and data):
                self.reusable = False
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)

    def _complete(self, head: ResponseHead) -> None:
        self._interim_heads = 0
        self.complete = True
        self.reusable = head.keep_alive and head.body_bytes != UNTIL_CLOSE
        if b"keep-alive" in head.noted:
            self.keep_alive_s = _timeout_of(head.noted[b"keep-alive"])

    def _fail(self, error: errors.ProxyError) -> None:
        self.reusable = False
        self._error = error
        self.gone = True
        self.transport.abort()
        for waiter in (self._answer, self._ended):
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # seen: the exchange may have been cancelled meanwhile

    # --- the connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def eof_received(self) -> bool:
        self.gone = True
        return False  # close: the answer ends here, or is broken off

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self._relay is None:
            self._lost_while_idle()
        elif self._head is not None and self._head.body_bytes == UNTIL_CLOSE and exc is None:
            self._body = None
            self.complete = True
            if self._ended is not None and not self._ended.done():
                self._ended.set_result(None)
        elif not self.complete and self._error is None:
            self._fail(errors.UpstreamClosedError("The upstream closed before its answer was over"))

    def _lost_while_idle(self) -> None:
        pool = self.on_idle_loss
        self.close()
        if pool is not None:
            pool.forget(self)

    def pause_writing(self) -> None:
        self._write_paused = True
        if self._relay is not None:
            self._relay.pause_request()

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._relay is not None:
            self._relay.resume_request()


def _malformed(detail: str) -> errors.ProxyError:
    return errors.UpstreamProtocolError(f"The upstream's answer breaks HTTP: {detail}")


def _timeout_of(keep_alive: bytes) -> float | None:
    """`Keep-Alive: timeout=N` (RFC 2068, 19.7.1.1), where it is a plain number."""
    for parameter in fields.tokens(keep_alive):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"timeout" and value.strip().isdigit():
            return float(value[:6])
    return None
