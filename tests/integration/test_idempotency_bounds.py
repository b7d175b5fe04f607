"""`Idempotency-Key` beside what else there is: drains, reloads, limits, and memory with an end."""

import contextlib
import signal
import time

from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.origin import Ending
from tests.support.scripts import answers, echo, holds, in_turn
from tests.support.sidecar import registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

KEY = b"Idempotency-Key: k-1"
KIB = 1 << 10


def test_drain_waits_for_those_who_wait(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call", KEY))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)
        assert eventually(lambda: sidecar.said("Draining"))
        gate.open()
        came = [first.answer(), second.answer()]

    assert [(each.status, each.closes) for each in came] == [(200, True)] * 2
    assert (sidecar.exit_status(), len(origin.calls)) == (0, 1)


def test_drain_ends_though_nobody_takes_the_answer(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url), settings={"drain_timeout": "300ms"})
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", KEY))
        assert eventually(lambda: origin.calls)
    sidecar.signal(signal.SIGTERM)

    assert sidecar.exit_status(within_s=15) == 0


def test_call_without_anybody_ends_at_its_deadline(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url, timeout="500ms"))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", KEY))
        assert eventually(lambda: origin.calls)

    assert eventually(lambda: origin.calls[0].connection.ending in {Ending.EOF, Ending.RESET})


def test_memory_holds_while_the_registry_is_reloaded(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, answers(ok(b"once"))))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as first, sidecar.caller() as second:
        first.send(post("/tools/o.call", KEY))
        assert eventually(lambda: origin.calls)
        sidecar.registry_path.write_text(registry(server("o", origin.url), server("q", origin.url)))
        assert eventually(lambda: b'"q.call"' in sidecar.get("/tools").body)
        second.send(post("/tools/o.call", KEY))
        second.wait_until_read()
        gate.open()
        came = [
            first.answer().body,
            second.answer().body,
            sidecar.ask(post("/tools/o.call", KEY)).body,
        ]

    assert (came, len(origin.calls)) == ([b"once"] * 3, 1)


def test_places_are_given_back(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(in_turn(holds(gate), echo))
    limits = {"max_connections": 1, "max_requests": 1, "max_pending": 1, "queue_timeout": "100ms"}
    sidecar = start_sidecar(server("o", origin.url, limits=limits))
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call", KEY))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        refused = [sidecar.ask(post("/tools/o.call", b"Idempotency-Key: q")).status for _ in "12"]
        gate.open()
        assert [first.answer().status, second.answer().status] == [200, 200]

    assert (refused, sidecar.ask(post("/tools/o.call", b"Idempotency-Key: q")).status) == (
        [429, 429],
        200,
    )


def test_memory_is_bounded(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    body = b"x" * (200 * KIB)
    origin = start_origin(answers(ok(body)))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:

        def calls(name: bytes, count: int) -> None:
            for number in range(count):
                key = b"Idempotency-Key: %s-%d" % (name, number)
                caller.send(post("/tools/o.call", key, body=body))
                assert caller.answer().status == 200

        calls(b"warm", 200)
        before_bytes = sidecar.resident_bytes()
        calls(b"more", 800)

    assert sidecar.resident_bytes() - before_bytes < 64 * KIB * KIB


def test_twenty_thousand_keys_fit_in_the_bound(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(ok(b"ok")))
    sidecar = start_sidecar(server("o", origin.url))
    before_bytes = sidecar.resident_bytes()
    with sidecar.caller() as caller:
        for start in range(0, 20_000, 100):
            keys = (b"Idempotency-Key: k-%d" % number for number in range(start, start + 100))
            caller.send(b"".join(post("/tools/o.call", key) for key in keys))
            assert {caller.answer().status for _ in range(100)} == {200}

    assert sidecar.resident_bytes() - before_bytes < 96 * KIB * KIB


def test_calls_that_wait_for_the_upstream_are_bounded_too(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    sidecar = start_sidecar(server("o", origin.url, limits={"max_requests": 50}))
    started_at = time.monotonic()
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(sidecar.caller()) for _ in range(100)]
        for number, caller in enumerate(callers):
            caller.send(post("/tools/o.call", b"Idempotency-Key: k-%d" % number))
        assert eventually(lambda: len(origin.calls) >= 50)
        gate.open()
        came = [caller.answer().status for caller in callers]

    assert (set(came) <= {200, 429}, time.monotonic() - started_at < 20) == (True, True)
