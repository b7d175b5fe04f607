"""Either side goes away, or says too much: nothing half is ever taken for whole."""

import pytest

from proxy.data_plane.roles import Rules
from tests.support.messages import get, post, post_chunked
from tests.support.transcript import Begin, Transcript

IDLE = "<Pool 1 idle, 0 busy>"
EMPTY = "<Pool 0 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

# --- the caller leaves ---

BEFORE = {
    "before-the-answer": b"",
    "after-its-head": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
    "within-its-body": CHUNKED + b"2\r\nok\r\n",
}


@pytest.mark.parametrize("answered", BEFORE.values(), ids=BEFORE)
@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
def test_caller_that_leaves_takes_the_upstream_call_with_it(
    begin: Begin, answered: bytes, *, resets: bool
) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(answered)

    if resets:
        t.client.resets()
    else:
        t.client_leaves()

    assert (t.upstream.fate, repr(t.pool), repr(t.door)) == (
        "aborted",
        EMPTY,
        "<Door 0 connections>",
    )


def test_caller_that_left_is_recorded_without_an_error(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.client_leaves()

    assert [(each.status, each.code) for each in t.records] == [(0, "")]


def test_caller_that_leaves_within_its_body_is_not_answered(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])

    t.client_leaves()

    assert (t.client.transport.take(), t.client.fate, t.upstream.fate) == (
        b"",
        "aborted",
        "aborted",
    )


def test_caller_that_leaves_while_it_waits_for_a_connection_gives_up_the_attempt(
    begin: Begin,
) -> None:
    t = begin()
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    t.client_leaves()

    assert (t.upstreams, repr(t.pool)) == ([], EMPTY)


def test_idle_caller_that_leaves_is_let_go(begin: Begin) -> None:
    t = begin()

    t.client_leaves()

    assert (t.client.fate, t.door.connections) == ("closed", 0)


def test_half_closed_caller_is_answered_where_the_settings_say_so(begin: Begin) -> None:
    t = begin(rules=Rules(half_close=True))
    t.client_sends(post("/tools/o.call"))

    t.client_leaves()
    t.upstream_sends(OK)

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
    assert (t.client.fate, repr(t.pool)) == ("closed", IDLE)


def test_half_closed_caller_with_half_a_body_is_gone_all_the_same(begin: Begin) -> None:
    t = begin(rules=Rules(half_close=True))
    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])

    t.client_leaves()

    assert (t.client.fate, t.upstream.fate) == ("aborted", "aborted")


# --- the upstream breaks off ---


