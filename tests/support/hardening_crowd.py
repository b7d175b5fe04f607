"""Many connections in one hand: opened at once, dripped into, listened to until they end."""

import contextlib
import re
import selectors
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final, Self

_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_MOST_KEPT_BYTES: Final = 1 << 16
_TICK_S: Final = 0.02


class Member:
    """One connection of a crowd: what came on it, and when it ended."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
        self.opened_at = time.monotonic()
        self.received = bytearray()
        self.ended_at: float | None = None

    @property
    def statuses(self) -> tuple[int, ...]:
        return tuple(int(each) for each in _STATUS.findall(self.received))

    def send(self, octets: bytes) -> None:
        with contextlib.suppress(OSError):  # that it has ended is seen by listening
            self.socket.send(octets)

    def listen(self) -> bool:
        """Take what has come; whether the connection goes on."""
        try:
            came = self.socket.recv(_MOST_KEPT_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            came = b""
        self.received += came[: _MOST_KEPT_BYTES - len(self.received)]
        if not came:
            self.ended_at = time.monotonic()
        return bool(came)


class Crowd:
    """Connections that are all treated alike. What is open at the end of the `with` is closed."""

    def __init__(self, port: int, size: int) -> None:
        self._listening = selectors.DefaultSelector()
        self.members: list[Member] = []
        try:
            for _ in range(size):
                self.members.append(Member(port))
                member = self.members[-1]
                self._listening.register(member.socket, selectors.EVENT_READ, member)
        except OSError:
            self.leave()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def open(self) -> list[Member]:
        return [member for member in self.members if member.ended_at is None]

    @property
    def statuses(self) -> Counter[tuple[int, ...]]:
        """How many connections were answered how."""
        return Counter(member.statuses for member in self.members)

    @property
    def longest_s(self) -> float:
        """How long the connection lasted that lasted longest."""
        now = time.monotonic()
        return max((member.ended_at or now) - member.opened_at for member in self.members)

    def send(self, octets: bytes) -> None:
        for member in self.open:
            member.send(octets)

    def drip(self, octets: Iterable[int], *, within_s: float) -> None:
        """One byte to each every now and then, until all have ended or the time is up."""
        ends_at = time.monotonic() + within_s
        for octet in octets:
            self.send(bytes((octet,)))
            self._listen(_TICK_S)
            if not self.open or time.monotonic() > ends_at:
                return

    def listen_until(self, size: int, *, within_s: float) -> None:
        """Listen until only so many are open, or the time is up."""
        ends_at = time.monotonic() + within_s
        while len(self.open) > size and time.monotonic() < ends_at:
            self._listen(_TICK_S)

    def reset(self) -> None:
        for member in self.open:
            linger = struct.pack("ii", 1, 0)
            member.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.leave()

    def leave(self) -> None:
        for member in self.members:
            member.socket.close()
        self._listening.close()

    def _listen(self, for_s: float) -> None:
        ends_at = time.monotonic() + for_s
        while (left_s := ends_at - time.monotonic()) > 0:
            for key, _ in self._listening.select(left_s):
                member: Member = key.data
                if not member.listen():
                    self._listening.unregister(member.socket)
