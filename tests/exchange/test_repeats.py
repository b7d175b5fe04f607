"""A kept connection that has died: what is asked again, what never is."""

import errno

import pytest

from tests.support.messages import get, message, post, post_chunked
from tests.support.transcript import Begin, Transcript

IDLE = "<Pool 1 idle, 0 busy>"
BACK_OFF_S = 0.03  # no first one is longer
EMPTY = "<Pool 0 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def with_a_kept_connection(t: Transcript) -> Transcript:
    t.client_sends(get("/servers/o/first"))
    t.upstream_sends(OK)
    t.client.transport.take()
    t.upstream.transport.take()
    return t


REPEATED = {
    "get": get("/servers/o/x"),
    "put": message(b"PUT /servers/o/x HTTP/1.1", b"Host: a", b"Content-Length: 2", body=b"ab"),
    "delete": message(b"DELETE /servers/o/x HTTP/1.1", b"Host: a"),
    "idempotent-tool": post("/tools/o.again"),
    "idempotent-tool-with-chunks": post_chunked("/tools/o.again", body=b"2\r\nhe\r\n0\r\n\r\n"),
    "idempotent-tool-without-a-body": post("/tools/o.again", body=b""),
    "idempotent-tool-with-no-chunk": post_chunked("/tools/o.again", body=b"0\r\n\r\n"),
}


@pytest.mark.parametrize("request_octets", REPEATED.values(), ids=REPEATED)
def test_idempotent_call_is_repeated_on_a_fresh_connection(
    begin: Begin, request_octets: bytes
) -> None:
    t = with_a_kept_connection(begin())
    t.client_sends(request_octets)
    sent = t.upstream.transport.take()

    t.upstream_closes()
    t.passes(BACK_OFF_S)

    assert (t.upstream.transport.take(), len(t.upstreams)) == (sent, 2)
    t.upstream_sends(OK)
    t.expect_client(OK)
    assert (repr(t.pool), t.records[-1].attempts) == (IDLE, 2)


ONCE = {
    "post": post("/tools/o.call"),
    "post-through": post("/servers/o/x"),
    "patch": message(b"PATCH /servers/o/x HTTP/1.1", b"Host: a", b"Content-Length: 0"),
}


@pytest.mark.parametrize("request_octets", ONCE.values(), ids=ONCE)
def test_other_call_is_never_repeated(begin: Begin, request_octets: bytes) -> None:
    t = with_a_kept_connection(begin())
    t.client_sends(request_octets)

    t.upstream_closes()

    t.client.expect_problem(502, "upstream_closed")
    assert (len(t.upstreams), t.client.fate) == (1, "open")


def test_call_is_repeated_only_once(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    t.client_sends(get("/servers/o/x"))
    t.upstream_closes()
    t.passes(BACK_OFF_S)

    t.upstream_closes()

    t.client.expect_problem(502, "upstream_closed")
    assert (len(t.upstreams), repr(t.pool)) == (2, EMPTY)


def test_call_on_a_new_connection_is_not_repeated(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/servers/o/x"))

    t.upstream_closes()

    t.client.expect_problem(502, "upstream_closed")
    assert len(t.upstreams) == 1


@pytest.mark.parametrize(
    "begun", [b"H", b"HTTP/1.1 100 Continue\r\n\r\n", OK[:-1]], ids=["byte", "interim", "answer"]
)
def test_call_is_not_repeated_once_a_byte_of_an_answer_has_come(begin: Begin, begun: bytes) -> None:
    t = with_a_kept_connection(begin())
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(begun)

    t.upstream_closes()

    assert len(t.upstreams) == 1


def test_call_that_breaks_http_is_not_repeated(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    t.client_sends(get("/servers/o/x"))

    t.upstream_sends(b"nonsense\r\n\r\n")

    t.client.expect_problem(502, "upstream_protocol")
    assert len(t.upstreams) == 1


def test_body_that_still_comes_follows_the_repeated_call(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    head = b"PUT /servers/o/x HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n"
    t.client_sends(head + b"ab")
    t.client_sends(b"cd")

    t.upstream_closes()
    t.passes(BACK_OFF_S)

    t.expect_upstream(b"PUT /x HTTP/1.1\r\nHost: 10.0.0.9\r\nContent-Length: 6\r\n\r\nabcd")
    t.client_sends(b"ef")
    t.expect_upstream(b"ef")


def test_body_too_long_to_be_held_is_not_repeated(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    head = b"PUT /servers/o/x HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n"
    t.client_sends(head)
    t.client_sends(b"x" * 70_000)

    t.upstream_closes()

    t.client.expect_problem(502, "upstream_closed")


def test_body_that_comes_between_two_attempts_is_sent_once(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    t.connects_at_once = False
    t.client_sends(b"PUT /servers/o/x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    t.upstream_closes()
    t.client_sends(b"cd")
    t.passes(BACK_OFF_S)

    t.connects()

    t.expect_upstream(b"PUT /x HTTP/1.1\r\nHost: 10.0.0.9\r\nContent-Length: 4\r\n\r\nabcd")


def test_connection_that_can_not_be_had_is_502(begin: Begin) -> None:
    t = begin("retry: {attempts: 1}")
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    t.connects(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"))

    t.client.expect_problem(502, "connect_failed")
    assert (repr(t.pool), t.pool.connect_failures) == (EMPTY, 1)


def test_connection_that_takes_too_long_is_504(begin: Begin) -> None:
    t = begin("retry: {attempts: 1}")
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    t.passes(1.1)

    t.client.expect_problem(504, "connect_timeout")
    assert repr(t.pool) == EMPTY


def test_caller_of_a_repeat_that_can_not_connect_is_read_again(begin: Begin) -> None:
    t = with_a_kept_connection(begin())
    t.connects_at_once = False
    t.client_sends(get("/servers/o/x"))
    t.upstream_closes()
    t.passes(BACK_OFF_S)
    t.connects(ConnectionRefusedError())
    t.client.expect_problem(502, "connect_failed")

    assert (t.client.fate, t.client.is_read) == ("open", True)
