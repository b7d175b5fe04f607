"""A transport of which nothing reaches a wire: what was done to it is all there is."""

import asyncio
import socket
import struct
from collections.abc import Mapping

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of 0 s


class FakeTransport(asyncio.Transport):
    """One side of a connection, as asyncio gives it to a protocol."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.Protocol,
        extra: Mapping[str, object],
    ) -> None:
        super().__init__(dict(extra))
        self.protocol = protocol
        self.far_socket: socket.socket
        self._loop = loop
        self._written = bytearray()
        self._unread = bytearray()
        self._reading = True
        self._ended = False
        self._fate = ""
        self._lost = False
        self._full = False  # else the kernel has taken what was written
        self._limits: tuple[int | None, int | None] = (None, None)

    def __repr__(self) -> str:
        return f"<FakeTransport {self.fate}>"

    # --- for the test ---

    @property
    def fate(self) -> str:
        if self._fate == "aborted" and self._linger() == _RESET:
            return "reset"
        return self._fate or ("half-closed" if self._ended else "open")

    def take(self) -> bytes:
        """What was written since it was last asked."""
        written = bytes(self._written)
        self._written.clear()
        return written

    def open(self) -> None:
        self.protocol.connection_made(self)

    def receive(self, octets: bytes) -> None:
        """Bytes come; they wait while nobody reads, and are lost once the connection is."""
        self._unread += octets
        self._deliver()

    def receive_end(self) -> None:
        if not self._fate and not self.protocol.eof_received():
            self.close()

    def lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._fate = self._fate or "lost"
            self.protocol.connection_lost(error)

    def fill(self) -> None:
        self._full = True
        self.protocol.pause_writing()

    def drain(self) -> None:
        self._full = False
        self.protocol.resume_writing()

    # --- for the protocol ---

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.fate == "open", f"written after the end: {bytes(data)!r}"
        self._written += data

    def write_eof(self) -> None:
        self._ended = True

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return bool(self._fate)

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("aborted")

    def is_reading(self) -> bool:
        return self._reading and not self._fate

    def pause_reading(self) -> None:
        assert not self._fate, "paused after the end"
        self._reading = False

    def resume_reading(self) -> None:
        assert not self._fate, "resumed after the end"
        self._reading = True
        if self._unread:
            self._loop.call_soon(self._deliver)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._limits = (high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        high, low = self._limits
        return low or 0, high or 0

    def get_write_buffer_size(self) -> int:
        return len(self._written) if self._full else 0

    def _deliver(self) -> None:
        if self._reading and not self._fate and self._unread:
            octets, self._unread = bytes(self._unread), bytearray()
            self.protocol.data_received(octets)

    def _end(self, fate: str) -> None:
        if not self._fate:
            self._fate = fate
            self._loop.call_soon(self.lose, None)

    def _linger(self) -> bytes:
        near: socket.socket = self.get_extra_info("socket")
        return near.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET))
