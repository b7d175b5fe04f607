"""1xx answers, and what a caller that expects one gets."""

import pytest

from tests.support.messages import get, post
from tests.support.transcript import Begin

IDLE = "<Pool 1 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECTING = post("/tools/o.call", b"Expect: 100-continue", body=b"hello")[:-5]
CALL = b"POST /tools/call HTTP/1.1\r\nHost: 10.0.0.9\r\nContent-Length: 5\r\n\r\n"


def test_interim_answer_goes_to_an_http_1_1_caller(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/servers/o/x"))

    t.upstream_sends(HINTS)

    t.expect_client(HINTS)
    t.upstream_sends(HINTS + OK)
    t.expect_client(HINTS + OK)


def test_interim_answer_is_dropped_for_an_http_1_0_caller(begin: Begin) -> None:
    t = begin()
    t.client_sends(b"GET /servers/o/x HTTP/1.0\r\n\r\n")

    t.upstream_sends(HINTS + OK)

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def test_100_that_nobody_sent_for_is_dropped(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.upstream_sends(CONTINUE + OK)

    t.expect_client(OK)


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", HINTS * 17],
    ids=["protocols-switched-unasked", "no-end-of-interim-answers"],
)
def test_answer_that_is_none_is_502(begin: Begin, answer: bytes) -> None:
    t = begin()
    t.client_sends(get("/servers/o/x"))

    t.upstream_sends(answer)

    written = t.client.transport.take()
    assert (b"HTTP/1.1 502" in written, t.upstream.fate) == (True, "aborted")


def test_100_is_sent_once_there_is_a_connection(begin: Begin) -> None:
    t = begin()
    t.connects_at_once = False

    t.client_sends(EXPECTING)
    t.expect_client(b"")
    t.connects()
    t.expect_client(CONTINUE)
    t.expect_upstream(CALL)
    t.client_sends(b"hello")
    t.expect_upstream(b"hello")
    t.upstream_sends(OK)
    t.expect_client(OK)

    assert repr(t.pool) == IDLE


def test_100_is_not_sent_for_a_connection_that_can_not_be_had(begin: Begin) -> None:
    t = begin("retry: {attempts: 1}")
    t.connects_at_once = False
    t.client_sends(EXPECTING)

    t.connects(ConnectionRefusedError())

    t.client.expect_problem(502, "connect_failed")
    assert t.client.fate == "half-closed"  # its body may follow all the same


def test_100_is_not_sent_when_the_body_is_there(begin: Begin) -> None:
    t = begin()

    t.client_sends(EXPECTING + b"hello")

    t.expect_client(b"")
    t.expect_upstream(CALL + b"hello")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0"), id="http-1-0"),
        pytest.param(EXPECTING.replace(b"100-continue", b"a-surprise"), id="other-expectation"),
    ],
)
def test_100_is_not_sent_to_whom_it_would_surprise(begin: Begin, octets: bytes) -> None:
    t = begin()

    t.client_sends(octets)

    t.expect_client(b"")


def test_refusal_needs_no_100(begin: Begin) -> None:
    t = begin("max_body: 3")

    t.client_sends(EXPECTING)

    t.client.expect_problem(413, "body_too_large")
    assert (t.client.fate, t.upstreams) == ("half-closed", [])


def test_answer_instead_of_the_body_is_passed_back_and_nothing_used_again(begin: Begin) -> None:
    t = begin()
    t.client_sends(EXPECTING)
    t.client.transport.take()

    t.upstream_sends(b"HTTP/1.1 417 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    t.expect_client(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    assert (t.client.fate, t.upstream.fate) == ("half-closed", "aborted")
