"""Every limit in time: what is due, when, and what comes of it."""

import pytest

from proxy.data_plane.roles import Rules
from tests.support.messages import get, message, post
from tests.support.transcript import Begin

IDLE = "<Pool 1 idle, 0 busy>"
EMPTY = "<Pool 0 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"


@pytest.mark.parametrize(
    ("server", "field", "deadline_s"),
    [
        pytest.param("", b"X: x", 30, id="by-default"),
        pytest.param("timeout: 2s", b"X: x", 2, id="of-the-server"),
        pytest.param("timeout: 2s", b"Request-Timeout: 3", 3, id="asked-for"),
        pytest.param("timeout: 2s", b"Request-Timeout: 0.5", 0.5, id="asked-for-in-part"),
        pytest.param("", b"Request-Timeout: 9999", 600, id="asked-for-too-long"),
    ],
)
def test_call_without_an_answer_ends_at_its_deadline(
    begin: Begin, server: str, field: bytes, deadline_s: float
) -> None:
    t = begin(server)
    t.client_sends(post("/tools/o.call", field))

    t.passes(deadline_s - 0.1)
    t.expect_client(b"")
    t.passes(0.2)

    t.client.expect_problem(504, "upstream_timeout")
    assert (t.upstream.fate, repr(t.pool), t.client.fate) == ("aborted", EMPTY, "open")


@pytest.mark.parametrize("value", [b"0", b"-1", b"1e3", b"x", b"", b"1, 2", b"1.2.3", b"."])
def test_bad_timeout_is_400_and_the_connection_goes_on(begin: Begin, value: bytes) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", b"Request-Timeout: " + value))

    t.client.expect_problem(400, "bad_request")
    assert (t.client.fate, t.upstreams) == ("open", [])


def test_deadline_covers_the_wait_for_a_connection(begin: Begin) -> None:
    t = begin("timeout: 500ms")
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    t.passes(0.6)

    t.client.expect_problem(504, "upstream_timeout")
    assert repr(t.pool) == EMPTY


def test_deadline_ends_with_the_answers_head(begin: Begin) -> None:
    t = begin("timeout: 2s")
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(LONG)

    t.passes(30)

    assert (t.client.fate, t.upstream.fate) == ("open", "open")


def test_answer_that_falls_silent_is_broken_off(begin: Begin) -> None:
    t = begin("idle_timeout: 5s")
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(LONG)
    t.client.transport.take()

    t.passes(4)
    t.upstream_sends(b"a word")
    t.passes(4)
    alive = t.client.fate
    t.passes(2)

    t.expect_client(b"a word")
    assert (alive, t.client.fate in {"aborted", "reset"}, t.upstream.fate) == (
        "open",
        True,
        "aborted",
    )


def test_event_stream_may_be_silent(begin: Begin) -> None:
    t = begin("idle_timeout: 5s")
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )

    t.passes(3600)

    assert (t.client.fate, t.upstream.fate) == ("open", "open")


def test_body_that_moves_keeps_a_long_call_alive(begin: Begin) -> None:
    t = begin("idle_timeout: 5s")
    t.client_sends(post("/tools/o.call", body=b"x" * 20)[:-15])
    t.upstream_sends(LONG)

    for _ in range(3):
        t.passes(4)
        t.client_sends(b"xxxxx")

    assert (t.client.fate, t.upstream.fate) == ("open", "open")


def test_body_that_does_not_come_is_408(begin: Begin) -> None:
    t = begin("timeout: 2s")
    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])

    t.passes(2.1)

    t.client.expect_problem(408, "request_timeout")
    assert (t.client.fate, t.upstream.fate) == ("half-closed", "aborted")


def test_head_that_does_not_come_is_408(begin: Begin) -> None:
    t = begin(rules=Rules(head_timeout_s=3))
    t.client_sends(b"GET / HT")

    t.passes(2)
    t.client_sends(b"TP/1.1\r\n")
    t.passes(1.1)

    t.client.expect_problem(408, "request_timeout")
    assert t.client.fate == "half-closed"


def test_connection_that_never_asked_is_closed_without_a_word(begin: Begin) -> None:
    t = begin(rules=Rules(idle_s=7))

    t.passes(6.9)
    open_until_then = t.client.fate
    t.passes(0.2)

    t.expect_client(b"")
    assert (open_until_then, t.client.fate) == ("open", "closed")


def test_idle_time_begins_anew_with_each_answer(begin: Begin) -> None:
    t = begin(rules=Rules(idle_s=7))
    t.passes(5)
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(OK)

    t.passes(5)
    open_until_then = t.client.fate
    t.passes(2.1)

    assert (open_until_then, t.client.fate) == ("open", "closed")


def test_idle_upstream_connection_expires(begin: Begin) -> None:
    t = begin("keepalive: {idle: 4s}")
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(OK)

    t.passes(3.9)
    kept = repr(t.pool)
    t.passes(0.2)

    assert (kept, repr(t.pool), t.upstream.fate) == (IDLE, EMPTY, "aborted")


@pytest.mark.parametrize(
    ("said", "kept_s"),
    [
        pytest.param(b"timeout=5, max=100", 4, id="a-second-less"),
        pytest.param(b"timeout=1", 0, id="too-short"),
        pytest.param(b"timeout=900", 15, id="longer-than-ours"),
        pytest.param(b"timeout=soon", 15, id="no-number"),
        pytest.param(b"max=3", 15, id="no-time"),
    ],
)
def test_connection_is_let_go_before_the_upstream_closes_it(
    begin: Begin, said: bytes, kept_s: float
) -> None:
    t = begin()
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(message(b"HTTP/1.1 204 x", b"Keep-Alive: " + said))

    t.passes(max(0.0, kept_s - 0.1))
    kept = t.pool.idle
    t.passes(0.2)

    assert (kept, t.pool.idle) == (int(kept_s > 0), 0)


def test_connection_serves_as_many_requests_as_it_may(begin: Begin) -> None:
    t = begin("keepalive: {max_requests: 2}")

    for _ in range(3):
        t.client_sends(get("/servers/o/x"))
        t.upstream_sends(OK)

    assert [each.fate for each in t.upstreams] == ["aborted", "open"]


def test_rest_of_a_refused_body_is_read_for_a_while(begin: Begin) -> None:
    t = begin("max_body: 3")
    t.client_sends(post("/tools/o.call", body=b"hello")[:-2])
    t.client.expect_problem(413, "body_too_large")
    t.client_sends(b"lo")
    lingering = t.client.fate

    t.passes(5.1)

    assert (lingering, t.client.fate) == ("half-closed", "aborted")


def test_rest_of_a_refused_body_is_read_up_to_a_bound(begin: Begin) -> None:
    t = begin("max_body: 3")
    t.client_sends(b"POST /tools/o.call HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")

    for _ in range(2):
        t.client_sends(b"x" * 600_000)

    assert t.client.fate == "aborted"