def test_upstream_that_closes_before_an_answer_is_502(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.upstream_closes()

    t.client.expect_problem(502, "upstream_closed")
    assert (t.client.fate, repr(t.pool)) == ("open", EMPTY)


@pytest.mark.parametrize("resets", [False, True], ids=["ends", "resets"])
def test_chunked_answer_that_breaks_off_has_no_last_chunk(begin: Begin, *, resets: bool) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(CHUNKED + b"2\r\nok\r\n")

    if resets:
        t.upstream.resets()
    else:
        t.upstream_closes()

    t.expect_client(CHUNKED + b"2\r\nok\r\n")
    assert (t.client.fate, t.records[-1].code) == ("aborted", "upstream_closed")


def test_counted_answer_that_breaks_off_breaks_the_callers_off(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")

    t.upstream_closes()

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
    assert t.client.fate in {"aborted", "reset"}


def test_endless_answer_that_is_reset_has_no_last_chunk(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\n\r\nok")

    t.upstream.resets()

    t.expect_client(CHUNKED + b"2\r\nok\r\n")
    assert t.client.fate == "aborted"


def test_answer_that_breaks_off_is_a_reset_for_an_http_1_0_caller(begin: Begin) -> None:
    t = begin()
    t.client_sends(b"GET /servers/o/x HTTP/1.0\r\n\r\n")
    t.upstream_sends(CHUNKED + b"2\r\nok\r\n")

    t.upstream_closes()

    t.expect_client(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")
    assert t.client.fate == "reset"


def test_answer_that_is_no_http_is_502_and_its_connection_gone(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.upstream_sends(b"220 smtp ready\r\n")

    t.client.expect_problem(502, "upstream_protocol")
    assert (t.upstream.fate, repr(t.pool), t.client.fate) == ("aborted", EMPTY, "open")


def test_answer_whose_chunks_break_breaks_the_callers_off(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.upstream_sends(CHUNKED + b"2\r\nok\r\n")
    t.upstream_sends(b"nonsense\r\n")

    t.expect_client(CHUNKED + b"2\r\nok\r\n")
    assert (t.client.fate, t.upstream.fate) == ("aborted", "aborted")


# --- the upstream says more than it may ---


def exchanged(t: Transcript, answer: bytes) -> None:
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(answer)
    t.client.transport.take()


def test_upstream_that_says_close_is_not_used_again(begin: Begin) -> None:
    t = begin()

    exchanged(t, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")

    assert (t.upstream.fate, repr(t.pool), t.client.fate) == ("aborted", EMPTY, "open")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK + b"x", id="behind-a-counted-answer"),
        pytest.param(CHUNKED + b"0\r\n\r\nx", id="behind-a-chunked-answer"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\nx", id="behind-no-content"),
        pytest.param(OK + OK, id="a-second-answer"),
    ],
)
def test_connection_with_bytes_behind_its_answer_is_not_used_again(
    begin: Begin, answer: bytes
) -> None:
    t = begin()

    exchanged(t, answer)

    assert (t.upstream.fate, repr(t.pool)) == ("aborted", EMPTY)


def test_bytes_behind_an_answer_whose_request_still_comes_end_the_connection(
    begin: Begin,
) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])
    t.upstream_sends(OK)

    t.upstream_sends(b"x")
    t.client_sends(b"lo")

    t.expect_client(OK)
    assert (t.upstream.fate, repr(t.pool)) == ("aborted", EMPTY)


@pytest.mark.parametrize("octets", [b"x", OK], ids=["a-byte", "an-answer"])
def test_stray_bytes_on_an_idle_connection_close_it(begin: Begin, octets: bytes) -> None:
    t = begin()
    exchanged(t, OK)

    t.upstream_sends(octets)

    assert (t.upstream.fate, repr(t.pool)) == ("aborted", EMPTY)


def test_stray_bytes_that_the_loop_has_not_read_close_the_connection_too(begin: Begin) -> None:
    t = begin()
    exchanged(t, OK)
    t.passes(0.01)
    t.upstream.transport.far_socket.send(OK)

    t.client_sends(get("/servers/o/y"))

    t.expect_upstream(b"GET /y HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
    assert [each.fate for each in t.upstreams] == ["aborted", "open"]


def test_idle_connection_that_the_upstream_closes_is_forgotten(begin: Begin) -> None:
    t = begin()
    exchanged(t, OK)

    t.upstream_closes()

    assert repr(t.pool) == EMPTY


# --- the caller's body breaks ---


def test_broken_chunks_are_400_and_the_upstream_call_is_gone(begin: Begin) -> None:
    t = begin()
    t.client_sends(post_chunked("/tools/o.call", body=b"2\r\nhe\r\n"))

    t.client_sends(b"nonsense\r\n")

    t.client.expect_problem(400, "bad_request")
    assert (t.client.fate, t.upstream.fate) == ("half-closed", "aborted")


def test_broken_chunks_in_the_first_piece_reach_no_upstream(begin: Begin) -> None:
    t = begin()

    t.client_sends(post_chunked("/tools/o.call", body=b"nonsense\r\n"))

    t.client.expect_problem(400, "bad_request")
    assert (t.client.fate, t.upstreams) == ("half-closed", [])


def test_broken_chunks_after_the_answer_has_begun_break_it_off(begin: Begin) -> None:
    t = begin()
    t.client_sends(post_chunked("/tools/o.call", body=b"2\r\nhe\r\n"))
    t.upstream_sends(CHUNKED + b"2\r\nok\r\n")

    t.client_sends(b"nonsense\r\n")

    t.expect_client(CHUNKED + b"2\r\nok\r\n")
    assert (t.client.fate, t.upstream.fate) == ("aborted", "aborted")


def test_broken_chunks_after_the_answer_is_over_only_end_the_connection(begin: Begin) -> None:
    t = begin()
    t.client_sends(post_chunked("/tools/o.call", body=b"2\r\nhe\r\n"))
    t.upstream_sends(OK)

    t.client_sends(b"nonsense\r\n")

    t.expect_client(OK)
    assert (t.client.fate, t.upstream.fate) == ("half-closed", "aborted")


# --- the answer is over, and the request is not ---


def half_asked(t: Transcript, *fields: bytes) -> None:
    """An answer to a request of which the upstream still waits for the rest."""
    t.client_sends(post("/tools/o.call", *fields, body=b"hello")[:-2])
    t.upstream_sends(OK)
    t.client.transport.take()


def test_connection_that_waits_for_a_body_is_gone_with_its_caller(begin: Begin) -> None:
    t = begin()
    half_asked(t)

    t.client_leaves()

    assert (t.upstream.fate, repr(t.pool)) == ("aborted", EMPTY)


def test_connection_that_waits_for_a_body_is_gone_when_that_takes_too_long(begin: Begin) -> None:
    t = begin()
    half_asked(t)

    t.passes(6)

    assert (t.upstream.fate, repr(t.pool), t.client.fate) == ("aborted", EMPTY, "half-closed")


def test_connection_that_waits_for_a_body_is_not_used_after_a_caller_that_closes(
    begin: Begin,
) -> None:
    t = begin()

    half_asked(t, b"Connection: close")

    assert (t.upstream.fate, repr(t.pool)) == ("aborted", EMPTY)
