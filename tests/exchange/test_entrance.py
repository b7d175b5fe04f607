"""Calls with a key on the wire: who makes them, who waits, and what happens when either leaves.

Knows neither policies nor credentials. What of a body goes up: `test_entrance_bodies.py`.
"""

import asyncio

from tests.support.messages import message, ok, post
from tests.support.transcript import Begin, Peer, Transcript

KEY = b"Idempotency-Key: k-1"
BOUND_BYTES = 256 << 10
IDLE = "<Pool 1 idle, 0 busy>"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
AGAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nIdempotency-Replayed: true\r\n\r\nok"
CALL = (
    b"POST /tools/call HTTP/1.1\r\nidempotency-key: k-1\r\nHost: 10.0.0.9\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)
JOINING = "tools: [{name: call, coalesce: true}]"


def callers(t: Transcript, count: int, request: bytes = post("/tools/o.call", KEY)) -> list[Peer]:
    """So many who ask for the same, one after the other."""
    asking = [t.client, *(t.another_client() for _ in range(count - 1))]
    for each in asking:
        each.sends(request)
    return asking


def test_one_call_goes_up_for_all(begin: Begin) -> None:
    t = begin()

    first, *others = callers(t, 9)
    went_up = (len(t.upstreams), t.endpoint.active)
    t.expect_upstream(CALL)
    t.upstream_sends(OK)

    first.expect(OK)
    for each in others:
        each.expect(AGAIN)
    assert (went_up, repr(t.pool)) == ((1, 1), IDLE)


def test_nobody_hears_of_half_an_answer(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)

    t.upstream_sends(OK[:-1])

    first.expect(OK[:-1])
    second.expect(b"")
    t.upstream_sends(OK[-1:])
    second.expect(AGAIN)


def test_call_is_made_again_for_who_waited_when_there_was_no_answer(begin: Begin) -> None:
    t = begin()
    first, second, third = callers(t, 3)

    t.upstream_closes()
    first.expect_problem(502, "upstream_closed")
    t.expect_upstream(CALL)
    t.upstream_sends(OK)

    second.expect(OK)
    third.expect(AGAIN)


def test_answer_that_breaks_off_is_nobody_elses(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)
    t.upstream_sends(OK[:-1])

    t.upstream_closes()
    t.expect_upstream(CALL)
    t.upstream_sends(OK)

    second.expect(OK)
    assert first.fate != "open"


def test_call_goes_on_for_nobody_and_is_kept(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))

    t.client_leaves()
    t.upstream_sends(OK)
    later = t.another_client()
    later.sends(post("/tools/o.call", KEY))

    later.expect(AGAIN)
    assert (len(t.upstreams), repr(t.pool)) == (1, IDLE)


def test_call_goes_on_though_its_answer_had_begun(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)
    t.upstream_sends(OK[:-1])

    first.resets()
    t.upstream_sends(OK[-1:])

    second.expect(AGAIN)
    assert (t.upstream.fate, repr(t.pool)) == ("open", IDLE)


def test_call_goes_on_though_nobody_took_its_answer(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)
    t.upstream_sends(OK[:-2])
    first.is_full()

    first.resets()
    t.upstream_sends(OK[-2:])

    second.expect(AGAIN)


def test_call_of_nobody_ends_in_time(begin: Begin) -> None:
    t = begin("timeout: 5s")
    t.client_sends(post("/tools/o.call", KEY))
    t.client_leaves()

    t.passes(4)
    before = t.upstream.fate
    t.passes(2)

    assert (before, t.upstream.fate, t.endpoint.active) == ("open", "aborted", 0)


def test_stream_of_nobody_ends_at_once(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")

    t.client_leaves()

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)


def test_answer_too_large_to_keep_holds_up_nobody(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)

    t.upstream_sends(message(b"HTTP/1.1 200 OK", b"Content-Length: 1000000", body=b"x"))

    assert len(t.upstreams) == 2
    t.expect_upstream(CALL)
    t.upstream_sends(OK)
    second.expect(OK)
    del first


def test_answer_that_grows_too_large_holds_up_nobody(begin: Begin) -> None:
    t = begin()
    _, second = callers(t, 2)
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    t.upstream_sends(b"40001\r\n" + b"x" * (BOUND_BYTES + 1))

    assert len(t.upstreams) == 2
    t.upstream_sends(OK)
    second.expect(OK)


