"""One call after the other: what goes up, what comes back, and what is kept."""

import re

import pytest

from tests.support.messages import get, message, post, post_chunked
from tests.support.transcript import Begin

IDLE = "<Pool 1 idle, 0 busy>"
EMPTY = "<Pool 0 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CALL = b"POST /tools/call HTTP/1.1\r\nHost: 10.0.0.9\r\n"
EMPTY_OBJECT = (
    b"POST /tools/call HTTP/1.1\r\nContent-Type: application/json\r\nHost: 10.0.0.9\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


def test_call_goes_up_and_its_answer_comes_back(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call?x=1", b"Content-Type: a/b", body=b"hello"))
    t.expect_upstream(
        b"POST /tools/call?x=1 HTTP/1.1\r\nContent-Type: a/b\r\nHost: 10.0.0.9\r\n"
        b"Content-Length: 5\r\n\r\nhello"
    )
    t.upstream_sends(OK)
    t.expect_client(OK)

    assert (repr(t.pool), t.client.fate) == (IDLE, "open")


def test_empty_call_goes_up_as_an_empty_object(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", b"Content-Type: a/b", body=b""))

    t.expect_upstream(EMPTY_OBJECT)


def test_chunked_call_that_turns_out_empty_goes_up_as_an_empty_object(begin: Begin) -> None:
    t = begin()

    t.client_sends(post_chunked("/tools/o.call", body=b""))
    t.client_sends(b"0\r\n\r\n")

    t.expect_upstream(EMPTY_OBJECT)


def test_request_of_any_method_passes_through(begin: Begin) -> None:
    t = begin()

    t.client_sends(get("/servers/o/a/b?c"))

    t.expect_upstream(b"GET /a/b?c HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_host_is_preserved_where_the_server_says_so(begin: Begin) -> None:
    t = begin("preserve_host: true")

    t.client_sends(get("/servers/o/x"))

    t.expect_upstream(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")


def test_body_is_streamed_in_pieces(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", body=b"0123456789")[:-6])
    t.expect_upstream(CALL + b"Content-Length: 10\r\n\r\n0123")
    t.client_sends(b"45")
    t.expect_upstream(b"45")
    t.client_sends(b"6789")
    t.expect_upstream(b"6789")
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\no")
    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\no")
    t.upstream_sends(b"kay")
    t.expect_client(b"kay")

    assert repr(t.pool) == IDLE


def test_body_arriving_after_the_answer_is_still_forwarded(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", body=b"hello")[:-3])
    t.expect_upstream(CALL + b"Content-Length: 5\r\n\r\nhe")
    t.upstream_sends(OK)
    t.expect_client(OK)
    t.client_sends(b"llo")
    t.expect_upstream(b"llo")

    assert (repr(t.pool), t.client.fate) == (IDLE, "open")


def test_both_connections_are_used_again_after_a_late_body(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", body=b"hello")[:-3])
    t.upstream_sends(OK)
    t.client_sends(b"llo")
    t.client.transport.take()
    t.upstream.transport.take()

    t.client_sends(post("/tools/o.call"))
    t.expect_upstream(CALL + b"Content-Length: 2\r\n\r\n{}")
    t.upstream_sends(OK)
    t.expect_client(OK)

    assert (len(t.upstreams), repr(t.pool)) == (1, IDLE)


def test_chunks_go_up_as_chunks_without_extensions_and_with_trailers(begin: Begin) -> None:
    t = begin()

    t.client_sends(post_chunked("/tools/o.call", body=b"2;x=y\r\nhe\r\n"))
    t.expect_upstream(CALL + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
    t.client_sends(b"3\r\nllo\r\n")
    t.expect_upstream(b"3\r\nllo\r\n")
    t.client_sends(b"0\r\nX-Sum: 1\r\nHost: b\r\n\r\n")
    t.expect_upstream(b"0\r\nX-Sum: 1\r\n\r\n")


def test_chunks_come_back_as_chunks_without_extensions_and_with_trailers(begin: Begin) -> None:
    t = begin()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(chunked + b"2;x=y\r\nok\r\n")
    t.expect_client(chunked + b"2\r\nok\r\n")
    t.upstream_sends(b"3\r\nay!\r\n0\r\nX-Sum: 1\r\nTrailer: x\r\n\r\n")
    t.expect_client(b"3\r\nay!\r\n0\r\nX-Sum: 1\r\n\r\n")

    assert repr(t.pool) == IDLE


def test_chunked_answer_that_comes_whole_goes_back_whole(begin: Begin) -> None:
    t = begin()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(chunked + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")

    t.expect_client(chunked + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")


def test_answer_until_the_end_of_the_connection_is_chunked(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\n\r\nok")
    t.expect_client(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
    t.upstream_closes()
    t.expect_client(b"0\r\n\r\n")

    assert (repr(t.pool), t.client.fate) == (EMPTY, "open")


def test_answer_of_unknown_length_ends_with_the_connection_of_an_http_1_0_caller(
    begin: Begin,
) -> None:
    t = begin()

    t.client_sends(b"GET /servers/o/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    t.expect_client(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")
    assert (t.client.fate, repr(t.pool)) == ("closed", IDLE)


def test_http_1_0_caller_that_asks_is_kept(begin: Begin) -> None:
    t = begin()

    t.client_sends(b"GET /servers/o/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    t.upstream_sends(OK)

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
    assert t.client.fate == "open"


def test_caller_that_says_close_is_closed(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", b"Connection: close"))
    t.upstream_sends(OK)

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    assert (t.client.fate, repr(t.pool)) == ("closed", IDLE)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"], ids=repr)
def test_answer_without_a_body_is_over_with_its_head(begin: Begin, status: bytes) -> None:
    t = begin()

    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(b"HTTP/1.1 " + status + b"\r\n\r\n")

    t.expect_client(b"HTTP/1.1 " + status + b"\r\n\r\n")
    assert repr(t.pool) == IDLE


def test_answer_to_head_is_over_with_its_head(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"HEAD /servers/o/x HTTP/1.1", b"Host: a"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    assert repr(t.pool) == IDLE


def test_pipelined_requests_are_answered_in_order(begin: Begin) -> None:
    t = begin()

    t.client_sends(get("/servers/o/1") + get("/servers/o/2") + get("/servers/o/3")[:20])
    t.expect_upstream(b"GET /1 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
    t.upstream_sends(OK)
    t.expect_client(OK)
    t.expect_upstream(b"GET /2 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
    t.client_sends(get("/servers/o/3")[20:])
    t.expect_upstream(b"")
    t.upstream_sends(OK)
    t.expect_client(OK)
    t.expect_upstream(b"GET /3 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")

    assert len(t.upstreams) == 1


def test_request_behind_a_body_waits_for_its_turn(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])
    t.client_sends(b"lo" + get("/servers/o/2"))
    t.expect_upstream(CALL + b"Content-Length: 5\r\n\r\nhello")
    t.upstream_sends(OK)

    t.expect_upstream(b"GET /2 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_nothing_behind_a_request_that_closes_is_served(begin: Begin) -> None:
    t = begin()

    t.client_sends(get("/servers/o/1", b"Connection: close") + get("/servers/o/2"))
    t.upstream_sends(OK)
    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    t.upstream.transport.take()
    t.settle()

    t.expect_upstream(b"")
    assert t.client.fate == "half-closed"  # what still comes is thrown away for a while


def test_record_holds_what_happened(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", body=b"hello"))
    t.upstream_sends(OK)

    (record,) = t.records
    assert (record.route, record.server, record.tool, record.endpoint, record.status) == (
        "/tools/{tool}",
        "o",
        "call",
        "http://10.0.0.9:80",
        200,
    )
    assert (record.attempts, record.request_bytes, record.response_bytes) == (1, 5, 2)


def test_each_call_has_a_trace_of_its_own(begin: Begin) -> None:
    t = begin()
    seen = []

    for _ in range(2):
        t.client_sends(get("/servers/o/x"))
        sent = t.upstream.transport.take()
        seen.append(re.findall(rb"traceparent: 00-(\w+)-|X-Request-Id: (\w+)", sent))
        t.upstream_sends(OK)

    assert (len(seen[0]), set(seen[0]) & set(seen[1])) == (2, set())
