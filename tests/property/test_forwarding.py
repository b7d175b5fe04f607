"""What we write for a head that we took is one message to h11, and none of it is the caller's."""

from collections import Counter

import h11
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.errors import ProxyError
from proxy.wire.fields import HOP_BY_HOP
from proxy.wire.forwarding import (
    Caller,
    Onward,
    connection_field,
    framing_fields,
    needs_chunks,
    request_head,
    response_head,
    with_cors,
)
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from proxy.wire.trace import Trace, trace_of
from tests.support.heads import read_request, read_response
from tests.support.messy import answers, mutated, requests

VIA = b"1.1 toolproxy-1"
NOBODY: frozenset[bytes] = frozenset()
CREDENTIALS = st.sampled_from([NOBODY, frozenset({b"cookie", b"authorization"})])
INJECTED = st.sampled_from([b"", b"authorization: ours\r\n"])
CORS_LINES = st.sampled_from([None, b"", b"Access-Control-Allow-Origin: *\r\nVary: Origin\r\n"])
REQUESTS = mutated(requests().map(b"".join))
ANSWERS = mutated(answers().map(b"".join))
# Fields of ours that are there once, whatever the caller says.
OURS = (b"host", b"traceparent", b"x-request-id", b"x-chora-trace-id")
OURS_FORWARDED = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")


def taken_request(octets: bytes) -> RequestHead | None:
    try:
        return read_request(octets)
    except (ProxyError, EOFError):
        return None


def traced(head: RequestHead) -> Trace:
    return trace_of(head.noted, lambda bits: (1 << bits) - 7)


def taken_answer(octets: bytes) -> ResponseHead | None:
    try:
        return read_response(octets)
    except (ProxyError, EOFError):
        return None


def body_for(body_bytes: int) -> bytes:
    """A body of the length that a head tells; what is longer than a little is not sent."""
    return b"5\r\nhello\r\n0\r\n\r\n" if body_bytes == CHUNKED else b"x" * min(body_bytes, 50)


@settings(deadline=None, max_examples=300)
@given(REQUESTS, CREDENTIALS, INJECTED, st.booleans())
def test_request_that_is_taken_goes_on_as_one_request(
    octets: bytes,
    credentials: frozenset[bytes],
    injected: bytes,
    trusted: bool,  # noqa: FBT001
) -> None:
    head = taken_request(octets)
    if head is None or head.body_bytes > 50:
        return
    names = frozenset({b"authorization"}) if injected else NOBODY
    lines = b"Host: origin\r\n" + injected
    onward = Onward(head.method, b"/base" + head.target, lines, credentials, names)
    caller = Caller(b"10.0.0.7", b"http", VIA, trusted=trusted)

    written = request_head(head, onward, caller, traced(head))
    written += framing_fields(head.method, head.body_bytes) + body_for(head.body_bytes)

    connection = h11.Connection(h11.SERVER)
    connection.receive_data(written)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (onward.method, onward.target)
    assert _body(connection) == (5 if head.body_bytes == CHUNKED else head.body_bytes)
    assert connection.trailing_data == (b"", False)
    count = Counter(name for name, _ in request.headers)
    assert [count[name] for name in OURS + OURS_FORWARDED] == [1] * 7
    assert VIA in [value for name, value in request.headers if name == b"via"]
    assert count[b"content-length"] + count[b"transfer-encoding"] <= 1
    assert not set(count) & (HOP_BY_HOP - {b"transfer-encoding"})
    if injected:
        assert [value for name, value in request.headers if name == b"authorization"] == [b"ours"]
    elif not credentials:
        assert not set(count) & {b"authorization", b"cookie"}


def _body(connection: h11.Connection) -> int:
    length = 0
    while isinstance(event := connection.next_event(), h11.Data):
        length += len(event.data)
    assert isinstance(event, h11.EndOfMessage)
    return length


@settings(deadline=None, max_examples=300)
@given(ANSWERS, st.booleans(), st.integers(0, 1), CORS_LINES)
def test_answer_that_is_taken_goes_back_as_one_answer(
    octets: bytes,
    keep_alive: bool,  # noqa: FBT001
    minor_version: int,
    cors_lines: bytes | None,
) -> None:
    head = taken_answer(octets)
    if head is None or head.status < 200 or head.body_bytes > 50:
        return
    chunked = needs_chunks(head, minor_version)
    trace = trace_of({}, lambda _: 7)
    connection_line = connection_field(keep_alive=keep_alive, minor_version=minor_version)
    if cors_lines is not None:
        head = with_cors(head, cors_lines)

    written = response_head(
        head,
        chunked=chunked,
        more_lines=trace.id_lines + connection_line,
        via_line=b"Via: " + VIA + b"\r\n",
        date=b"now",
    )
    written += body_for(CHUNKED if chunked else max(0, head.body_bytes))

    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(written)
    answer = connection.next_event()
    assert isinstance(answer, h11.Response)
    assert answer.status_code == head.status
    if not chunked and head.body_bytes in {CHUNKED, UNTIL_CLOSE}:
        connection.receive_data(b"")  # to HTTP/1.0 it ends with the connection
    assert _body(connection) == (5 if chunked else max(0, head.body_bytes))
    assert connection.trailing_data[0] == b""
    count = Counter(name for name, _ in answer.headers)
    assert [count[name] for name in (b"x-request-id", b"x-chora-trace-id")] == [1, 1]
    assert count[b"date"] == 1
    assert count[b"content-length"] + count[b"transfer-encoding"] <= 1
    assert not set(count) & (HOP_BY_HOP - {b"transfer-encoding", b"connection"})


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=30), st.sampled_from((*OURS[1:], b"via", *OURS_FORWARDED)))
def test_nothing_that_a_caller_puts_in_a_field_adds_one_of_ours(value: bytes, name: bytes) -> None:
    octets = b"GET / HTTP/1.1\r\nHost: a\r\n" + name + b": " + value + b"\r\n\r\n"
    head = taken_request(octets)
    if head is None:
        return
    onward = Onward(b"GET", head.target, b"Host: origin\r\n", NOBODY, NOBODY)
    caller = Caller(b"10.0.0.7", b"http", VIA, trusted=False)

    lines = request_head(head, onward, caller, traced(head))

    count = Counter(line.partition(b":")[0].lower() for line in lines.split(b"\r\n")[1:-1])
    assert [count[each] for each in OURS + OURS_FORWARDED] == [1] * 7
    assert count[b"via"] == (2 if b"via" in head.noted else 1)  # what came, and our own line
