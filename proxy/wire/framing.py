"""Where a body ends, and what of its bytes is payload (RFC 9112, 6 and 7).

Three readers of one form: `take` gives the payload in some bytes, `done` says that the body is
over, `rest` holds what came behind it. Knows nothing of heads, sockets or flow.
"""

import re
from enum import Enum
from typing import Final, Protocol

from proxy.errors import ProxyError
from proxy.wire.fields import name_of, request_role
from proxy.wire.head import CHUNKED, UNTIL_CLOSE

LAST_CHUNK: Final = b"0\r\n\r\n"

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})((?:;[\t\x20-\x7e\x80-\xff]*)?)")
_PLAIN_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_SIZE_LINE_BEGUN: Final = re.compile(rb"[0-9A-Fa-f]{1,15}(?:;[\t\x20-\x7e\x80-\xff]*)?\r?")
_TRAILER_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")
_TRAILER_BEGUN: Final = re.compile(
    rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+(?::[\t\x20-\x7e\x80-\xff]*)?)?\r?",
)
# Extensions are never forwarded, so they are pure cost: Node's bound (CVE-2024-22019).
_MOST_EXTENSION_BYTES: Final = 16 * 1024
_MOST_TRAILER_BYTES: Final = 32 * 1024
_LONGEST_SIZE_LINE: Final = 4 * 1024
# Never as a trailer (RFC 9110, 6.5.1), beside all that `request_role` takes for a proxy's concern.
_NOT_A_TRAILER: Final = frozenset(
    {b"set-cookie", b"content-encoding", b"content-range", b"trailer"}
)


class Malformed(Protocol):
    """Makes the error that broken framing is: 400 of a request, 502 of an answer."""

    def __call__(self, detail: str, /) -> ProxyError: ...


class Body(Protocol):
    """One message's body, being read."""

    done: bool
    rest: bytes
    trailers: list[bytes]

    @property
    def pieces(self) -> int:
        """Of how many the last payload was made: what it cost."""

    def take(self, data: bytes) -> bytes:
        """Give the payload in `data`; raises what `Malformed` makes."""


class SizedBody:
    """A body of so many bytes."""

    __slots__ = ("done", "left_bytes", "rest", "trailers")

    pieces: Final = 1

    def __init__(self, length_bytes: int) -> None:
        self.left_bytes = length_bytes
        self.done = length_bytes == 0
        self.rest = b""
        self.trailers: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        left = self.left_bytes
        if len(data) < left:
            self.left_bytes = left - len(data)
            return data
        self.done = True
        self.left_bytes = 0
        if len(data) == left:
            return data
        self.rest = data[left:]
        return data[:left]


class EndlessBody:
    """A body that ends with its connection: only answers have one."""

    __slots__ = ("done", "rest", "trailers")

    pieces: Final = 1

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.trailers: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        return data


class _Part(Enum):
    """What the next byte of a chunked body belongs to."""

    SIZE = "size"
    PAYLOAD = "payload"
    PAYLOAD_END = "payload_end"
    TRAILERS = "trailers"


class ChunkedBody:
    """The chunked coding, read strictly: CRLF alone ends a line, sizes are hex digits alone.

    Extensions are bounded and dropped. `trailers` holds the trailer lines that may go on; they are
    never merged into a head.
    """

    __slots__ = (
        "_extension_bytes",
        "_held",
        "_left_bytes",
        "_malformed",
        "_part",
        "_trailer_bytes",
        "done",
        "pieces",
        "rest",
        "trailers",
    )

    def __init__(self, malformed: Malformed) -> None:
        self._malformed = malformed
        self._part = _Part.SIZE
        self._held = b""
        self._left_bytes = 0
        self._extension_bytes = 0
        self._trailer_bytes = 0
        self.done = False
        self.pieces = 0
        self.rest = b""
        self.trailers: list[bytes] = []

    def take(self, data: bytes) -> bytes:
        if self._held:
            data = self._held + data
            self._held = b""
        pieces: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
            if self._part is _Part.SIZE:
                position = self._take_whole_chunks(data, position, pieces)
                if position == len(data):
                    break
            if self._part is _Part.PAYLOAD:
                piece = data[position : position + self._left_bytes]
                pieces.append(piece)
                position += len(piece)
                self._left_bytes -= len(piece)
                if not self._left_bytes:
                    self._part = _Part.PAYLOAD_END
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._hold(data[position:])
                break
            self._line(data[position:end])
            position = end + 2
        else:
            self.rest = data[position:]
        self.pieces = len(pieces)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @staticmethod
    def _take_whole_chunks(data: bytes, position: int, pieces: list[bytes]) -> int:
        """Plain chunks that are all there, at a quarter of the cost; where the next line begins."""
        match = _PLAIN_SIZE_LINE.match
        while (found := match(data, position)) is not None:
            start = found.end()
            end = start + int(found[1], 16)
            if end == start or data[end : end + 2] != b"\r\n":
                break
            pieces.append(data[start:end])
            position = end + 2
        return position

    def _line(self, line: bytes) -> None:
        if self._part is _Part.SIZE:
            self._size(line)
        elif self._part is _Part.PAYLOAD_END:
            if line:
                raise self._malformed("A chunk is longer than its size says")
            self._part = _Part.SIZE
        elif line:
            self._trailer(line)
        else:
            self.done = True

    def _size(self, line: bytes) -> None:
        match = _SIZE_LINE.fullmatch(line)
        if match is None or len(line) > _LONGEST_SIZE_LINE:
            raise self._malformed("A chunk's size line is ill-formed")
        self._extension_bytes += len(match[2])
        if self._extension_bytes > _MOST_EXTENSION_BYTES:
            raise self._malformed("The chunk extensions are too long")
        self._left_bytes = int(match[1], 16)
        self._part = _Part.PAYLOAD if self._left_bytes else _Part.TRAILERS

    def _trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MOST_TRAILER_BYTES:
            raise self._malformed("The trailers are too long")
        if _TRAILER_LINE.fullmatch(line) is None:
            raise self._malformed("A trailer field is ill-formed")
        name = name_of(line)
        if request_role(name) is None and name.lower() not in _NOT_A_TRAILER:
            self.trailers.append(line)

    def _hold(self, begun: bytes) -> None:
        """Keep an incomplete line, unless it can't become a good one any more."""
        if self._part is _Part.SIZE:
            good = _SIZE_LINE_BEGUN.fullmatch(begun) and len(begun) <= _LONGEST_SIZE_LINE + 1
        elif self._part is _Part.PAYLOAD_END:
            good = begun == b"\r"
        else:
            room = _MOST_TRAILER_BYTES - self._trailer_bytes
            good = _TRAILER_BEGUN.fullmatch(begun) and len(begun) <= room + 1
        if not good:
            raise self._malformed("The chunked coding is broken")
        self._held = begun


def body_reader(body_bytes: int, malformed: Malformed) -> Body:
    """The reader for what a head says of its body."""
    if body_bytes == CHUNKED:
        return ChunkedBody(malformed)
    if body_bytes == UNTIL_CLOSE:
        return EndlessBody()
    return SizedBody(body_bytes)


def chunk(payload: bytes) -> bytes:
    """One chunk; nothing for nothing, since an empty chunk would be the last."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""


def last_chunk(trailers: list[bytes]) -> bytes:
    """The end of a chunked body."""
    return b"0\r\n%b\r\n\r\n" % b"\r\n".join(trailers) if trailers else LAST_CHUNK
