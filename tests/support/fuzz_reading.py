"""A strict reading of bytes, written for tests alone: which requests and answers are in them?

Shares nothing with what it judges. What it reads as a request is the most that anybody may forward;
where it finds an oddity, reading ends.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, NamedTuple

Fields = list[tuple[bytes, bytes]]

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE: Final = rb"[\t\x20-\x7e\x80-\xff]*"
_FIELDS: Final = rb"((?:%b:%b\r\n)*)\r\n" % (_TOKEN, _VALUE)
_REQUEST: Final = re.compile(
    rb"(?P<method>%b) (?P<target>[\x21-\x7e]+) HTTP/1\.(?P<minor>[0-9])\r\n%b" % (_TOKEN, _FIELDS)
)
_ANSWER: Final = re.compile(
    rb"HTTP/1\.(?P<minor>[01]) (?P<status>[1-9][0-9][0-9])(?P<reason>(?: %b)?)\r\n%b"
    % (_VALUE, _FIELDS)
)
_FIELD: Final = re.compile(rb"(%b):[\t ]*(%b)\r\n" % (_TOKEN, _VALUE))
# An extension may be refused for its length alone, so a long one is odd.
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]{0,4000})?\r\n")
_TRAILERS: Final = re.compile(_FIELDS)
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?]+)([/?].*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
)
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)*")
_END: Final = b"\r\n\r\n"
_NEVER_SERVED: Final = frozenset({b"CONNECT", b"TRACE"})


class Odd(Exception):  # noqa: N818 - a verdict, not a failure
    """The bytes are not strict HTTP/1.1."""


class End(Enum):
    """How the reading of a connection's bytes ended."""

    WHOLE = auto()  # after a request, with nothing behind it
    LAST = auto()  # after a request that asked for the connection's end
    BEGUN = auto()  # inside of something that may become a request
    ODD = auto()  # before, or inside of, something that is none


@dataclass(slots=True)
class Request:
    """One request; `body` is its payload, as far as it came."""

    method: bytes
    target: bytes
    minor: int
    fields: Fields
    persists: bool = True
    body: bytes = b""
    trailers: Fields | None = None
    complete: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return values_in(self.fields, name)


@dataclass(slots=True)
class Answer:
    """One answer; `body` is its payload, as far as it came."""

    status: int
    minor: int
    fields: Fields
    body: bytes = b""
    complete: bool = False
    until_close: bool = False

    def values(self, name: bytes) -> list[bytes]:
        return values_in(self.fields, name)

    @property
    def closes(self) -> bool:
        return b"close" in tokens_in(self.fields, b"connection")


class Reading(NamedTuple):
    """The requests in a connection's bytes, and how they end."""

    requests: list[Request]
    end: End
    why: str = ""


def values_in(fields: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in fields if key == name]


def tokens_in(fields: Fields, name: bytes) -> list[bytes]:
    joined = b",".join(values_in(fields, name)).lower()
    return [token for part in joined.split(b",") if (token := part.strip(b" \t"))]


def read_requests(octets: bytes) -> Reading:
    """Everything that a caller's bytes may be taken for."""
    found: list[Request] = []
    position = 0
    while True:
        position = _EMPTY_LINES.match(octets, position).end()  # type: ignore[union-attr] # always
        if position == len(octets):
            return Reading(found, End.WHOLE)
        try:
            request, position = read_request(octets, position)
        except Odd as odd:
            return Reading(found, End.ODD, str(odd))
        if request is None:
            return Reading(found, End.BEGUN)
        found.append(request)
        if not request.complete:
            return Reading(found, End.ODD if position < 0 else End.BEGUN)
        if not request.persists:
            return Reading(found, End.LAST)


def read_request(octets: bytes, position: int = 0) -> tuple[Request | None, int]:
    """The request that begins there, and where it ends: before 0 if its body can't be read on.

    Nothing when its head is not whole. Raises `Odd`.
    """
    end = octets.find(_END, position)
    if end < 0:
        return None, position
    matched = _REQUEST.fullmatch(octets, position, end + 4)
    if matched is None:
        raise Odd("the head's grammar")
    method, target, minor, lines = matched.groups()
    fields = _fields(lines)
    request = Request(method, target, int(minor), fields)
    _resolve(request)
    chunked, length = _framing(fields, request.minor)
    request.persists = _persists(request)
    if (chunked or length) and b"upgrade" in tokens_in(fields, b"connection"):
        raise Odd("a body beside an upgrade")
    end += 4
    if chunked:
        return request, _read_chunks(request, octets, end)
    request.body = octets[end : end + (length or 0)]
    request.complete = len(request.body) == (length or 0)
    return request, end + len(request.body)


