"""Bytes to a complete head, judged: collect until the empty line, refuse early, respect the limits.

llhttp judges the grammar. It is never shown a body: where a message ends is decided in `framing`,
so none of its habits around bodies, upgrades and pipelining matter. What a head means is the
business of the two sub-classes in `parser`.
"""

import re
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import httptools

from proxy import errors

_REMEMBERED_BYTES: Final = 2048  # so much of a head, and no more, lies on an idle connection
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_SHORTEST_FIELD_BYTES: Final = 4  # `a:` and CRLF


class HeadLimits(NamedTuple):
    """What a head may measure, and what becomes of names with an underscore."""

    line_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    fields: int = 128
    underscores: bool = False


class Parser(Protocol):
    """All that is used of llhttp."""

    def feed_data(self, data: bytes) -> None: ...


class Listener:
    """What llhttp reports to: only the end of a head.

    It takes the one mark there is, and both are C: a Python method called from C costs 1 us here.
    """

    __slots__ = ("marks", "on_headers_complete")

    def __init__(self) -> None:
        self.marks = [True]
        self.on_headers_complete = self.marks.clear


HeadT = TypeVar("HeadT")


class HeadReader(Generic[HeadT]):
    """Reads heads from one direction of one connection, one after the other.

    `rest` is what came behind a head.
    """

    __slots__ = ("_early", "_held", "_last", "_limits", "_listener", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._listener = Listener()
        self._held = b""
        self._early: tuple[Listener, Parser] | None = None
        # The head before this one: whoever sends the same bytes again has them read already. Heads
        # are never changed, so it can be the same object. A miss costs one comparison, which ends
        # at the first byte that differs.
        self._last: tuple[bytes, HeadT] | None = None
        self.rest = b""

    @property
    def waiting(self) -> bool:
        """Has a head begun that is not complete?"""
        return bool(self._held)

    @property
    def held(self) -> bytes:
        """What has come of the next head, if it is not complete."""
        return self._held

    def read(self, data: bytes) -> HeadT | None:
        """Take bytes; give a head once it is complete, and what follows it in `rest`."""
        last = self._last
        if last is not None and data.startswith(last[0]) and not self._held:
            self.rest = data[len(last[0]) :]
            return last[1]
        searched = 0
        if self._held:
            searched = max(0, len(self._held) - 3)
            data = self._held + data
        if data[0] in b"\r\n":
            data, searched = self._skip_empty_lines(data), 0
        end = data.find(b"\r\n\r\n", searched) + 4
        if not 4 <= end <= self._limits.head_bytes:  # noqa: PLR2004 - less than 4: not found
            self._hold(data)
            return None
        self._held = b""
        self._early = None
        if end == len(data):
            head, self.rest = data, b""
        else:
            head, self.rest = data[:end], data[end:]
        parsed = self._parse(head)
        self._last = (head, parsed) if len(head) <= _REMEMBERED_BYTES else None
        return parsed

    def _skip_empty_lines(self, data: bytes) -> bytes:
        """RFC 9112, 2.2: empty lines before a request are to be ignored; a bare CR or LF is not."""
        left = _EMPTY_LINES.sub(b"", data, count=1)
        if left == b"\r" or not left:
            # May become an empty line: kept, and judged with what follows.
            return left or b"\r\n"
        if left[0] in b"\r\n":
            raise self._malformed("a bare CR or LF stands where it should begin")
        return left

    def _hold(self, data: bytes) -> None:
        """Keep an incomplete head, unless it can't become a good one any more.

        llhttp sees the bytes as they come, so that a bad head is refused at once and not when its
        time is up; and sees no byte beyond a limit, so that the verdict is the same however the
        bytes were cut.
        """
        if not data.strip(b"\r\n"):
            self._held = data
            return
        limits = self._limits
        line_too_long = data.find(b"\r\n", 0, limits.line_bytes + 2) < 0
        longest = self._line_room(data) if line_too_long else limits.head_bytes
        if self._may_be_judged(data[:longest]):
            seen = len(self._held) if self._early is not None else 0
            self._early = self._early or self._new_judge()
            listener, parser = self._early
            self._feed(parser, data, seen, longest)
            if not listener.marks:
                raise self._malformed("it does not end in an empty line")
        if len(data) > longest:
            raise self._too_long() if line_too_long else self._too_large()
        self._held = data

    def _line_room(self, data: bytes) -> int:
        """How much of too long a first line may be judged: a CR at its limit is still its end."""
        most = self._limits.line_bytes
        return most + (data[most : most + 1] == b"\r")

    def _new_judge(self) -> tuple[Listener, Parser]:
        listener = Listener()
        return listener, self._new_parser(listener)

    def _feed(self, parser: Parser, data: bytes, start: int, end: int) -> None:
        try:
            parser.feed_data(data[start:end])
        except httptools.HttpParserUpgrade:
            pass  # llhttp would stop parsing here; we never let it see more than a head
        except httptools.HttpParserError as error:
            raise self._refused(error, data) from None

    def _judge(self, head: bytes) -> bytes:
        """Have llhttp judge a complete head; its first line."""
        line = head[: head.find(b"\r\n")]
        limits = self._limits
        if len(line) > limits.line_bytes:
            begun = head[: self._line_room(head)]
            if self._may_be_judged(begun):
                self._feed(self._new_judge()[1], begun, 0, len(begun))
            raise self._too_long()
        listener = self._listener
        listener.marks.append(True)
        self._feed(self._new_parser(listener), head, 0, len(head))
        if listener.marks:
            self._may_be_judged(head)  # what is said of half a head is said of the whole, and first
            raise self._malformed("it does not end where its first empty line is")
        # Most heads are too short to have too many fields, and need no counting.
        may_be_many = len(head) > _SHORTEST_FIELD_BYTES * limits.fields
        if may_be_many and head.count(b"\r\n") > limits.fields + 2:
            self._may_be_judged(head)
            raise self._too_large()
        return line

    # What kind of head it is:

    def _parse(self, head: bytes) -> HeadT:
        raise NotImplementedError

    def _may_be_judged(self, begun: bytes) -> bool:
        """Is enough there for llhttp to say the same as it would of the whole?"""
        raise NotImplementedError

    def _new_parser(self, listener: Listener) -> Parser:
        raise NotImplementedError

    def _refused(self, error: Exception, data: bytes) -> errors.ProxyError:
        raise NotImplementedError

    def _malformed(self, detail: str) -> errors.ProxyError:
        raise NotImplementedError

    def _too_long(self) -> errors.ProxyError:
        raise NotImplementedError

    def _too_large(self) -> errors.ProxyError:
        raise NotImplementedError
