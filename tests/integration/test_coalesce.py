"""`coalesce: true`: equal calls of one caller are one call while it runs, and no longer."""

import contextlib
import hashlib

import pytest

from tests.support.caller import BrokenOffError
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, ok, post, post_chunked
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers, holds, in_turn, streams
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

JSON = b"Content-Type: application/json"
ANN, BOB = b"X-API-Key: of-ann", b"X-API-Key: of-bob"
TOOLS = [{"name": "call", "coalesce": True}, {"name": "other", "coalesce": True}, "plain"]


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(start_sidecar: StartSidecar, origin: Origin) -> Sidecar:
    return start_sidecar(server("o", origin.url, tools=TOOLS))


def test_equal_calls_at_once_are_one(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once", b"X-A: 1")))
    invoked = b'{"server":"o","tool":"call","parameters":{"a": 1}}'
    requests = [
        post("/tools/o.call", JSON, body=b'{"a": 1}'),
        post("/api/v1/invoke", JSON, body=invoked),
        post_chunked("/tools/o.call", JSON, body=chunked(b'{"a"', b": 1}")),
    ] * 3
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(sidecar.caller()) for _ in requests]
        for caller, request in zip(callers, requests, strict=True):
            caller.send(request)
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        came = [caller.answer() for caller in callers]

    assert [(each.status, each.body, each.value("x-a")) for each in came] == [
        (200, b"once", "1")
    ] * 9
    assert len(origin.calls) == 1


def test_nothing_is_kept_afterwards(sidecar: Sidecar, origin: Origin) -> None:
    came = [sidecar.ask(post("/tools/o.call")) for _ in range(3)]

    assert [each.value("idempotency-replayed") for each in came] == [None] * 3
    assert len(origin.calls) == 3


@pytest.mark.parametrize(
    "other",
    [
        post("/tools/o.call", body=b"{ }"),
        post("/tools/o.other"),
        post("/tools/o.call?a"),
        post("/tools/o.call", b"Idempotency-Key: k"),
        post("/tools/o.plain"),
    ],
    ids=["body", "tool", "query", "with-a-key", "without-the-flag"],
)
def test_calls_that_differ_are_not_joined(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, other: bytes
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    with sidecar.caller() as first, sidecar.caller() as second:
        first.send(post("/tools/o.call"))
        second.send(other)
        assert eventually(lambda: len(origin.calls) == 2)
        gate.open()

        assert [first.answer().status, second.answer().status] == [200, 200]


def test_calls_whose_answers_may_differ_are_not_joined(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()

    async def kind(visit: Visit) -> None:
        await visit.send(ok((visit.value("accept") or "").encode()))

    origin.script = holds(gate, kind)
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller, wanted in ((first, b"a/b"), (second, b"c/d")):
            caller.send(post("/tools/o.call", b"Accept: " + wanted))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()

        assert [first.answer().body, second.answer().body] == [b"a/b", b"c/d"]


def test_ids_of_requests_make_no_difference(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once")))
    with sidecar.caller() as first, sidecar.caller() as second:
        for number, caller in enumerate((first, second)):
            parent = b"traceparent: 00-%032x-%016x-01" % (number + 1, number + 1)
            ids = b"X-Request-Id: r-%d" % number, b"X-Chora-Trace-Id: t-%d" % number, parent
            caller.send(post("/tools/o.call", *ids))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        came = [first.answer(), second.answer()]

    assert [(each.body, each.value("x-request-id")) for each in came] == [
        (b"once", "r-0"),
        (b"once", "r-1"),
    ]
    assert len(origin.calls) == 1


def test_calls_of_two_callers_are_not_joined(
    start_sidecar: StartSidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    keys = [
        {"name": name, "sha256": hashlib.sha256(f"of-{name}".encode()).hexdigest()}
        for name in ("ann", "bob")
    ]
    behind = server("o", origin.url, tools=TOOLS)
    sidecar = start_sidecar(behind, settings={"auth": {"api_keys": keys}})
    with sidecar.caller() as ann, sidecar.caller() as bob:
        ann.send(post("/tools/o.call", ANN))
        bob.send(post("/tools/o.call", BOB))
        assert eventually(lambda: len(origin.calls) == 2)
        gate.open()

        assert [ann.answer().status, bob.answer().status] == [200, 200]


def test_second_gets_the_answer_when_the_first_leaves(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once")))
    with sidecar.caller() as first, sidecar.caller() as second:
        first.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        second.send(post("/tools/o.call"))
        second.wait_until_read()
        sidecar.get("/livez")
        first.leave()
        sidecar.get("/livez")
        gate.open()

        assert second.answer().body == b"once"


def test_answer_in_pieces_reaches_all_who_wait(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gates = [loop_thread.gate(), loop_thread.gate()]
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"
    origin.script = streams(head, [b"abc", b"def"], gates)
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call"))
            caller.wait_until_read()
        gates[0].open()
        gates[1].open()

        assert [first.answer().body, second.answer().body] == [b"abcdef"] * 2


def test_endless_answer_leaves_nobody_waiting(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    events = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    never = loop_thread.gate()
    origin.script = streams(events + b"data: 1\n\n", [b"data: 2\n\n"], [never])
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call"))
            caller.wait_until_read()
        first.until(b"data: 1\n\n")

        second.until(b"data: 1\n\n")


def test_call_that_fails_leaves_nobody_waiting(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    origin.script = in_turn(holds(gate, answers(half, close=True)), answers(ok(b"whole")))
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call"))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        with pytest.raises(BrokenOffError):
            first.answer()
        with contextlib.suppress(BrokenOffError):
            second.answer()

    assert sidecar.ask(post("/tools/o.call")).body == b"whole"


def test_many_rounds_leave_nothing_behind(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"x" * 100_000))

    def rounds(first: int, last: int) -> None:
        with sidecar.caller() as one, sidecar.caller() as two:
            for number in range(first, last):
                for caller in (one, two):
                    caller.send(post("/tools/o.call", body=b"%d" % number * 10_000))
                assert [one.answer().status, two.answer().status] == [200, 200]

    rounds(0, 100)
    before_bytes = sidecar.resident_bytes()
    rounds(100, 1100)

    assert sidecar.resident_bytes() - before_bytes < 32 << 20
