"""Heads read from pieces: what came of them, as one value to compare."""

from collections.abc import Iterable, Iterator

from proxy.errors import ProxyError
from proxy.wire.head import RequestHead, ResponseHead
from proxy.wire.parser import RequestReader, ResponseReader
from proxy.wire.reader import HeadLimits, HeadReader, HeadT

INCOMPLETE = "incomplete"
# Named here, since a compiled class (README, "Compiled") has no `__slots__` to ask.
_PARTS = {
    RequestHead: (
        "method",
        "target",
        "minor_version",
        "lines",
        "noted",
        "body_bytes",
        "keep_alive",
        "authority",
    ),
    ResponseHead: ("status", "status_line", "lines", "noted", "body_bytes", "keep_alive"),
}


def parts_of(head: RequestHead | ResponseHead) -> dict[str, object]:
    """All that a head says, by name."""
    return {name: getattr(head, name) for name in _PARTS[type(head)]}


def read_request(*pieces: bytes, limits: HeadLimits | None = None) -> RequestHead:
    """The one request in the pieces; raises what the reader raises."""
    return _first(RequestReader(limits or HeadLimits()), pieces)[0]


def read_response(*pieces: bytes, bodiless: bool = False) -> ResponseHead:
    """The one answer in the pieces; raises what the reader raises."""
    reader = ResponseReader(HeadLimits())
    reader.expect(bodiless=bodiless)
    return _first(reader, pieces)[0]


def request_verdict(pieces: Iterable[bytes], limits: HeadLimits | None = None) -> object:
    """The request's parts and what follows it, the status that refuses it, or `INCOMPLETE`."""
    try:
        head, rest = _first(RequestReader(limits or HeadLimits()), pieces)
    except ProxyError as error:
        return error.status
    except EOFError:
        return INCOMPLETE
    return (*parts_of(head).values(), rest)


def response_verdict(pieces: Iterable[bytes], limits: HeadLimits | None = None) -> object:
    """The answer's parts and what follows it, the status that refuses it, or `INCOMPLETE`."""
    try:
        head, rest = _first(ResponseReader(limits or HeadLimits()), pieces)
    except ProxyError as error:
        return error.status
    except EOFError:
        return INCOMPLETE
    return (*parts_of(head).values(), rest)


def word_for_request(data: bytes) -> object:
    """`ok`, or the status that refuses it, or `INCOMPLETE`."""
    return _word(request_verdict([data]))


def word_for_response(data: bytes) -> object:
    """`ok`, or the status that refuses it, or `INCOMPLETE`."""
    return _word(response_verdict([data]))


def octet_by_octet(data: bytes) -> Iterator[bytes]:
    """The most that bytes can be cut."""
    return (data[at : at + 1] for at in range(len(data)))


def _word(verdict: object) -> object:
    return "ok" if isinstance(verdict, tuple) else verdict


def _first(reader: HeadReader[HeadT], pieces: Iterable[bytes]) -> tuple[HeadT, bytes]:
    left = iter(pieces)
    for piece in left:
        head = reader.read(piece)
        if head is not None:
            return head, reader.rest + b"".join(left)
    raise EOFError