def test_call_without_a_key_is_cancelled_as_ever(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.client_leaves()

    assert (t.upstream.fate, t.endpoint.active) == ("aborted", 0)


def test_call_whose_body_is_not_whole_is_made_by_nobody(begin: Begin) -> None:
    t = begin()
    first, second = t.client, t.another_client()
    whole = post("/tools/o.call", KEY)
    first.sends(whole[:-1])

    first.ends()
    second.sends(whole)
    t.upstream_sends(OK)

    second.expect(OK)
    assert len(t.upstreams) == 1


def test_those_who_join_come_and_go(begin: Begin) -> None:
    t = begin()
    first, *others = callers(t, 9)

    for each in others[:-1]:
        each.resets()
    t.upstream_sends(OK)

    first.expect(OK)
    others[-1].expect(AGAIN)
    assert repr(t.plane.repeats).startswith("<Repeats 0 running, 1 kept")


def test_one_who_waits_runs_out_of_time_alone(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    hasty = t.another_client()
    hasty.sends(post("/tools/o.call", KEY, b"Request-Timeout: 1"))

    t.passes(2)
    hasty.expect_problem(504, "upstream_timeout")
    t.upstream_sends(OK)

    t.expect_client(OK)


def test_queue_is_left_by_a_call_of_nobody_when_it_is_made(begin: Begin) -> None:
    t = begin("limits: {max_connections: 1, max_pending: 2, queue_timeout: 60s}")
    t.client_sends(post("/tools/o.call", body=b"first"))
    second = t.another_client()
    second.sends(post("/tools/o.call", KEY))

    second.ends()
    t.upstream_sends(OK)
    t.upstream_sends(OK)
    third = t.another_client()
    third.sends(post("/tools/o.call", KEY))

    third.expect(AGAIN)
    assert (len(t.upstreams), repr(t.pool)) == (1, IDLE)


def test_leave_to_go_on_is_given_once(begin: Begin) -> None:
    t = begin()
    request = post("/tools/o.call", KEY, b"Expect: 100-continue")

    t.client_sends(request[:-2])
    t.expect_client(b"HTTP/1.1 100 Continue\r\n\r\n")
    t.client_sends(request[-2:])
    t.upstream_sends(OK)

    t.expect_client(OK)


def test_one_who_joins_is_given_leave_to_go_on(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    second = t.another_client()
    request = post("/tools/o.call", KEY, b"Expect: 100-continue")

    second.sends(request[:-2])
    second.expect(b"HTTP/1.1 100 Continue\r\n\r\n")
    second.sends(request[-2:])
    t.upstream_sends(OK)

    second.expect(AGAIN)


def test_interim_answers_are_the_first_callers(begin: Begin) -> None:
    t = begin()
    first, second = callers(t, 2)
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"

    t.upstream_sends(early + OK)

    first.expect(early + OK)
    second.expect(AGAIN)


def test_repeats_behind_each_other_are_answered_in_turn(begin: Begin) -> None:
    t = begin()

    t.client_sends(post("/tools/o.call", KEY) * 3)
    t.upstream_sends(OK)

    t.expect_client(OK + AGAIN * 2)


def test_equal_calls_are_joined_and_not_kept(begin: Begin) -> None:
    t = begin(JOINING)
    first, second = callers(t, 2, post("/tools/o.call"))
    t.upstream_sends(OK)
    answers = [each.transport.take() for each in (first, second)]

    first.sends(post("/tools/o.call"))

    assert ([answer[-2:] for answer in answers], t.endpoint.active) == ([b"ok", b"ok"], 1)
    assert repr(t.plane.repeats).startswith("<Repeats 1 running, 0 kept")


def test_joined_call_is_made_anew_when_the_first_leaves(begin: Begin) -> None:
    t = begin(JOINING)
    first, second = callers(t, 2, post("/tools/o.call"))

    first.ends()
    t.upstream_sends(OK)

    second.expect(OK)
    assert [each.fate for each in t.upstreams] in (["aborted", "open"], ["open"])


def test_nothing_is_left_of_calls_that_ended(begin: Begin) -> None:
    t = begin()
    asking = callers(t, 5)
    for each in asking:
        each.resets()
    t.upstream_sends(OK)

    t.passes(400)

    assert repr(t.plane.repeats) == "<Repeats 0 running, 0 kept, 0 bytes>"
    assert len(asyncio.all_tasks(t.loop)) <= 2


def test_answer_is_kept_for_five_minutes(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call", KEY))
    t.upstream_sends(OK)
    t.expect_client(OK)

    later = []
    for seconds in (299, 2):
        t.passes(seconds)
        client = t.another_client()
        client.sends(post("/tools/o.call", KEY))
        later.append(client)

    later[0].expect(AGAIN)
    later[1].expect(b"")
    t.upstream_sends(ok(b"second"))
    later[1].expect(ok(b"second"))
