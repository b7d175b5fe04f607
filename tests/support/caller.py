"""A caller on a plain socket: sends exactly the bytes given, reads answers by a strict grammar."""

import contextlib
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import Final, Self

import orjson

from tests.support.kernel_queue import UnreadBytes

PATIENCE_S: Final = 10.0
_GLANCE_S: Final = 50e-6
STATUS_LINE: Final = re.compile(rb"(HTTP/1\.[01]) ([1-5]\d\d) ([\t\x20-\x7e\x80-\xff]*)")
FIELD: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")


class BrokenOffError(AssertionError):
    """The connection ended in the middle of an answer; the bytes that did come."""

    def __init__(self, octets: bytes) -> None:
        super().__init__(f"the answer broke off after {octets[-200:]!r}")
        self.octets = octets


class NoAnswerError(BrokenOffError):
    """The connection ended where an answer should have begun."""


@dataclass(frozen=True)
class Answer:
    """One answer, complete, as its bytes said it; interim ones beside it."""

    version: bytes
    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    interim: tuple["Answer", ...] = ()
    head: bytes = b""

    def values(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.headers if key.lower() == wanted]

    def value(self, name: str) -> str | None:
        values = self.values(name)
        assert len(values) < 2, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def json(self) -> dict[str, object]:
        decoded = orjson.loads(self.body)
        assert isinstance(decoded, dict)
        return decoded

    @property
    def closes(self) -> bool:
        return "close" in [token.strip().lower() for token in self._connection_tokens()]

    def _connection_tokens(self) -> list[str]:
        return ",".join(self.values("connection")).split(",")


class Caller:
    """One connection to the proxy. Blocking, with an end to its patience."""

    def __init__(self, port: int, *, receive_buffer_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_buffer_bytes:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread_by_peer = UnreadBytes(("127.0.0.1", port), self._socket.getsockname())
        self._unread = bytearray()
        self.was_reset = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def port(self) -> int:
        """Ours."""
        return int(self._socket.getsockname()[1])

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def send_as_far_as_it_goes(self, octets: bytes) -> None:
        """Send, but mind no hanging up: the verdict is in what comes back."""
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(octets)

    def send_bytewise(self, octets: bytes) -> None:
        """Send byte by byte, each one only when the last was taken from the kernel."""
        for position in range(len(octets)):
            self.send_as_far_as_it_goes(octets[position : position + 1])
            self.wait_until_read()

    def wait_until_read(self, *, within_s: float = 1.0) -> None:
        """Wait until the other end has read all that was sent (Linux tells; elsewhere: go on)."""
        ends_at = time.monotonic() + within_s
        while self._unread_by_peer() and time.monotonic() < ends_at:
            time.sleep(_GLANCE_S)

    def answer(self, method: str = "POST") -> Answer:
        """The next final answer, with the interim ones that came before it."""
        interim: list[Answer] = []
        while (found := self.one_answer(method)).status < 200 and found.status != 101:
            interim.append(found)
        return Answer(**{**vars(found), "interim": tuple(interim)})

    def one_answer(self, method: str = "POST") -> Answer:
        """The next answer, interim or final."""
        head = self._until(b"\r\n\r\n", NoAnswerError)
        line, *fields = head[:-4].split(b"\r\n")
        matched = STATUS_LINE.fullmatch(line)
        assert matched, f"no status line: {line!r}"
        version, status, reason = matched[1], int(matched[2]), matched[3]
        begun = Answer(version, status, reason, tuple(map(_field, fields)), head=head)
        if status < 200 or status in {204, 304} or method == "HEAD":
            return begun
        body, trailers = self._body(begun)
        return Answer(version, status, reason, begun.headers, body, trailers, head=head)

    def some(self, size: int) -> bytes:
        """Exactly so many bytes."""
        while len(self._unread) < size:
            self._receive(BrokenOffError)
        return self._taken(size)

    def until(self, end: bytes) -> bytes:
        """Everything up to and including `end`."""
        return self._until(end, BrokenOffError)

    def rest(self) -> bytes:
        """All that comes until the other end closes; a reset is noted in `was_reset`."""
        with contextlib.suppress(BrokenOffError):
            while True:
                self._receive(BrokenOffError)
        return self._taken(len(self._unread))

    def answers_until_close(self) -> list[Answer]:
        """Every answer until the other end closes; a half one is an error."""
        found: list[Answer] = []
        with contextlib.suppress(NoAnswerError):
            while True:
                found.append(self.answer())
        return found

    def has_something(self, *, within_s: float) -> bool:
        """Whether anything to read comes within this time."""
        ready, _, _ = select.select([self._socket], [], [], 0 if self._unread else within_s)
        return bool(ready or self._unread)

    def send_what_fits(self, octets: memoryview, *, within_s: float) -> int:
        """Send until the other end takes no more for this time; how many bytes went."""
        sent = 0
        self._socket.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
        while sent < len(octets) and select.select([], [self._socket], [], within_s)[1]:
            sent += self._socket.send(octets[sent : sent + (1 << 18)])
        self._socket.settimeout(PATIENCE_S)
        return sent

    def half_close(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _body(self, begun: Answer) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        codings, lengths = begun.values("transfer-encoding"), begun.values("content-length")
        assert not (codings and lengths), f"both framings: {begun.head!r}"
        if codings:
            assert codings == ["chunked"], codings
            return self._chunks()
        if lengths:
            assert len(lengths) == 1, lengths
            return self.some(int(lengths[0])), ()
        return self._until_close(), ()

    def _chunks(self) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        body = bytearray()
        while size := int(self.until(b"\r\n")[:-2], 16):
            body += self.some(size)
            assert self.some(2) == b"\r\n"
        trailers: list[tuple[bytes, bytes]] = []
        while (line := self.until(b"\r\n")) != b"\r\n":
            trailers.append(_field(line[:-2]))
        return bytes(body), tuple(trailers)

    def _until_close(self) -> bytes:
        body = self.rest()
        if self.was_reset:
            raise BrokenOffError(body)
        return body

    def _until(self, end: bytes, error: type[BrokenOffError]) -> bytes:
        while (place := self._unread.find(end)) < 0:
            self._receive(error)
        return self._taken(place + len(end))

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _receive(self, error: type[BrokenOffError]) -> None:
        try:
            octets = self._socket.recv(1 << 18)
        except ConnectionResetError:
            self.was_reset = True
            octets = b""
        except TimeoutError:
            after = bytes(self._unread[-300:])
            raise AssertionError(f"nothing came in {PATIENCE_S} s after {after!r}") from None
        if not octets:
            raise (error if not self._unread else BrokenOffError)(bytes(self._unread))
        self._unread += octets


def _field(line: bytes) -> tuple[bytes, bytes]:
    matched = FIELD.fullmatch(line)
    assert matched, f"no field: {line!r}"
    return matched[1], matched[2].rstrip(b" \t")
