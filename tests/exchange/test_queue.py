"""The line for a connection: who waits, who is refused, and to whom a free place goes."""

import asyncio

from proxy.data_plane.line import wait_for
from proxy.data_plane.upstream import Upstream
from tests.support.messages import get
from tests.support.transcript import Begin, Peer, Transcript

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ONE = "limits: {max_connections: 1, max_pending: 2}"


def asking(t: Transcript, path: str) -> Peer:
    """Another caller, with one call."""
    peer = t.another_client()
    peer.sends(get(f"/servers/o/{path}"))
    return peer


def test_calls_wait_in_order_for_the_one_connection(begin: Begin) -> None:
    t = begin(ONE)

    first, second, third = (asking(t, path) for path in ("1", "2", "3"))
    waiting = repr(t.pool)
    for _ in range(3):
        t.upstream_sends(OK)

    t.expect_upstream(
        b"".join(b"GET /%d HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n" % n for n in (1, 2, 3))
    )
    for each in (first, second, third):
        each.expect(OK)
    assert (waiting, repr(t.pool), len(t.upstreams)) == (
        "<Pool 0 idle, 1 busy>",
        "<Pool 1 idle, 0 busy>",
        1,
    )


def test_full_queue_refuses_at_once(begin: Begin) -> None:
    t = begin(ONE)
    for path in ("1", "2", "3"):
        asking(t, path)

    fourth = asking(t, "4")

    fourth.expect_problem(429, "queue_full")
    assert (fourth.fate, repr(t.pool)) == ("open", "<Pool 0 idle, 1 busy>")


def test_too_many_calls_at_once_are_refused_whether_they_wait_or_not(begin: Begin) -> None:
    t = begin("limits: {max_connections: 9, max_requests: 2}")
    asking(t, "1")
    asking(t, "2")

    third = asking(t, "3")

    third.expect_problem(429, "queue_full")


def test_call_waits_no_longer_than_it_may(begin: Begin) -> None:
    t = begin(ONE)
    asking(t, "1")
    second = asking(t, "2")

    t.passes(1.1)

    second.expect_problem(429, "queue_timeout")
    assert repr(t.pool) == "<Pool 0 idle, 1 busy>"


def test_refusal_says_when_to_come_again(begin: Begin) -> None:
    t = begin("limits: {max_connections: 1, max_pending: 0}")
    asking(t, "1")

    second = asking(t, "2")

    assert b"Retry-After: 1\r\n" in second.transport.take()


def test_place_of_a_dead_connection_goes_to_the_next_in_line(begin: Begin) -> None:
    t = begin(ONE)
    first, second = asking(t, "1"), asking(t, "2")

    t.upstream_closes()

    first.expect_problem(502, "upstream_closed")
    t.expect_upstream(b"GET /2 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
    t.upstream_sends(OK)
    second.expect(OK)
    assert (len(t.upstreams), repr(t.pool)) == (2, "<Pool 1 idle, 0 busy>")


def test_place_of_a_failed_connect_goes_to_the_next_in_line(begin: Begin) -> None:
    t = begin(ONE + "\nretry: {attempts: 1}")
    t.connects_at_once = False
    first, _ = asking(t, "1"), asking(t, "2")

    t.connects(ConnectionRefusedError())
    t.connects()

    first.expect_problem(502, "connect_failed")
    t.expect_upstream(b"GET /2 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_place_of_a_caller_that_left_goes_to_the_next_in_line(begin: Begin) -> None:
    t = begin(ONE)
    first, _ = asking(t, "1"), asking(t, "2")

    first.ends()

    assert [each.fate for each in t.upstreams] == ["aborted", "open"]
    t.expect_upstream(b"GET /2 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_caller_that_leaves_the_line_is_passed_over(begin: Begin) -> None:
    t = begin(ONE)
    _, second, _ = asking(t, "1"), asking(t, "2"), asking(t, "3")
    t.upstream.transport.take()
    second.ends()

    t.upstream_sends(OK)

    t.expect_upstream(b"GET /3 HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")
    assert repr(t.pool) == "<Pool 0 idle, 1 busy>"


def leaves_as_it_is_admitted(t: Transcript, waiter: "asyncio.Task[None]") -> None:
    """In one turn of the loop the waiter gets a permit, and is cancelled."""

    def in_one_turn() -> None:
        t.cluster.gate.leave()
        waiter.cancel()

    t.does(in_one_turn)


def test_permit_given_to_a_waiter_that_leaves_goes_to_the_next(begin: Begin) -> None:
    t = begin(ONE)
    gate = t.cluster.gate
    gate.try_enter()
    second, third = (t.starts(wait_for(gate, "o", None)) for _ in range(2))

    leaves_as_it_is_admitted(t, second)

    assert (second.cancelled(), third.done(), repr(gate)) == (
        True,
        True,
        "<Gate 1 busy, 0 queued>",
    )


def test_permit_given_to_the_last_waiter_that_leaves_is_free(begin: Begin) -> None:
    t = begin(ONE)
    gate = t.cluster.gate
    gate.try_enter()
    second = t.starts(wait_for(gate, "o", None))

    leaves_as_it_is_admitted(t, second)

    assert repr(gate) == "<Gate 0 busy, 0 queued>"


def gives_back(t: Transcript, upstream: Upstream) -> None:
    pool = t.pool
    t.does(lambda: pool.give_back(upstream, t.loop.time()))


def test_newest_idle_connection_is_taken_first(begin: Begin) -> None:
    t = begin()
    asking(t, "1")
    asking(t, "2")
    for each in t.upstreams:
        each.sends(OK)
        each.transport.take()

    asking(t, "3")

    assert [bool(each.transport.take()) for each in t.upstreams] == [False, True]


def test_fresh_connection_takes_the_place_of_the_oldest_idle_one(begin: Begin) -> None:
    t = begin("limits: {max_connections: 2}")
    for held in [t.runs(t.pool.connect()) for _ in range(2)]:
        held.reusable = True
        gives_back(t, held)

    fresh = t.runs(t.pool.connect())

    assert [each.fate for each in t.upstreams] == ["aborted", "open", "open"]
    gives_back(t, fresh)


def test_pool_of_an_endpoint_that_is_gone_keeps_nothing(begin: Begin) -> None:
    t = begin()
    first, _ = asking(t, "1"), asking(t, "2")
    t.upstreams[1].sends(OK)
    pool = t.pool

    t.does(lambda: t.plane.pools.forget([t.endpoint]))
    retired = repr(pool)
    t.upstreams[0].sends(OK)

    first.expect(OK)
    assert (retired, repr(pool), [each.fate for each in t.upstreams]) == (
        "<Pool 0 idle, 1 busy>",
        "<Pool 0 idle, 0 busy>",
        ["aborted", "aborted"],
    )


def test_late_call_to_an_endpoint_that_is_gone_is_served_and_nothing_kept(begin: Begin) -> None:
    t = begin()
    t.endpoint.gone = True

    late = asking(t, "1")
    t.upstream_sends(OK)

    late.expect(OK)
    assert (t.upstream.fate, list(t.plane.pools)) == ("aborted", [])
