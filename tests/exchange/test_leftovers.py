"""What one call leaves behind: nothing of it may reach the next on the same connection."""

import pytest

from tests.support.messages import get, message, post, post_chunked
from tests.support.transcript import Begin, Transcript

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def control_request_ends(t: Transcript) -> None:
    (session,) = t.control.sessions
    t.does(lambda: session.handlers[-1].done.set_result(None))


def test_trailers_of_an_answer_do_not_end_the_next(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/servers/o/1"))
    t.upstream_sends(CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
    t.client.transport.take()
    t.client_sends(get("/servers/o/2"))

    t.upstream_sends(b"HTTP/1.1 200 OK\r\n\r\nok")
    t.upstream_closes()

    assert len(t.upstreams) == 1
    t.expect_client(CHUNKED + b"2\r\nok\r\n0\r\n\r\n")


def test_trailers_of_a_request_do_not_end_the_next(begin: Begin) -> None:
    t = begin()
    t.client_sends(post_chunked("/tools/o.call", body=b"2\r\nhe\r\n0\r\nX-Sum: 1\r\n\r\n"))
    t.upstream_sends(OK)
    t.upstream.transport.take()

    t.client_sends(post_chunked("/servers/o/x", body=b"2\r\nhe\r\n0\r\n\r\n"))

    assert t.upstream.transport.take().endswith(b"\r\n\r\n2\r\nhe\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(post("/tools/o.call", body=b"hi"), id="whole-body"),
        pytest.param(message(b"POST /tools/o.call HTTP/1.1", b"Host: a"), id="no-body"),
    ],
)
def test_length_of_a_body_does_not_count_against_the_next(begin: Begin, octets: bytes) -> None:
    t = begin("max_body: 3")
    begun = message(b"POST /health HTTP/1.1", b"Host: a", b"Content-Length: 9")
    for piece in (begun + b"12345", b"6789"):
        t.client_sends(piece)
    control_request_ends(t)

    t.client_sends(octets)
    t.upstream_sends(OK)

    t.expect_client(OK)


def test_limit_of_a_body_does_not_hold_for_the_next(begin: Begin) -> None:
    t = begin("max_body: 3")
    t.client_sends(post("/tools/o.call", body=b"hi"))
    t.upstream_sends(OK)
    t.client.transport.take()
    begun = message(b"POST /health HTTP/1.1", b"Host: a", b"Content-Length: 9")
    for piece in (begun + b"12345", b"6789"):
        t.client_sends(piece)

    control_request_ends(t)

    assert (t.client.transport.take(), t.client.fate) == (b"", "open")


def test_answer_to_head_is_not_taken_for_that_to_get(begin: Begin) -> None:
    t = begin()
    t.client_sends(message(b"HEAD /servers/o/x HTTP/1.1", b"Host: a"))
    t.upstream_sends(OK[:-2])
    t.expect_client(OK[:-2])

    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(OK)
    t.expect_client(OK)
    t.client_sends(message(b"HEAD /servers/o/x HTTP/1.1", b"Host: a"))
    t.upstream_sends(OK[:-2])

    t.expect_client(OK[:-2])
    assert (len(t.upstreams), t.pool.idle) == (1, 1)


def test_same_head_twice_has_each_its_own_body(begin: Begin) -> None:
    t = begin()

    for body in (b"one", b"two"):
        t.client_sends(post("/tools/o.call", body=body))
        assert t.upstream.transport.take().endswith(b"\r\n\r\n" + body)
        t.upstream_sends(OK[:-2] + body[:2])
        t.expect_client(OK[:-2] + body[:2])


def test_type_given_to_an_empty_body_does_not_stay_with_the_same_head(begin: Begin) -> None:
    t = begin()
    octets = post("/tools/o.call", b"Content-Type: a/b", body=b"")
    sent = []

    for _ in range(2):
        t.client_sends(octets)
        sent.append(t.upstream.transport.take().count(b"Content-Type: application/json"))
        t.upstream_sends(OK)

    assert sent == [1, 1]
