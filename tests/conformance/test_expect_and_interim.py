"""Expectations, interim answers and early ones: RFC 9110, 10.1.1 and 15.2; checklist 46 to 50."""

import pytest

from tests.support.caller import NoAnswerError
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post, post_chunked
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers, answers_at_once, echo, holds
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

EXPECTING = message(
    b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Expect: 100-continue", b"Content-Length: 5"
)
HINTS = message(b"HTTP/1.1 103 Early Hints", b"Link: </a.css>; rel=preload")
PROCESSING = message(b"HTTP/1.1 102 Processing")


def test_46_continue_is_ours_and_the_expectation_stays_here(
    sidecar: Sidecar, origin: Origin
) -> None:
    with sidecar.caller() as caller:
        caller.send(EXPECTING)
        invited = caller.one_answer()
        caller.send(b"hello")
        final = caller.one_answer()

    call = origin.calls[0]
    found = (invited.status, final.status, bytes(call.body), call.values("expect"))
    assert found == (100, 200, b"hello", [])


def test_46_expectation_is_read_in_any_case(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(EXPECTING.replace(b"Expect: 100-continue", b"expect: 100-Continue"))

        assert caller.one_answer().status == 100


def test_46_continue_is_sent_for_chunks_too(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(post_chunked("/tools/o.call", b"Expect: 100-continue", body=b""))
        invited = caller.one_answer()
        caller.send(b"5\r\nhello\r\n0\r\n\r\n")

        assert (invited.status, caller.one_answer().json()["body"]) == (100, "hello")


def test_46_continue_is_not_sent_to_1_0(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(EXPECTING.replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello")

        assert caller.one_answer().status == 200


def test_46_continue_is_not_sent_without_an_upstream(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(EXPECTING.replace(b"/o.call", b"/dead.call"))

        assert caller.one_answer().status == 502


def test_46_continue_is_not_sent_for_a_body_too_large(sidecar: Sidecar, origin: Origin) -> None:
    request = EXPECTING.replace(b"/o.call", b"/small.call").replace(b": 5", b": 5000")
    with sidecar.caller() as caller:
        caller.send(request)

        assert (caller.one_answer().status, origin.calls) == (413, [])


def test_46_continue_is_not_sent_for_an_unknown_tool(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(EXPECTING.replace(b"/o.call", b"/o.unknown"))

        assert caller.one_answer().status == 404


@pytest.mark.parametrize(
    "expectation", [b"200-ok", b"y 100-continue", b"100-continue, x", b"100-continue=1"]
)
def test_47_other_expectations_never_reach_the_upstream(
    sidecar: Sidecar, origin: Origin, expectation: bytes
) -> None:
    answer = sidecar.ask(post("/tools/o.call", b"Expect: " + expectation, body=b"hello"))

    forwarded = [call.values("expect") for call in origin.calls]
    assert (answer.status, forwarded) in [(200, [[]]), (417, [])]


def test_48_interim_answers_are_passed_on(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(PROCESSING + HINTS + HINTS + ok(b"final"))

    answer = sidecar.ask(post("/tools/o.call"))

    hints = [(each.status, each.value("link")) for each in answer.interim]
    link = "</a.css>; rel=preload"
    assert (answer.body, hints) == (b"final", [(102, None), (103, link), (103, link)])


def test_48_interim_answer_comes_before_the_final_one_is_there(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()

    async def hint_and_wait(visit: Visit) -> None:
        await visit.send(HINTS)
        await holds(gate, echo)(visit)

    origin.script = hint_and_wait
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        early = caller.one_answer()
        gate.open()

        assert (early.status, caller.one_answer().status) == (103, 200)


def test_48_interim_answers_are_dropped_for_1_0(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(PROCESSING + HINTS + ok(b"final"))

    answer = sidecar.ask(post("/tools/o.call").replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert (answer.body, answer.interim) == (b"final", ())


def test_48_interim_answer_without_a_final_one_is_no_answer(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = answers(HINTS, close=True)

    assert sidecar.ask(post("/tools/o.call")).status == 502


def test_48_interim_answers_carry_no_framing(sidecar: Sidecar, origin: Origin) -> None:
    bad = message(b"HTTP/1.1 103 Early Hints", b"Content-Length: 5", b"Transfer-Encoding: chunked")
    origin.script = answers(bad + ok(b"final"))

    answer = sidecar.ask(post("/tools/o.call"))

    names = {name.lower() for each in answer.interim for name, _ in each.headers}
    assert names & {b"content-length", b"transfer-encoding"} == set()


def test_50_final_answer_is_not_kept_back_for_the_body(sidecar: Sidecar, origin: Origin) -> None:
    refusal = message(b"HTTP/1.1 422 No", b"Connection: close", b"Content-Length: 2", body=b"no")
    origin.script = answers_at_once(refusal, close=True)
    with sidecar.caller() as caller:
        caller.send(EXPECTING)

        answer = caller.answer()

    assert (answer.status, answer.body) == (422, b"no")


def test_50_body_that_was_not_sent_is_never_taken_from_what_follows(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = answers_at_once(ok(b"early", b"Connection: close"), close=True)
    with sidecar.caller() as caller:
        caller.send(EXPECTING)
        first = caller.answer()
        caller.send_as_far_as_it_goes(b"hello" + get("/livez", b"Connection: close"))

        later = caller.answers_until_close()

    # Either the five octets were read as the body they are, or the connection is closed.
    assert (first.body, [answer.status for answer in later] in ([200], [])) == (b"early", True)


def test_early_answer_reaches_a_caller_that_still_sends(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers_at_once(ok(b"early"))
    with sidecar.caller() as caller:
        caller.send(message(b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Content-Length: 10"))
        caller.send(b"hello")

        assert caller.answer().body == b"early"


def test_early_answer_leaves_no_connection_in_doubt(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers_at_once(ok(b"early"))
    with sidecar.caller() as caller:
        caller.send(message(b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Content-Length: 10"))
        caller.answer()
        caller.send_as_far_as_it_goes(b"0123456789" + post("/tools/o.call"))
        try:
            second: int = caller.answer().status
        except NoAnswerError:
            second = 0

    body = bytes(origin.calls[0].body)
    assert (second in {0, 200}, b"0123456789".startswith(body)) == (True, True)
    assert eventually(lambda: origin.calls[0].complete or origin.calls[0].connection.ending)
