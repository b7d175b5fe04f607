"""Calls with a key whose callers have left: they end, well or in time, and somebody owns them."""

from tests.support.messages import post
from tests.support.transcript import Begin

KEY = b"Idempotency-Key: k-1"
PATIENT = b"Request-Timeout: 60"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
AGAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nIdempotency-Replayed: true\r\n\r\nok"
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"


def test_stream_that_begins_for_nobody_ends_at_once(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    t.client_leaves()

    t.upstream_sends(EVENTS)

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)


def test_slow_answer_of_nobody_is_waited_for(begin: Begin) -> None:
    t = begin("timeout: 5s")
    t.client_sends(post("/tools/o.call", KEY))
    second = t.another_client()
    second.sends(post("/tools/o.call", KEY, PATIENT))
    t.client_leaves()

    t.passes(3)
    t.upstream_sends(OK[:-1])
    t.passes(3)
    t.upstream_sends(OK[-1:])

    second.expect(AGAIN)
    assert len(t.upstreams) == 1


def test_answer_of_nobody_that_stands_still_ends(begin: Begin) -> None:
    t = begin("idle_timeout: 5s")
    t.client_sends(post("/tools/o.call", KEY))
    t.upstream_sends(OK[:-1])
    t.client_leaves()

    t.passes(60)

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)


def test_call_of_nobody_still_counts_for_its_server(begin: Begin) -> None:
    t = begin("circuit: {failures: 1}")
    t.client_sends(post("/tools/o.call", KEY))
    t.client_leaves()

    t.upstream_closes()
    t.client = t.another_client()
    t.client_sends(post("/tools/o.call", KEY))

    t.client.expect_problem(503, "circuit_open")


def test_call_of_nobody_is_recorded_once(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    t.client_leaves()

    t.upstream_sends(OK)
    t.passes(1000)

    assert [(each.status, each.attempts) for each in t.records] == [(200, 1)]


def test_calls_of_nobody_end_with_the_sidecar(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    t.client_leaves()

    t.does(t.door.stop)

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)


def test_calls_of_those_who_are_cut_off_end_with_the_sidecar(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))

    t.does(t.door.stop)

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)
