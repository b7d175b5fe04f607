"""Two connections that have become one: bytes both ways, until both have ended.

Each side has a small protocol in place of its own, which writes into the other side. Each is paused
while the other is full, and the end of one becomes the end of the other, of the same kind. Of
frames it knows only where they end, so as to leave between two of them. Knows nothing of requests.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final, cast

from proxy.data_plane.roles import LINGER_S, CallerSide
from proxy.data_plane.upstream import Upstream
from proxy.wire.websocket import GOING_AWAY, Frames

IDLE_S: Final = 3600.0
_LOOKS: Final = 60  # at a tunnel, in the time that it may be idle
_FOREVER: Final = float("inf")
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s


class Side(asyncio.Protocol):
    """One end of a tunnel: what it reads goes into the other."""

    def __init__(self, tunnel: "Tunnel") -> None:
        self._tunnel = tunnel
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.other: Side = self
        self.write: Callable[[bytes], None] = _drop  # into the other
        self.moved_bytes = 0
        self.at_end = False  # nothing more comes from it
        self.lost = False

    def __repr__(self) -> str:
        state = "lost" if self.lost else "ended" if self.at_end else "open"
        return f"<Side {state} after {self.moved_bytes} bytes>"

    def into(self, other: "Side") -> None:
        self.other = other
        self.write = other.transport.write

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.moved_bytes += len(data)
        self.write(data)

    def eof_received(self) -> bool:
        """Pass the end on; this side stays open for what comes the other way, if it can."""
        self.at_end = True
        other = self.other
        if not other.transport.can_write_eof():  # TLS ends both ways at once
            other.close()
        elif not other.transport.is_closing():
            other.transport.write_eof()
        if other.at_end:
            self._tunnel.finish()
        return self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.other.write = _drop  # which raises, once the connection is no more
        self._tunnel.lost(self, meant=self.at_end and exc is None)

    def pause_writing(self) -> None:
        self.other.pause()

    def resume_writing(self) -> None:
        self.other.resume()

    def pause(self) -> None:
        if not (self.at_end or self.transport.is_closing()):
            self.transport.pause_reading()

    def resume(self) -> None:
        # Behind its end, that would come a second time.
        if not (self.at_end or self.transport.is_closing()):
            self.transport.resume_reading()

    def close(self) -> None:
        """End it once it has taken what was written."""
        self.at_end = True
        self.transport.close()

    def reset(self) -> None:
        """End it so that it can't be taken for an end that was meant."""
        if not self.transport.is_closing():
            raw = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()


class FromCaller(Side):
    """The caller's end; its connection is still one of the door's."""

    def __init__(self, tunnel: "Tunnel", client: CallerSide) -> None:
        super().__init__(tunnel)
        self._client = client

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._client.connection_lost(exc)


class FromUpstream(Side):
    """The upstream's end, which may have to be left between two frames."""

    def __init__(self, tunnel: "Tunnel") -> None:
        super().__init__(tunnel)
        self._frames = Frames()
        self._leaving = False  # when the frame that has begun is over
        self._left = False

    def data_received(self, data: bytes) -> None:
        self.moved_bytes += len(data)
        if self._leaving:
            self._end_frame(data)
        else:
            self._frames.pass_by(data)
            self.write(data)

    def leave(self) -> None:
        """Say to the caller that the server goes away, as soon as it is not in mid-frame."""
        if self.at_end or self._leaving or self._left:
            return
        self._leaving = True
        if self._frames.at_boundary:
            self._say_so()

    def pause(self) -> None:
        if not self._left:
            super().pause()

    def _end_frame(self, data: bytes) -> None:
        self.write(data[: self._frames.rest_of_frame(data)])
        if self._frames.at_boundary:
            self._say_so()

    def _say_so(self) -> None:
        self._leaving, self._left = False, True
        if not self._frames.closed:  # else the server has said more than that
            self.write(GOING_AWAY)
        self.write = _drop
        self.resume()  # what nobody gets need not wait for anybody


class Tunnel:
    """`run` it: it is over when the last byte has reached the upstream, or can't any more."""

    idle_s = IDLE_S  # on the class, for tests that can't wait

    def __init__(self, client: CallerSide, say_when: Callable[[float], None]) -> None:
        self.caller = FromCaller(self, client)
        self.upstream = FromUpstream(self)
        self.flag = ""  # why it ended, if nobody meant it to
        self._client = client
        self._say_when = say_when  # at what time of the loop `overdue` is to be asked
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._ending = False
        self._seen_bytes = -1
        self._still_since = 0.0

    def __repr__(self) -> str:
        return f"<Tunnel {self.caller} {self.upstream}>"

    async def run(self, upstream: Upstream) -> None:
        """Take the connections over, and wait until they have ended."""
        caller, upper = self.caller, self.upstream
        early_answer = upstream.hand_over(upper)
        early = self._client.hand_over(caller, upper.leave)
        caller.into(upper)
        upper.into(caller)
        if early:
            caller.data_received(early)
        if early_answer:
            upper.data_received(early_answer)
        self.overdue(self._loop.time())
        await self._over

    # --- the end ---

    def finish(self) -> None:
        """Both have said all: the upstream has to take the rest of it, the caller comes after."""
        self._within_s(LINGER_S)
        self.upstream.transport.close()
        if self.upstream.lost:
            self._end()

    def lost(self, side: Side, *, meant: bool) -> None:
        """One connection is no more; so goes the other."""
        other = side.other
        if not (meant or other.lost):
            self.flag = self.flag or ("DC" if side is self.caller else "UC")
            other.reset()
        elif side is self.caller:
            self.finish()
        elif not other.at_end:
            # A plain close with unread input would reset what the caller has yet to read.
            self._within_s(LINGER_S)
        if self.upstream.lost and (self.caller.at_end or self.caller.lost or not meant):
            self._end()

    def overdue(self, now: float) -> None:
        """Has anything moved since the last look?"""
        if self._ending:
            self.caller.reset()
            self.upstream.reset()
            return
        moved_bytes = self.caller.moved_bytes + self.upstream.moved_bytes
        if moved_bytes != self._seen_bytes:
            self._seen_bytes, self._still_since = moved_bytes, now
        if now - self._still_since >= self.idle_s:
            self.flag = "SI"
            self._within_s(LINGER_S)
            self.upstream.leave()
        else:
            self._say_when(now + self.idle_s / _LOOKS)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    def _within_s(self, seconds: float) -> None:
        """It has so long to end."""
        self._ending = True
        self._say_when(self._loop.time() + seconds)


def _drop(data: bytes) -> None:
    """Nobody gets it."""
