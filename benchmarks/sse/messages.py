"""Server-sent events as bytes: the head of the answer, its chunks, the messages in them.

Knows HTTP/1.1 and the event-stream format (WHATWG HTML, 9.2). Knows nothing of sockets or time.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_END_OF_HEAD: Final = b"\r\n\r\n"
_GOOD: Final = re.compile(
    rb"HTTP/1\.1 200 .*\r\ncontent-type: *text/event-stream", re.IGNORECASE | re.DOTALL
)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_END_OF_LINE: Final = b"\r\n"
_SUBSCRIBE: Final = "GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n"


class RefusedError(Exception):
    """The answer is no event stream; the text is its first line."""


class BrokenError(Exception):
    """What came is no chunk."""


class Opening(NamedTuple):
    """An answer's head, and what came with it."""

    chunked: bool
    rest: bytes


class Message(NamedTuple):
    """One message; a field that was not sent is empty."""

    event: bytes
    id: bytes
    data: bytes


def subscription(path: str) -> bytes:
    """The request for a stream."""
    return _SUBSCRIBE.format(path=path).encode()


def opening(octets: bytes) -> Opening | None:
    """What is known when the head is there; None until then."""
    head, end, rest = octets.partition(_END_OF_HEAD)
    if not end:
        return None
    if not _GOOD.match(head):
        raise RefusedError(head.partition(_END_OF_LINE)[0].decode("latin-1"))
    return Opening(_CHUNKED.search(head) is not None, rest)


class Messages:
    """The messages of one answer's body, which comes in pieces of any size."""

    __slots__ = ("_chunked", "_text", "_wire")

    def __init__(self, *, chunked: bool) -> None:
        self._chunked = chunked
        self._wire = b""  # no whole chunk yet
        self._text = b""  # no whole message yet

    def __repr__(self) -> str:
        return f"<Messages {len(self._wire)} and {len(self._text)} bytes pending>"

    def take(self, piece: bytes) -> Iterator[Message]:
        """The messages that are whole with this piece."""
        self._text += b"".join(self._contents(piece)) if self._chunked else piece
        *whole, self._text = self._text.replace(_END_OF_LINE, b"\n").split(b"\n\n")
        for text in whole:
            fields = dict(_fields(text))
            if b"data" in fields:  # without, the browser tells nobody of it
                get = fields.get
                yield Message(get(b"event", b""), get(b"id", b""), fields[b"data"])

    def _contents(self, piece: bytes) -> Iterator[bytes]:
        """What is in each whole chunk."""
        wire = self._wire + piece
        begin = 0
        while (line_end := wire.find(_END_OF_LINE, begin)) >= 0:
            try:
                size = int(wire[begin:line_end], 16)
            except ValueError:
                raise BrokenError(f"no chunk: {wire[begin:line_end][:40]!r}") from None
            first = line_end + len(_END_OF_LINE)
            if len(wire) < first + size + len(_END_OF_LINE):
                break
            yield wire[first : first + size]
            begin = first + size + len(_END_OF_LINE)
        self._wire = wire[begin:]


def _fields(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in text.split(b"\n"):
        name, _, value = line.partition(b":")
        yield name, value.removeprefix(b" ")
