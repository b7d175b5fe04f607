"""What a connection may still be used for, and until when: RFC 9112, 9; checklist 56 to 61."""

import pytest

from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, ok, post, post_chunked
from tests.support.origin import Ending, Origin
from tests.support.scripts import answers, echo, holds, in_turn
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

SMUGGLED = get("/livez", b"Connection: close")
CLOSING = post("/tools/o.call", b"Connection: close")


@pytest.mark.parametrize(
    "path",
    ["/tools/o.unknown", "/tools/unknown.call", "/servers/closed/any", "/health", "/nowhere"],
)
@pytest.mark.parametrize("form", ["counted", "chunked"])
def test_56_body_of_a_refused_request_is_never_a_request(
    sidecar: Sidecar, path: str, form: str
) -> None:
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)
    refused = {"counted": post(path, body=SMUGGLED), "chunked": post_chunked(path, body=chunks)}
    with sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(refused[form] + get("/readyz", b"Connection: close"))

        first, *later = [answer.status for answer in caller.answers_until_close()]

    assert (first >= 400, later in ([200], [])) == (True, True)


def test_57_pipelined_answers_come_in_order(sidecar: Sidecar) -> None:
    bodies = [b'{"n":%d}' % number for number in range(50)]
    with sidecar.caller() as caller:
        caller.send(b"".join(post("/tools/o.call", body=body) for body in bodies))

        came = [caller.answer().json()["body"] for _ in bodies]

    assert came == [body.decode() for body in bodies]


def test_57_slow_answer_is_not_overtaken(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = in_turn(holds(gate, answers(ok(b"slow"))), answers(ok(b"fast")))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call") + get("/health") + post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        gate.open()

        came = [caller.answer().body for _ in range(3)]

    assert (came[0], came[1][:1], came[2]) == (b"slow", b"{", b"fast")


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(CLOSING, id="close"),
        pytest.param(post("/tools/o.call").replace(b"HTTP/1.1", b"HTTP/1.0"), id="1.0"),
        pytest.param(get("/health", b"Connection: close"), id="control-close"),
        pytest.param(get("/health").replace(b"HTTP/1.1", b"HTTP/1.0"), id="control-1.0"),
        pytest.param(b"POST /tools/o.call HTTP/1.1\r\n\r\n", id="malformed"),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", id="control-malformed"),
    ],
)
def test_58_nothing_is_processed_after_the_last_request(
    sidecar: Sidecar, origin: Origin, last: bytes
) -> None:
    statuses = sidecar.verdicts(last + post("/servers/o/never") + get("/servers/o/never"))

    assert (len(statuses), [c.target for c in origin.calls if b"never" in c.target]) == (1, [])


def test_good_requests_before_a_bad_one_are_answered(sidecar: Sidecar) -> None:
    good = post("/tools/o.call") + get("/health")

    statuses = sidecar.verdicts(good + b"POST /tools/o.call HTTP/1.1\r\n\r\n")

    assert statuses == [200, 200, 400]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"POST /tools/o.call HTTP/1.1\r\n\r\n", 400, id="malformed"),
        pytest.param(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, id="long-line"),
        pytest.param(b"POST /health HTTP/1.1\r\n\r\n", 400, id="control"),
    ],
)
def test_59_refusal_is_seen_by_a_caller_that_goes_on_sending(
    sidecar: Sidecar, head: bytes, status: int
) -> None:
    with sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(head + b"x" * 500_000)

        seen = caller.answer().status
        caller.rest()

    assert (seen, caller.was_reset) == (status, False)


def test_59_body_too_large_is_seen_by_a_caller_that_goes_on_sending(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(post("/tools/small.call", body=b"x" * 500_000))

        assert caller.answer().status == 413


@pytest.mark.parametrize("leave", [Caller.half_close, Caller.leave, Caller.reset])
def test_60_and_61_end_of_input_cancels_the_call(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, leave: object
) -> None:
    origin.script = holds(loop_thread.gate())
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        assert callable(leave)
        leave(caller)

        assert eventually(lambda: origin.calls[0].connection.ending) in {Ending.EOF, Ending.RESET}


def test_61_cancelled_connection_is_never_used_again(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = in_turn(holds(gate, answers(ok(b"stale"))), answers(ok(b"fresh")))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
    assert eventually(lambda: origin.calls[0].connection.ending)
    gate.open()

    answer = sidecar.ask(post("/tools/o.call"))

    assert (answer.body, origin.calls[0].connection is origin.calls[1].connection) == (
        b"fresh",
        False,
    )


def test_61_caller_that_leaves_during_its_body_is_seen_by_the_upstream(
    sidecar: Sidecar, origin: Origin
) -> None:
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", body=b"x" * 1000)[:-500])
        assert eventually(lambda: origin.calls)

    assert eventually(lambda: origin.calls[0].connection.ending)
    assert origin.calls[0].complete is False


def test_60_half_closed_caller_is_answered_when_so_set(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url), settings={"half_close": True})
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        caller.half_close()
        assert eventually(lambda: origin.calls)
        gate.open()

        assert [answer.status for answer in caller.answers_until_close()] == [200]


def test_60_half_closed_caller_of_control_is_answered_when_so_set(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings={"half_close": True})
    with sidecar.caller() as caller:
        caller.send(get("/health"))
        caller.half_close()

        assert [answer.status for answer in caller.answers_until_close()] == [200]


def test_connection_is_kept_for_many_requests(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        for number in range(200):
            caller.send(post("/tools/o.call", body=b"%d" % number))
            assert caller.answer().json()["body"] == str(number)
