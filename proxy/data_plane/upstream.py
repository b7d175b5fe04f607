"""One connection to an endpoint: send a request, stream its answer, say whether it may be used again.

Knows one exchange at a time. Knows nothing of pools, routes or callers; what comes goes to a `Relay`.
"""

import asyncio
import select
from typing import Protocol, cast

from proxy import errors
from proxy.wire import fields
from proxy.wire.framing import Body, body_reader
from proxy.wire.head import UNTIL_CLOSE, ResponseHead
from proxy.wire.parser import HeadLimits, ResponseReader

_MOST_INTERIM_HEADS = 16
_SWITCHING_PROTOCOLS = 101
_CONTINUE = 100


class Relay(Protocol):
    """Where an answer goes, as it comes; what an exchange is to its upstream connection."""

    def interim(self, head: ResponseHead) -> None:
        """A 1xx answer before the final one."""

    def piece(self, payload: bytes) -> None:
        """Some of the body, after `Upstream.relay` was called."""

    def pause_request(self) -> None:
        """The upstream takes no more of the request for now."""

    def resume_request(self) -> None:
        """It does again."""


class Upstream(asyncio.Protocol):
    """One upstream connection. `reusable` tells the pool what to do with it after an exchange."""

    __slots__ = (
        "_body",
        "_error",
        "_held",
        "_interim_heads",
        "_limits",
        "_loop",
        "_poll",
        "_reader",
        "_relay",
        "_waiter",
        "_write_paused",
        "answered",
        "exchanges",
        "expires_at",
        "head",
        "keep_alive_s",
        "on_idle_loss",
        "reusable",
        "transport",
    )

    def __init__(self, limits: HeadLimits) -> None:
        # Of the connection:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self._poll = select.poll()
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.on_idle_loss: IdleLoss | None = None  # the pool, while the connection lies in it
        self.exchanges = 0
        self.expires_at = 0.0
        self.keep_alive_s: float | None = None  # what the upstream said in `Keep-Alive: timeout`
        self._write_paused = False
        # Of one exchange:
        self._reader = ResponseReader(limits)
        self._relay: Relay | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._body: Body | None = None
        self._error: errors.ProxyError | None = None
        self._held: list[bytes] | None = None
        self._interim_heads = 0
        self.head: ResponseHead | None = None
        self.answered = False  # has a byte of the answer come?
        self.reusable = False

    def __repr__(self) -> str:
        state = "busy" if self._relay else "idle"
        return f"<Upstream {state} after {self.exchanges} exchanges>"

    # --- for the pool ---

    @property
    def quiet(self) -> bool:
        """Nothing has come while the connection lay idle, not even what the loop has yet to read.

        One poll(2) of 0.3 us: without it, stray bytes that arrived while the loop was busy would
        answer the next call.
        """
        return not self.transport.is_closing() and not self._poll.poll(0)

    def close(self) -> None:
        """End the connection, at once and whatever it is doing."""
        self.on_idle_loss = None
        self.transport.abort()

    # --- for the exchange ---

    def begin(self, relay: Relay, *, bodiless: bool) -> None:
        """A new exchange; `bodiless` when the request is a HEAD."""
        self.exchanges += 1
        self._relay = relay
        self._reader.bodiless = bodiless
        self._body = None
        self._held = None
        self._interim_heads = 0
        self._error = None
        self.head = None
        self.answered = False
        self.reusable = False
        if self.transport.is_closing():
            self._error = errors.UpstreamClosedError("The upstream closed the connection")
        if self._write_paused:
            relay.pause_request()

    def send(self, data: bytes) -> None:
        """Send some of the request. Only bytes of this request ever go in between `begin`s."""
        if not self.transport.is_closing():  # else the loss is known, and told by `answer`
            self.transport.write(data)

    async def answer(self) -> ResponseHead:
        """The final head; raises `UpstreamError` when there is none."""
        while self.head is None:
            await self._wait()
        return self.head

    def relay(self) -> bytes:
        """Give the payload that came since the head; from now on it goes to the relay."""
        held = self._held
        self._held = None
        if not held:
            return b""
        return held[0] if len(held) == 1 else b"".join(held)

    @property
    def complete(self) -> bool:
        """Is the answer over?"""
        return self._body is not None and self._body.done

    @property
    def trailers(self) -> list[bytes]:
        """The answer's trailer lines, once it is complete."""
        return self._body.trailers if self._body is not None else []

    async def end(self) -> None:
        """Wait until the answer is over; raises `UpstreamError` when it breaks off."""
        while not self.complete:
            await self._wait()

    def release(self) -> None:
        """The exchange is over, one way or another."""
        self._relay = None

    def pause(self) -> None:
        """The caller takes no more for now: read no more than the socket's buffer holds."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    async def _wait(self) -> None:
        """Wait for news; raise what ended the answer, if that is the news."""
        if self._error is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if self._error is not None:
            raise self._error

    # --- the answer, as it comes ---

    def data_received(self, data: bytes) -> None:
        if self._relay is None:
            self._lost_while_idle()
            return
        self.answered = True
        try:
            if self._body is None:
                self._read_head(data)
            else:
                self._read_body(self._body, data)
        except errors.ProxyError as error:
            self._fail(error)

    def _read_head(self, data: bytes) -> None:
        head = self._reader.read(data)
        while head is not None and head.status < 200:  # noqa: PLR2004 - 1xx
            self._interim(head)
            head = self._reader.read(self._reader.rest) if self._reader.rest else None
        if head is None:
            return
        self.head = head
        self._body = body = body_reader(head.body_bytes, _malformed)
        self._held = []
        if self._reader.rest:
            self._read_body(body, self._reader.rest)
        elif body.done:
            self._complete(head, body)
        self._wake()

    def _interim(self, head: ResponseHead) -> None:
        self._interim_heads += 1
        if head.status == _SWITCHING_PROTOCOLS or self._interim_heads > _MOST_INTERIM_HEADS:
            raise errors.UpstreamProtocolError("The upstream switches protocols unasked, or stalls")
        # RFC 9110, 10.1.1: an Expect is answered by us and not sent on, so its 100 is not news.
        if head.status != _CONTINUE and self._relay is not None:
            self._relay.interim(head)

    def _read_body(self, body: Body, data: bytes) -> None:
        was_over = body.done
        if was_over:
            # RFC 9112, 9.3: what comes behind the answer is no answer. Never use this one again.
            self.reusable = False
            self.transport.abort()
            return
        payload = body.take(data)
        if self._held is not None:
            self._held.append(payload)
        elif payload and self._relay is not None:
            self._relay.piece(payload)
        if body.done and self.head is not None:
            self._complete(self.head, body)
            self._wake()

    def _complete(self, head: ResponseHead, body: Body) -> None:
        self.reusable = head.keep_alive and not body.rest and head.body_bytes != UNTIL_CLOSE
        if b"keep-alive" in head.noted:
            self.keep_alive_s = _timeout_of(head.noted[b"keep-alive"])

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: errors.ProxyError) -> None:
        self.reusable = False
        self._error = error
        self._wake()
        self.transport.abort()

    # --- the connection ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def eof_received(self) -> bool:
        return False  # close: the answer ends here, or is broken off

    def connection_lost(self, exc: Exception | None) -> None:
        if self._relay is None:
            self._lost_while_idle()
        elif self.head is not None and self.head.body_bytes == UNTIL_CLOSE and exc is None:
            cast("Body", self._body).done = True
            self._wake()
        elif not self.complete:
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


class IdleLoss(Protocol):
    """Who must know when an idle connection is gone."""

    def forget(self, upstream: Upstream) -> None: ...


def _malformed(detail: str) -> errors.ProxyError:
    return errors.UpstreamProtocolError(f"The upstream's answer breaks HTTP: {detail}")


def _timeout_of(keep_alive: bytes) -> float | None:
    """`Keep-Alive: timeout=N` (RFC 2068, 19.7.1.1), where it is a plain number."""
    for parameter in fields.tokens(keep_alive):
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"timeout" and value.strip().isdigit():
            return float(value[:6])
    return None
