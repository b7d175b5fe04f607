"""How long a call may take, who says so, and what the deadline covers."""

import time

import pytest

from tests.support.caller import BrokenOffError
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.problems import problem_of
from tests.support.scripts import echo, holds, streams
from tests.support.sidecar import Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

LATENCY = {"expected_latency_ms": {"p50": 10, "p95": 150}}
WHOLE = message(b"HTTP/1.1 200 OK", b"Content-Length: 5", body=b"he")
EVENTS = message(b"HTTP/1.1 200 OK", b"Content-Type: text/event-stream", body=b"data: 1\n\n")
ANSWERED_LATE = {
    "tool": ({"timeout": "30s"}, {"timeout": "250ms"}, {}),
    "server": ({"timeout": "250ms"}, {}, {"defaults": {"timeout": "30s"}}),
    "latency-of-tool": (
        {"upstream_dependencies": {"expected_latency_ms": {"p95": 30_000}}},
        {"upstream_dependencies": LATENCY},
        {"defaults": {"timeout": "30s"}},
    ),
    "latency-of-server": ({"upstream_dependencies": LATENCY}, {}, {"defaults": {"timeout": "30s"}}),
    "defaults": ({}, {}, {"defaults": {"timeout": "250ms"}}),
    "server-over-latency": (
        {"timeout": "250ms", "upstream_dependencies": {"expected_latency_ms": {"p95": 30_000}}},
        {},
        {},
    ),
}


@pytest.mark.parametrize(
    ("of_server", "of_tool", "settings"), ANSWERED_LATE.values(), ids=ANSWERED_LATE.keys()
)
def test_first_deadline_that_is_there_counts(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    loop_thread: LoopThread,
    *,
    of_server: Server,
    of_tool: Server,
    settings: dict[str, object],
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    behind = server("o", origin.url, tools=[{"name": "call", **of_tool}], **of_server)
    sidecar = start_sidecar(behind, settings=settings)

    status, took_s = _timed(sidecar, post("/tools/o.call"))

    assert (status, 0.2 <= took_s < 5) == (504, True)


def test_caller_may_set_it_shorter(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    sidecar = start_sidecar(server("o", start_origin(holds(loop_thread.gate())).url))

    status, took_s = _timed(sidecar, post("/tools/o.call", b"Request-Timeout: 0.2"))

    assert (status, 0.15 <= took_s < 5) == (504, True)


def test_caller_may_set_it_longer(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url, timeout="100ms"))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", b"Request-Timeout: 20"))
        assert eventually(lambda: origin.calls)
        assert sidecar.ask(post("/tools/o.call")).status == 504
        gate.open()

        assert caller.answer().status == 200


def test_caller_may_not_set_it_beyond_the_most(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url), settings={"max_timeout": "300ms"})

    status, took_s = _timed(sidecar, post("/tools/o.call", b"Request-Timeout: 500"))

    assert (status, 0.2 <= took_s < 5) == (504, True)


@pytest.mark.parametrize(
    "value", [b"soon", b"-1", b"", b"1s", b"nan", b"inf", b"0x1", b"1_0", b"1,2"]
)
def test_bad_value_of_the_caller_is_refused(
    start_origin: StartOrigin, start_sidecar: StartSidecar, value: bytes
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))

    answer = sidecar.ask(post("/tools/o.call", b"Request-Timeout: " + value))

    found = (answer.status, problem_of(answer)["code"], origin.calls)
    assert found == (400, "bad_request", [])


def test_waiting_in_the_queue_counts(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    limits = {"max_connections": 1, "max_pending": 5, "queue_timeout": "20s"}
    sidecar = start_sidecar(server("o", origin.url, limits=limits))
    with sidecar.caller() as first:
        first.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)

        status, took_s = _timed(sidecar, post("/tools/o.call", b"Request-Timeout: 0.2"))
        gate.open()
        first.answer()

    assert (status in {429, 504}, 0.15 <= took_s < 5, len(origin.calls)) == (True, True, 1)


def test_answer_that_has_begun_is_past_the_deadline(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(streams(WHOLE, [b"llo"], [gate]))
    sidecar = start_sidecar(server("o", origin.url, timeout="200ms"))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        caller.until(b"\r\n\r\nhe")
        origin.script = holds(loop_thread.gate())
        assert sidecar.ask(post("/tools/o.call")).status == 504  # a whole deadline has passed
        gate.open()

        assert caller.some(3) == b"llo"


def test_answer_that_stands_still_is_broken_off(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(streams(WHOLE, [b"llo"], [loop_thread.gate()]))
    sidecar = start_sidecar(server("o", origin.url, idle_timeout="300ms"))
    started_at = time.monotonic()

    with pytest.raises(BrokenOffError):
        sidecar.ask(post("/tools/o.call"))

    assert 0.2 <= time.monotonic() - started_at < 5
    assert eventually(lambda: origin.calls[0].connection.ending)


def test_event_stream_may_stand_still(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(streams(EVENTS, [b"data: 2\n\n"], [gate]))
    behind = server("o", origin.url, idle_timeout="200ms", timeout="200ms", passthrough=True)
    sidecar = start_sidecar(behind)
    with sidecar.caller() as caller:
        caller.send(get("/servers/o/events"))
        caller.until(b"data: 1\n\n")
        origin.script = streams(WHOLE, [b"llo"], [loop_thread.gate()])
        with pytest.raises(BrokenOffError):
            sidecar.ask(post("/tools/o.call"))  # a whole idle time has passed
        gate.open()

        assert caller.until(b"data: 2\n\n")


def _timed(sidecar: Sidecar, request: bytes) -> tuple[int, float]:
    started_at = time.monotonic()
    status = sidecar.ask(request).status
    return status, time.monotonic() - started_at
