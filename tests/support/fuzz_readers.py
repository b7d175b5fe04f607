"""What must be true of the pure readers for any bytes, in any pieces.

They may raise nothing but `ProxyError`; say the same however the bytes are cut; and take nothing
that a strict reading (`fuzz_reading`, h11) does not take for the same. What is written for what
they took is one message again.
"""

from typing import Final

from proxy.errors import BadRequestError, ProxyError
from proxy.wire.forwarding import Caller, Onward, framing_fields, request_head, response_head
from proxy.wire.framing import ChunkedBody, chunk, last_chunk
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from proxy.wire.parser import RequestReader, ResponseReader
from proxy.wire.reader import HeadLimits, HeadReader, HeadT
from proxy.wire.trace import trace_of
from tests.support.fuzz_reading import Request, read_answer, read_request
from tests.support.fuzz_story import check_forwarded
from tests.support.messy import cut

VIA: Final = b"1.1 toolproxy-1"
_ONWARD_LINES: Final = b"Host: origin\r\n"
_CALLER: Final = Caller(b"10.0.0.7", b"http", VIA, trusted=False)
_NOBODY: Final = frozenset[bytes]()
_PAYLOAD: Final = b"hello"
_LONGEST_BODY_BYTES: Final = 100  # of what is written; a declared length may be anything


def check_request(octets: bytes, places: list[int]) -> None:
    """For what a caller may send."""
    whole = _read(RequestReader(HeadLimits()), [octets])
    in_pieces = _read(RequestReader(HeadLimits()), cut(octets, places))
    assert _said(in_pieces) == _said(whole), (whole, in_pieces)
    if isinstance(whole, tuple):
        _check_taken_request(whole[0], octets[: len(octets) - len(whole[1])].lstrip(b"\r\n"))


def check_answer(octets: bytes, places: list[int], *, bodiless: bool) -> None:
    """For what an upstream may send."""
    whole = _read(_answers(bodiless=bodiless), [octets])
    in_pieces = _read(_answers(bodiless=bodiless), cut(octets, places))
    assert _said(in_pieces) == _said(whole), (whole, in_pieces)
    if isinstance(whole, tuple):
        head_bytes = len(octets) - len(whole[1])
        _check_taken_answer(whole[0], octets[:head_bytes], bodiless=bodiless)


def check_chunks(octets: bytes, places: list[int]) -> None:
    """For what may follow `Transfer-Encoding: chunked`."""
    whole, in_pieces = _unchunk([octets]), _unchunk(cut(octets, places))
    assert in_pieces == whole, (whole, in_pieces)
    if whole is None or not whole[3]:
        return
    payload, trailers, rest, _ = whole
    line = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    strictly, end = read_request(line + octets)
    assert strictly is not None
    assert (strictly.body, strictly.complete) == (payload, True)
    assert (line + octets)[end:] == rest
    again, _ = read_request(line + chunk(payload) + last_chunk(trailers))
    assert again is not None
    assert (again.body, again.complete) == (payload, True)
    assert set(again.trailers or ()) <= set(strictly.trailers or ())


def _read(reader: HeadReader[HeadT], pieces: list[bytes]) -> tuple[HeadT, bytes] | int | None:
    """The head and what follows it, the status that refuses it, or nothing when it is not whole."""
    left = list(pieces)
    try:
        while left:
            head = reader.read(left.pop(0))
            if head is not None:
                return head, reader.rest + b"".join(left)
    except ProxyError as error:
        return error.status
    return None


def _answers(*, bodiless: bool) -> ResponseReader:
    reader = ResponseReader(HeadLimits())
    reader.expect(bodiless=bodiless)
    return reader


def _said(read: tuple[RequestHead | ResponseHead, bytes] | int | None) -> object:
    """The same, as a value to compare."""
    if not isinstance(read, tuple):
        return read
    head, rest = read
    return [getattr(head, name) for name in head.__slots__], rest


def _check_taken_request(head: RequestHead, octets: bytes) -> None:
    strictly, _ = read_request(octets)
    assert strictly is not None
    assert (strictly.method, strictly.target) == (head.method, head.target)
    assert _length(strictly) == head.body_bytes
    assert strictly.persists >= head.keep_alive
    if head.body_bytes > _LONGEST_BODY_BYTES:
        return
    onward = Onward(head.method, b"/base" + head.target, _ONWARD_LINES, _NOBODY, _NOBODY)
    trace = trace_of(head.noted, lambda bits: (1 << bits) - 7)
    body = _body(head.body_bytes)
    written = request_head(head, onward, _CALLER, trace, framing_fields(head.method, len(body)))
    if head.body_bytes == CHUNKED:
        end = framing_fields(head.method, CHUNKED)
        written = request_head(head, onward, _CALLER, trace, end) + chunk(body) + last_chunk([])
    else:
        written += body
    again, end_at = read_request(written)
    assert again is not None
    assert (again.method, again.target, again.body) == (onward.method, onward.target, body)
    assert end_at == len(written)
    check_forwarded(again, written)


def _check_taken_answer(head: ResponseHead, octets: bytes, *, bodiless: bool) -> None:
    strictly, _ = read_answer(octets, 0, bodiless=bodiless, ended=False)
    assert strictly is not None
    assert strictly.status == head.status
    if head.body_bytes > _LONGEST_BODY_BYTES or head.status < 200:
        return
    chunked = head.body_bytes in {CHUNKED, UNTIL_CLOSE}
    body = _body(head.body_bytes)
    written = response_head(
        head,
        chunked=chunked,
        more_lines=b"X-Request-Id: 1\r\nX-Chora-Trace-Id: 1\r\n",
        via_line=b"Via: %b\r\n" % VIA,
        date=b"now",
        body=chunk(body) + last_chunk([]) if chunked else body,
    )
    again, end_at = read_answer(written, 0, bodiless=bodiless and not chunked, ended=False)
    assert again is not None
    assert (again.status, again.body, again.complete) == (head.status, body, True)
    assert end_at == len(written)


def _length(strictly: Request) -> int:
    if strictly.values(b"transfer-encoding"):
        return CHUNKED
    return int((strictly.values(b"content-length") or [b"0"])[0])


def _body(body_bytes: int) -> bytes:
    return _PAYLOAD if body_bytes < 0 else b"x" * body_bytes


def _unchunk(pieces: list[bytes]) -> tuple[bytes, list[bytes], bytes, bool] | None:
    """Payload, trailer lines, what follows, and if it is over; nothing when it is broken."""
    body, payload, left = ChunkedBody(BadRequestError), b"", list(pieces)
    try:
        while left and not body.done:
            payload += body.take(left.pop(0))
    except BadRequestError:
        return None
    # What was held back of an unfinished line tells nothing yet.
    return payload, body.trailers, body.rest + b"".join(left) if body.done else b"", body.done