def read_answer(
    octets: bytes, position: int, *, bodiless: bool, ended: bool
) -> tuple[Answer | None, int]:
    """As `read_request`, for an answer; `bodiless` when its request was a HEAD."""
    end = octets.find(_END, position)
    if end < 0:
        return None, position
    matched = _ANSWER.fullmatch(octets, position, end + 4)
    if matched is None:
        raise Odd(f"the head's grammar: {octets[position : end + 4]!r}")
    minor, status, _, lines = matched.groups()
    answer = Answer(int(status), int(minor), _fields(lines))
    chunked, length = _framing(answer.fields, answer.minor)
    end += 4
    if bodiless or answer.status < 200 or answer.status in {204, 304}:
        answer.complete = True
        return answer, end
    if chunked:
        return answer, _read_chunks(answer, octets, end)
    answer.until_close = length is None
    answer.body = octets[end:] if length is None else octets[end : end + length]
    answer.complete = ended if length is None else len(answer.body) == length
    return answer, end + len(answer.body)


def _fields(lines: bytes) -> Fields:
    return [(name.lower(), value.rstrip(b" \t")) for name, value in _FIELD.findall(lines)]


def _framing(fields: Fields, minor: int) -> tuple[bool, int | None]:
    """Is the body chunked, and what is its declared length? Contract: never both, each once."""
    lengths = values_in(fields, b"content-length")
    codings = values_in(fields, b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise Odd("more than one framing")
    if codings and (codings[0].lower() != b"chunked" or minor == 0):
        raise Odd("a transfer coding other than just chunked")
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise Odd("a length that is not a number")
    return bool(codings), int(lengths[0]) if lengths else None


def _resolve(request: Request) -> None:
    """Host and target, which must agree (contract, Strictness); `target` becomes a path."""
    hosts = request.values(b"host")
    if len(hosts) > 1 or (request.minor and not hosts):
        raise Odd("not exactly one Host")
    if not all(map(_AUTHORITY.fullmatch, hosts)):
        raise Odd("an ill-formed Host")
    if request.method in _NEVER_SERVED:
        raise Odd("a method that is never served")
    if b"#" in request.target:
        raise Odd("a fragment in the target")
    if request.target[:1] == b"/" or (request.target, request.method) == (b"*", b"OPTIONS"):
        return
    absolute = _ABSOLUTE.fullmatch(request.target)
    if absolute is None or [absolute[1].lower()] != [host.lower() for host in hosts]:
        raise Odd("a target that is neither a path nor this host's")
    path = absolute[2] or b"/"
    request.target = path if path[:1] == b"/" else b"/" + path


def _persists(request: Request) -> bool:
    options = tokens_in(request.fields, b"connection")
    if b"close" in options:
        return False
    return request.minor > 0 or b"keep-alive" in options


def _read_chunks(message: Request | Answer, octets: bytes, position: int) -> int:
    """The chunked body from there, into the message; where it ends, before 0 if it is broken."""
    pieces: list[bytes] = []
    while sized := _SIZE.match(octets, position):
        size = int(sized[1], 16)
        position = sized.end()
        if not size:
            return _read_trailers(message, octets, position, pieces)
        piece = octets[position : position + size]
        pieces.append(piece)
        position += size
        behind = octets[position : position + 2]
        if behind != b"\r\n":
            message.body = b"".join(pieces)
            return len(octets) if b"\r\n".startswith(behind) else -1
        position += 2
    message.body = b"".join(pieces)
    return -1 if b"\r\n" in octets[position:] else len(octets)


def _read_trailers(
    message: Request | Answer, octets: bytes, position: int, pieces: list[bytes]
) -> int:
    message.body = b"".join(pieces)
    matched = _TRAILERS.match(octets, position)
    if matched is None:
        return -1 if _END in octets[position:] else len(octets)
    if isinstance(message, Request):
        message.trailers = _fields(matched[1])
    message.complete = True
    return matched.end()
