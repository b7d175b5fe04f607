"""Readers of event streams: the grammar as WHATWG writes it, and a client on a plain socket.

The parser follows WHATWG HTML, 9.2.5 and 9.2.6, to the letter; the client is strict about HTTP.
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from tests.support.caller import Answer, BrokenOffError, Caller

CALLS: Final = "/events?types=tool_invoked"
# Keys of every event.
USUAL: Final = frozenset(
    ("event_id", "timestamp", "event_type", "schema_version", "source", "trace_id", "status")
)
_BOM: Final = "\ufeff"


@dataclass(frozen=True)
class Message:
    """One message as a browser would dispatch it."""

    event: str
    id: str
    data: str

    def json(self) -> dict[str, Any]:
        decoded = orjson.loads(self.data)
        assert isinstance(decoded, dict)
        return decoded

    @property
    def sequence(self) -> int:
        return int(self.id.rpartition("-")[2])


class WhatwgParser:
    """Bytes in any pieces, messages out. `retry_ms` and `comments` are kept beside them."""

    def __init__(self) -> None:
        self.last_id = ""
        self.retry_ms: list[int] = []
        self.comments: list[str] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._begun = False
        self._event = ""
        self._data = ""

    def feed(self, octets: bytes) -> list[Message]:
        self._text += self._decoder.decode(octets)
        if self._text and not self._begun:
            self._begun = True
            self._text = self._text.removeprefix(_BOM)
        found = []
        while (line := self._line()) is not None:
            message = self._take(line)
            if message is not None:
                found.append(message)
        return found

    def _line(self) -> str | None:
        """The next whole line; an end of CR may be the first half of CRLF."""
        ends = [place for end in "\r\n" if (place := self._text.find(end)) >= 0]
        if not ends or (self._text[min(ends)] == "\r" and min(ends) == len(self._text) - 1):
            return None
        place = min(ends)
        line, behind = self._text[:place], place + 1
        if self._text[place : place + 2] == "\r\n":
            behind += 1
        self._text = self._text[behind:]
        return line

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._dispatched()
        if line.startswith(":"):
            self.comments.append(line[1:])
            return None
        field, _, value = line.partition(":")
        self._process(field, value.removeprefix(" "))
        return None

    def _process(self, field: str, value: str) -> None:
        if field == "event":
            self._event = value
        elif field == "data":
            self._data += value + "\n"
        elif field == "id" and "\0" not in value:
            self.last_id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self.retry_ms.append(int(value))

    def _dispatched(self) -> Message | None:
        event, data = self._event, self._data
        self._event = self._data = ""
        if not data:
            return None
        return Message(event or "message", self.last_id, data.removesuffix("\n"))


class Unchunked:
    """Chunk framing taken off, strictly: lower-case sizes without extensions (RFC 9112, 7.1)."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.ended = False
        self._rest = b""

    def take(self, octets: bytes) -> bytes:
        """The payload of the chunks that are whole by now."""
        self._rest += octets
        payload = b""
        while not self.ended and (chunk := self._chunk()) is not None:
            payload += chunk
        return payload

    def _chunk(self) -> bytes | None:
        line, end, rest = self._rest.partition(b"\r\n")
        if not end:
            return None
        size = int(line, 16)
        assert line == b"%x" % size, f"no size of a chunk: {line!r}"
        if len(rest) < size + 2:
            return None
        chunk, crlf, self._rest = rest[:size], rest[size : size + 2], rest[size + 2 :]
        assert crlf == b"\r\n", f"{crlf!r} behind a chunk"
        self.ended = not size
        if size:
            self.chunks.append(chunk)
        return chunk


class EventReader:
    """A subscriber on a connection of its own: asks, then reads messages as they come."""

    def __init__(
        self,
        port: int,
        target: str = "/events",
        *fields: str,
        version: str = "1.1",
        receive_buffer_bytes: int | None = None,
    ) -> None:
        self.caller = Caller(port, receive_buffer_bytes=receive_buffer_bytes)
        self.body = b""  # as it came, framing and all
        self.ended = False
        self.parser = WhatwgParser()
        self.framing = Unchunked()
        self.waiting: list[Message] = []
        lines = (f"GET {target} HTTP/{version}", "Host: localhost", *fields, "", "")
        self.caller.send("\r\n".join(lines).encode("utf-8", "surrogateescape"))
        self.head: Answer = self.caller.one_answer("HEAD")
        self.chunked = self.head.values("transfer-encoding") == ["chunked"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.caller.leave()

    @property
    def text(self) -> bytes:
        """All that came, without framing."""
        return b"".join(self.framing.chunks) if self.chunked else self.body

    def next(self) -> Message:
        """The next message; an AssertionError when none comes, or the stream ends."""
        while not self.waiting:
            self._read()
            assert self.waiting or not self.ended, "the stream has ended"
        return self.waiting.pop(0)

    def take(self, count: int) -> list[Message]:
        return [self.next() for _ in range(count)]

    def until(self, fact: Callable[[Message], object]) -> list[Message]:
        """Messages up to the first of which this holds, with it."""
        found = [self.next()]
        while not fact(found[-1]):
            found.append(self.next())
        return found

    def until_kind(self, kind: str) -> Message:
        return self.until(lambda message: message.event == kind)[-1]

    def until_comment(self, count: int = 1) -> None:
        """Read until so many comments have come."""
        while len(self.parser.comments) < count:
            self._read()
            assert not self.ended, "the stream has ended"

    def rest(self) -> list[Message]:
        """What comes until the stream ends, which it must."""
        while not self.ended:
            self._read()
        found, self.waiting = self.waiting, []
        return found

    def has_something(self, *, within_s: float) -> bool:
        return bool(self.waiting) or self.caller.has_something(within_s=within_s)

    def _read(self) -> None:
        if self.chunked:
            octets = self.caller.until(b"\r\n")
            octets += self.caller.some(int(octets[:-2], 16) + 2)
            text = self.framing.take(octets)
            self.ended = self.framing.ended
        else:
            octets = text = self._line()
            self.ended = not octets
        self.body += octets
        self.waiting += self.parser.feed(text)

    def _line(self) -> bytes:
        """Of a plain stream; nothing at its end, which must be a clean one."""
        try:
            return self.caller.until(b"\n")
        except BrokenOffError as error:
            broken = error.octets or self.caller.was_reset
        assert not broken, "the stream ended within a line, or was reset"
        return b""
