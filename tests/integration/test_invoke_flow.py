"""How the octets of an invocation flow: large, slow, interrupted, answered in pieces, cancelled.

What an invocation says is the business of `test_invoke.py`.
"""

import signal

import pytest

from tests.support.caller import BrokenOffError, Caller
from tests.support.invocations import INVOKE, JSON
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, get, message, post, post_chunked
from tests.support.origin import Ending, Origin
from tests.support.problems import problem_of
from tests.support.scripts import answers, echo, holds, streams
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

MIB = 1 << 20
BOUND_BYTES = 16 * MIB
EVENTS = message(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream")
CALL = b'{"server":"o","tool":"call","parameters":{}}'


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(echo)


@pytest.fixture
def sidecar(start_sidecar: StartSidecar, origin: Origin) -> Sidecar:
    return start_sidecar(server("o", origin.url))


def sized(total_bytes: int) -> tuple[bytes, bytes]:
    """An invocation of exactly so many octets, and the parameters in it."""
    before, after = b'{"server":"o","tool":"call","parameters":', b"}"
    parameters = b'{"a":"' + b"x" * (total_bytes - len(before + after) - 8) + b'"}'
    return before + parameters + after, parameters


def invoke_head(*fields: bytes) -> bytes:
    return message(b"POST /api/v1/invoke HTTP/1.1", b"Host: a", JSON, *fields)


def test_invocation_up_to_the_bound_is_called(sidecar: Sidecar, origin: Origin) -> None:
    body, parameters = sized(BOUND_BYTES)

    answer = sidecar.ask(post(INVOKE, JSON, body=body))

    assert (answer.status, bytes(origin.calls[0].body) == parameters) == (200, True)


def test_declared_length_beyond_the_bound_is_refused_at_once(sidecar: Sidecar) -> None:
    declared = b"Content-Length: %d" % (BOUND_BYTES + 1)

    answer = sidecar.ask(invoke_head(declared, b"Expect: 100-continue"))

    assert (answer.status, answer.interim) == (413, ())
    assert problem_of(answer)["code"] == "body_too_large"


def test_chunks_beyond_the_bound_are_refused(sidecar: Sidecar, origin: Origin) -> None:
    body, _ = sized(BOUND_BYTES + 1)

    answer = sidecar.ask(post_chunked(INVOKE, JSON, body=chunked(body)))

    assert (answer.status, origin.calls) == (413, [])


def test_body_that_does_not_come_is_given_up(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))

    answer = sidecar.ask(invoke_head(b"Content-Length: 60", b"Request-Timeout: 0.3") + CALL)

    assert (answer.status, origin.calls) == (408, [])
    assert problem_of(answer)["code"] == "request_timeout"


def test_leave_to_go_on_is_given_once(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(invoke_head(b"Expect: 100-continue", b"Content-Length: %d" % len(CALL)))
        interim = caller.until(b"\r\n\r\n")
        caller.send(CALL)
        answer = caller.answer()
        caller.send(get("/livez"))

        assert (interim, answer.status, answer.interim, caller.answer().status) == (
            b"HTTP/1.1 100 Continue\r\n\r\n",
            200,
            (),
            200,
        )


def test_invocation_may_come_octet_by_octet(sidecar: Sidecar, origin: Origin) -> None:
    with sidecar.caller() as caller:
        caller.send_bytewise(post(INVOKE, JSON, body=CALL) + post_chunked(INVOKE, JSON, body=b""))
        caller.send_bytewise(chunked(CALL[:7], CALL[7:]))

        assert [caller.answer().status, caller.answer().status] == [200, 200]
    assert [bytes(call.body) for call in origin.calls] == [b"{}", b"{}"]


def test_answer_is_streamed(sidecar: Sidecar, origin: Origin, loop_thread: LoopThread) -> None:
    gates = [loop_thread.gate(), loop_thread.gate()]
    origin.script = streams(EVENTS, [b"data: 1\n\n", b"data: 2\n\n"], gates)
    with sidecar.caller() as caller:
        caller.send(post(INVOKE, JSON, body=CALL))
        caller.until(b"\r\n\r\n")
        gates[0].open()
        first = caller.until(b"data: 1\n\n")
        gates[1].open()
        second = caller.until(b"data: 2\n\n")

    assert (first.endswith(b"data: 1\n\n"), second.endswith(b"data: 2\n\n")) == (True, True)


def test_large_answer_is_passed_on_whole(sidecar: Sidecar, origin: Origin) -> None:
    octets = bytes(range(256)) * 4096 * 8
    head = message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(octets))
    origin.script = answers(head + octets)

    assert sidecar.ask(post(INVOKE, JSON, body=CALL)).body == octets


def test_answer_that_breaks_off_breaks_off(sidecar: Sidecar, origin: Origin) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Content-Length: 10", body=b"half")
    origin.script = answers(head, close=True)
    with sidecar.caller() as caller:
        caller.send(post(INVOKE, JSON, body=CALL))

        with pytest.raises(BrokenOffError):
            caller.answer()


@pytest.mark.parametrize("leave", [Caller.leave, Caller.reset], ids=["closes", "resets"])
def test_caller_who_leaves_takes_the_call_along(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, leave: object
) -> None:
    origin.script = holds(loop_thread.gate())
    with sidecar.caller() as caller:
        caller.send(post(INVOKE, JSON, body=CALL))
        assert eventually(lambda: origin.calls)
        assert callable(leave)
        leave(caller)

        assert eventually(lambda: origin.calls[0].connection.ending in {Ending.EOF, Ending.RESET})


def test_caller_who_leaves_before_the_body_is_whole_calls_nobody(
    sidecar: Sidecar, origin: Origin
) -> None:
    with sidecar.caller() as caller:
        caller.send(invoke_head(b"Content-Length: 60") + CALL)
        caller.wait_until_read()
    sidecar.ask(post(INVOKE, JSON, body=CALL))

    assert len(origin.calls) == 1


def test_many_who_leave_in_the_middle_leave_nothing_behind(
    sidecar: Sidecar, origin: Origin
) -> None:
    body, _ = sized(4 * MIB)
    sidecar.ask(post(INVOKE, JSON, body=body))
    before_bytes = sidecar.resident_bytes()
    for _ in range(40):
        with sidecar.caller() as caller:
            caller.send(invoke_head(b"Content-Length: %d" % len(body)) + body[:-1])

    assert sidecar.ask(post(INVOKE, JSON, body=CALL)).status == 200
    assert eventually(lambda: sidecar.resident_bytes() - before_bytes < 24 * MIB)
    assert len(origin.calls) == 2


def test_deadline_counts_from_the_head_to_the_answer(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url, timeout="300ms"))

    problem = problem_of(sidecar.ask(post(INVOKE, JSON, body=CALL)))

    assert (problem["status"], problem["code"], problem["tool"]) == (
        504,
        "upstream_timeout",
        "o.call",
    )


def test_drain_lets_an_invocation_end(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    with sidecar.caller() as caller:
        caller.send(post(INVOKE, JSON, body=CALL))
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)
        assert eventually(lambda: sidecar.said("Draining"))
        gate.open()
        answer = caller.answer()

    assert (answer.status, answer.closes, sidecar.exit_status()) == (200, True, 0)
