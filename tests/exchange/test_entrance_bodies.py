"""Bodies that are held before a call goes: every octet goes up, once and in order."""

from collections.abc import Callable

import pytest

from tests.support.messages import chunked, post, post_chunked
from tests.support.transcript import Begin, Transcript

KEY = b"Idempotency-Key: k-1"
KIB = 1 << 10
BOUND_BYTES = 256 * KIB
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize("size", [10, 70 * KIB, BOUND_BYTES])
def test_call_is_tried_elsewhere_with_its_whole_body(begin: Begin, size: int) -> None:
    t = begin("endpoints: [http://10.0.0.8, http://10.0.0.9]\nbalance: round_robin")
    body = b"x" * size
    t.refusing = {"10.0.0.8"}

    for number in range(2):
        t.client_sends(post("/tools/o.call", b"Idempotency-Key: %d" % number, body=body))
        assert t.upstream.transport.take().endswith(b"\r\n\r\n" + body)
        t.upstream_sends(OK)

    assert t.dialled.count("10.0.0.8") >= 1


@pytest.mark.parametrize("pieces", [2, 7, 100])
@pytest.mark.parametrize("size", [BOUND_BYTES - 1000, BOUND_BYTES + 1, 3 * BOUND_BYTES])
@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_no_octet_of_a_body_is_lost_while_it_is_connected(
    begin: Begin, pieces: int, size: int, coding: str
) -> None:
    t = begin()
    t.connects_at_once = False
    body = bytes(number * 7 % 251 for number in range(size))
    request = post("/tools/o.call", KEY, body=body)
    if coding == "chunked":
        request = post_chunked("/tools/o.call", KEY, body=chunked(body))
    step = len(request) // pieces + 1
    came = b""
    for start in range(0, len(request), step):
        t.client_sends(request[start : start + step])
        if t.connecting:
            t.connects()
        if t.upstreams:
            came += t.upstream.transport.take()
    t.upstream_sends(OK)

    head, _, rest = came.partition(b"\r\n\r\n")
    if b"chunked" in head:
        rest = dechunked(rest)
    assert rest == body


def dechunked(octets: bytes) -> bytes:
    """The payload of chunks that are all there."""
    payload = b""
    while octets:
        size, _, octets = octets.partition(b"\r\n")
        payload += octets[: int(size, 16)]
        octets = octets[int(size, 16) + 2 :]
    return payload


@pytest.mark.parametrize("size", [0, 10, 60 * KIB])
@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_call_that_may_be_repeated_goes_up_again_whole(
    begin: Begin, size: int, coding: str
) -> None:
    t = begin()
    t.client_sends(post("/tools/o.again"))
    t.upstream_sends(OK)
    body = b"x" * size
    request = post("/tools/o.again", KEY, body=body)
    if coding == "chunked":
        request = post_chunked("/tools/o.again", KEY, body=chunked(body) if size else chunked())
    t.upstream.transport.take()

    t.client_sends(request)
    once = t.upstream.transport.take()
    t.upstream.resets()
    t.passes(1)  # more than a back-off takes
    again = t.upstream.transport.take()
    t.upstream_sends(OK)

    assert (once.count(b"POST"), len(t.upstreams)) == (1, 2)
    assert again.partition(b"\r\n\r\n")[2] == once.partition(b"\r\n\r\n")[2]
    assert again.partition(b"\r\n\r\n")[2].count(b"x") == size


def whole(t: Transcript) -> None:
    t.client_sends(post("/tools/o.call", KEY, body=b"x" * 5000)[:-1])
    t.client_sends(b"x")
    t.upstream_sends(OK)


def leaves_in_the_middle(t: Transcript) -> None:
    t.client_sends(post("/tools/o.call", KEY, body=b"x" * 5000)[:-1])
    t.client_leaves()


def comes_too_late(t: Transcript) -> None:
    t.client_sends(post("/tools/o.call", KEY, b"Request-Timeout: 1", body=b"x" * 5000)[:-1])
    t.passes(2)


def is_too_large(t: Transcript) -> None:
    body = chunked(*[b"x" * KIB] * 300)
    t.client_sends(post_chunked("/tools/o.call", KEY, body=body[:-5]))
    t.client_sends(body[-5:])
    t.upstream_sends(OK)


def breaks_http(t: Transcript) -> None:
    t.client_sends(post_chunked("/tools/o.call", KEY, body=b"5\r\nhello\r\nrubbish\r\n"))


def is_no_invocation(t: Transcript) -> None:
    kind = b"Content-Type: application/json"
    t.client_sends(post("/api/v1/invoke", kind, body=b"[" + b" " * 5000)[:-1])
    t.client_sends(b" ")


def joins_and_leaves(t: Transcript) -> None:
    request = post("/tools/o.call", KEY, body=b"x" * 5000)
    t.client_sends(request)
    second = t.another_client()
    second.sends(request[:-1])
    second.sends(b"x")
    second.resets()
    t.upstream_sends(OK)


@pytest.mark.parametrize(
    "what",
    [
        whole,
        leaves_in_the_middle,
        comes_too_late,
        is_too_large,
        breaks_http,
        is_no_invocation,
        joins_and_leaves,
    ],
)
def test_no_body_stays_on_the_account(begin: Begin, what: Callable[[Transcript], None]) -> None:
    t = begin()

    what(t)

    assert (t.plane.held_bytes, t.plane.repeats.running, t.endpoint.active) == (0, 0, 0)
