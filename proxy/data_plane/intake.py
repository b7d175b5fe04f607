"""What comes from a caller, and in which order: heads, bodies, what is ahead of its turn, its end.

One request is taken in at a time; bytes behind it stay unparsed until its answer is out. Knows
nothing of who answers: `Downstream` builds on it.
"""

import asyncio
from typing import Final, cast

from proxy import errors
from proxy.data_plane.roles import Handler, Rules
from proxy.wire.framing import Body, body_reader
from proxy.wire.head import RequestHead
from proxy.wire.parser import RequestReader

_MOST_LINGERING_BYTES: Final = 1024 * 1024
# More than this in one read costs milliseconds, and libuv may have 31 more reads in hand for us.
_MANY_PIECES: Final = 256
_MANY_EMPTY_BYTES: Final = 16 * 1024


class Intake(asyncio.Protocol):
    """The reading half of a caller's connection."""

    def __init__(self, rules: Rules) -> None:
        # Of the connection:
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._reader = RequestReader(rules.heads)
        self._ahead: list[bytes] = []  # bytes behind the request that is being answered
        self._ahead_bytes = 0
        self._body_paused = False
        self._broken = False  # where the next request would begin is not known
        self.body_complete = True  # an attribute, since it is asked five times a call
        self._lingering_bytes: int | None = None  # thrown away after our last answer
        self.due_at = float("inf")
        # Of one request:
        self._head: RequestHead | None = None
        self._body: Body | None = None  # while it is not over
        self._early: bytes | None = None  # payload that nobody has taken yet
        self._trailers: list[bytes] = []
        self._body_read_bytes = 0
        self._most_body_bytes: int | None = None
        self._handler: Handler | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._closing = False  # close once this request is answered

    # --- for `Downstream` to decide ---

    def _begin(self) -> None:
        """A head has come, or what can't be read as one was refused."""
        raise NotImplementedError

    def _refuse_unread(self, error: errors.ProxyError, begun: bytes = b"") -> None:
        """Answer what can't be read."""
        raise NotImplementedError

    def _interrupt(self, error: errors.ProxyError) -> None:
        """End what is being done for the caller."""
        raise NotImplementedError

    # --- bytes ---

    def data_received(self, data: bytes) -> None:
        if self._head is None and self._lingering_bytes is None:
            self._read_head(data)
        elif self._body is not None:
            self._read_body(self._body, data)
        elif self._lingering_bytes is None:
            self._read_ahead(data)
        else:
            self._throw_away(self._lingering_bytes + len(data))

    def _read_head(self, data: bytes) -> None:
        reader = self._reader
        begun, held = reader.waiting, reader.held
        try:
            head = reader.read(data)
        except errors.ProxyError as error:
            self._refuse_unread(error, held + data)
            return
        if head is None:
            if len(data) > _MANY_EMPTY_BYTES:
                self._let_others_go_first()
            if not begun:
                self.due_at = self._loop.time() + self._rules.head_timeout_s
            return
        self._head = head
        self._closing = not head.keep_alive
        rest = reader.rest
        self._body_read_bytes = 0
        self._most_body_bytes = None
        if head.body_bytes == len(rest):  # all in one piece, as most calls are
            self._early = rest
        elif not head.body_bytes:
            self._read_ahead(rest)
        else:
            self._body = body_reader(head.body_bytes, _malformed)
            self.body_complete = False
            self._early = b""
            if rest:
                self._read_body(self._body, rest)
        self._begin()

    def _read_body(self, body: Body, data: bytes) -> None:
        try:
            payload = body.take(data)
            self._body_read_bytes += len(payload)
            self._check_body_size()
        except errors.ProxyError as error:
            self._broken = True
            self._body = None
            self._interrupt(error)
            return
        if body.pieces > _MANY_PIECES:
            self._let_others_go_first()
        if body.done:
            self._body = None
            self.body_complete = True
            self._trailers = body.trailers
            if body.rest:
                self._read_ahead(body.rest)
        if self._early is not None:
            self._early += payload
            if len(self._early) > self._rules.read_buffer_bytes:
                self.pause_body()
        elif self._handler is not None and (payload or body.done):
            self._handler.request_piece(payload)
        self._wake()

    def _let_others_go_first(self) -> None:
        """Read on in the loop's next turn."""
        if not self._transport.is_closing():
            self._transport.pause_reading()
            self._loop.call_soon(self._read_on)

    def _read_on(self) -> None:
        if not (self._body_paused or self._is_far_ahead or self._transport.is_closing()):
            self._transport.resume_reading()

    @property
    def _is_far_ahead(self) -> bool:
        return self._ahead_bytes > self._rules.read_buffer_bytes

    def _check_body_size(self) -> None:
        if self._most_body_bytes is not None and self._body_read_bytes > self._most_body_bytes:
            raise errors.BodyTooLargeError(f"The body may have {self._most_body_bytes} bytes")

    def _read_ahead(self, data: bytes) -> None:
        """Keep what comes behind the request, bounded: so that the caller's end is seen."""
        self._ahead.append(data)
        self._ahead_bytes += len(data)
        if self._is_far_ahead:
            self._transport.pause_reading()

    def _next_of_ahead(self) -> None:
        """The last answer is out: read on."""
        paused = self._is_far_ahead
        data = self._take_ahead()
        if paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._read_head(data)

    def _take_ahead(self) -> bytes:
        """What came behind the request, and is none."""
        data = b"".join(self._ahead)
        self._ahead.clear()
        self._ahead_bytes = 0
        return data

    def _throw_away(self, so_far_bytes: int) -> None:
        self._lingering_bytes = so_far_bytes
        if so_far_bytes > _MOST_LINGERING_BYTES:
            self._transport.abort()

    # --- the body, for whoever answers (see `roles.CallerSide`) ---

    def take_body(self) -> bytes:
        early, self._early = self._early, None
        if self._body_paused:
            self.resume_body()
        return early or b""

    def limit_body(self, most_bytes: int) -> None:
        self._most_body_bytes = most_bytes
        declared = self._head.body_bytes if self._head else 0
        if declared > most_bytes:
            raise errors.BodyTooLargeError(f"The body may have {most_bytes} bytes")
        self._check_body_size()

    @property
    def awaits_body(self) -> bool:
        return not (self.body_complete or self._body_paused)

    async def body_begun(self) -> None:
        while not (self._early or self.body_complete):
            await self._wait()

    async def body_more(self) -> None:
        if not self.body_complete:
            await self._wait()

    async def body_end(self) -> None:
        while not self.body_complete:
            await self._wait()

    def trailers(self) -> list[bytes]:
        return self._trailers

    def pause_body(self) -> None:
        if not self._body_paused and not self._transport.is_closing():
            self._body_paused = True
            self._transport.pause_reading()

    def resume_body(self) -> None:
        if self._body_paused and not self._transport.is_closing():
            self._body_paused = False
            if not self._is_far_ahead:
                self._transport.resume_reading()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _malformed(detail: str) -> errors.ProxyError:
    return errors.BadRequestError(f"The request breaks HTTP: {detail}")
