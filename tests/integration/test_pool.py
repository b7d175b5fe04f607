"""Kept connections: taken last in, first out; expired, thrown away, counted, retried once."""

import time
from collections.abc import Callable

import pytest

from tests.support.loop_thread import LoopThread
from tests.support.messages import get, ok, post
from tests.support.origin import Ending, Origin, Script, Visit
from tests.support.problems import problem_of
from tests.support.scripts import answers, answers_at_once, echo, holds, in_turn
from tests.support.sidecar import Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

FINE = answers(ok())
DIES = answers_at_once(b"", close=True)
TOOLS = ["call", {"name": "again", "idempotent": True}]


async def dies_by_reset(visit: Visit) -> None:
    await visit.read()
    visit.reset()


def behind(origin: Origin, **keys: object) -> Server:
    return server("o", origin.url, tools=TOOLS, passthrough=True, **keys)


def test_one_connection_serves_calls_that_follow_each_other(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(behind(origin))

    for _ in range(10):
        sidecar.ask(post("/tools/o.call"))

    assert len({call.connection for call in origin.calls}) == 1


def test_connection_given_back_last_is_taken_first(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gates = [loop_thread.gate(), loop_thread.gate()]
    origin = start_origin(in_turn(holds(gates[0]), holds(gates[1]), echo))
    sidecar = start_sidecar(behind(origin))
    with sidecar.caller() as one, sidecar.caller() as two:
        one.send(post("/tools/o.call"))
        assert eventually(lambda: len(origin.calls) == 1)
        two.send(post("/tools/o.call"))
        assert eventually(lambda: len(origin.calls) == 2)
        for gate, caller in ((gates[1], two), (gates[0], one)):
            gate.open()
            caller.answer()

    for _ in range(3):
        sidecar.ask(post("/tools/o.call"))

    assert {call.connection for call in origin.calls[2:]} == {origin.calls[0].connection}


def test_connection_idle_for_too_long_is_closed(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(behind(origin, keepalive={"idle": "300ms"}))
    asked_at = time.monotonic()
    sidecar.ask(post("/tools/o.call"))

    assert eventually(lambda: origin.calls[0].connection.ending) is Ending.EOF
    assert 0.2 <= (origin.calls[0].connection.ended_at or 0) - asked_at < 3


def test_upstreams_own_time_is_kept(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    origin = start_origin(answers(ok(b"ok", b"Keep-Alive: timeout=1, max=100")))
    sidecar = start_sidecar(behind(origin, keepalive={"idle": "60s"}))
    sidecar.ask(post("/tools/o.call"))

    # Given up before the upstream would close it, so that no call meets a closing connection: at
    # ten times that second at the latest. How long before, `test_time` knows.
    assert eventually(lambda: origin.calls[0].connection.ending, within_s=10) is Ending.EOF


def test_longer_time_of_the_upstream_does_not_lengthen_ours(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(ok(b"ok", b"Keep-Alive: timeout=600")))
    sidecar = start_sidecar(behind(origin, keepalive={"idle": "300ms"}))
    sidecar.ask(post("/tools/o.call"))

    assert eventually(lambda: origin.calls[0].connection.ending, within_s=5) is Ending.EOF


def test_connection_that_serves_its_number_of_calls_is_replaced(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(behind(origin, keepalive={"max_requests": 3}))

    for _ in range(6):
        assert sidecar.ask(post("/tools/o.call")).status == 200

    served = [len(connection.visits) for connection in origin.connections if connection.visits]
    assert served == [3, 3]


@pytest.mark.parametrize("octets", [b"x", ok(b"poison"), b"\r\n"], ids=["byte", "answer", "line"])
def test_connection_that_speaks_while_idle_is_thrown_away(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread, octets: bytes
) -> None:
    origin = start_origin(FINE)
    sidecar = start_sidecar(behind(origin))
    sidecar.ask(post("/tools/o.call"))
    first = origin.calls[0]

    loop_thread.run(first.send(octets))

    assert eventually(lambda: first.connection.ending)
    assert sidecar.ask(post("/tools/o.call")).body == b"ok"


def test_connection_that_ends_while_idle_is_thrown_away(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(FINE)
    sidecar = start_sidecar(behind(origin))
    sidecar.ask(post("/tools/o.call"))
    first = origin.calls[0].connection

    first.writer.write_eof()

    assert eventually(lambda: first.ending) is Ending.EOF
    assert sidecar.ask(post("/tools/o.call")).status == 200


def test_close_of_the_upstream_is_believed(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(ok(b"ok", b"Connection: close")))
    sidecar = start_sidecar(behind(origin))

    for _ in range(3):
        assert sidecar.ask(post("/tools/o.call")).status == 200

    assert len({call.connection for call in origin.calls}) == 3


@pytest.mark.parametrize(
    ("fields", "connections"), [((), 3), ((b"Connection: keep-alive",), 1)], ids=["not", "kept"]
)
def test_connection_of_1_0_is_kept_only_when_it_says_so(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    fields: tuple[bytes, ...],
    connections: int,
) -> None:
    origin = start_origin(answers(ok(b"ok", *fields).replace(b"HTTP/1.1", b"HTTP/1.0")))
    sidecar = start_sidecar(behind(origin))

    for _ in range(3):
        assert sidecar.ask(post("/tools/o.call")).status == 200

    assert len({call.connection for call in origin.calls}) in {connections, 3}


def test_no_more_connections_than_allowed(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    limits = {"max_connections": 2, "max_pending": 100, "queue_timeout": "10s"}
    sidecar = start_sidecar(behind(origin, limits=limits))
    callers = [sidecar.caller() for _ in range(30)]
    for caller in callers:
        caller.send(post("/tools/o.call"))

    statuses = {caller.answer().status for caller in callers}

    for caller in callers:
        caller.leave()
    used = {call.connection for call in origin.calls}
    assert (statuses, len(origin.calls), len(used)) == ({200}, 30, 2)


SAFE: dict[str, bytes] = {
    "get": get("/servers/o/any"),
    "idempotent-tool": post("/tools/o.again"),
}
UNSAFE: dict[str, bytes] = {
    "tool": post("/tools/o.call"),
    "post": post("/servers/o/any"),
}
deaths = pytest.mark.parametrize("death", [DIES, dies_by_reset], ids=["closes", "resets"])
Reused = Callable[[Script], tuple[Origin, Sidecar]]


@pytest.fixture
def reused(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Reused:
    """An upstream with one kept connection, that plays the script from its second call on."""

    def start(script: Script) -> tuple[Origin, Sidecar]:
        origin = start_origin(FINE)
        sidecar = start_sidecar(behind(origin))
        assert sidecar.ask(post("/tools/o.call")).status == 200
        origin.script = script
        return origin, sidecar

    return start


@deaths
@pytest.mark.parametrize("request_bytes", SAFE.values(), ids=SAFE.keys())
def test_safe_call_on_a_kept_connection_that_died_is_sent_again(
    reused: Reused, death: Script, request_bytes: bytes
) -> None:
    origin, sidecar = reused(in_turn(death, FINE))

    status = sidecar.ask(request_bytes).status

    assert (status, len(origin.calls)) == (200, 3)


@deaths
@pytest.mark.parametrize("request_bytes", SAFE.values(), ids=SAFE.keys())
def test_safe_call_is_sent_again_once_only(
    reused: Reused, death: Script, request_bytes: bytes
) -> None:
    origin, sidecar = reused(death)

    answer = sidecar.ask(request_bytes)

    found = (answer.status, problem_of(answer)["code"], len(origin.calls))
    assert found == (502, "upstream_closed", 3)


@deaths
@pytest.mark.parametrize("request_bytes", UNSAFE.values(), ids=UNSAFE.keys())
def test_sent_post_is_never_sent_again(reused: Reused, death: Script, request_bytes: bytes) -> None:
    origin, sidecar = reused(in_turn(death, FINE))

    answer = sidecar.ask(request_bytes)

    found = (answer.status, problem_of(answer)["code"], len(origin.calls))
    assert found == (502, "upstream_closed", 2)


def test_safe_call_whose_answer_began_is_not_sent_again(reused: Reused) -> None:
    origin, sidecar = reused(in_turn(answers(b"HTTP/1.1 2", close=True), FINE))

    status = sidecar.ask(get("/servers/o/any")).status

    assert (status, len(origin.calls)) == (502, 2)


def test_safe_call_on_a_new_connection_that_died_is_not_sent_again(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(in_turn(DIES, FINE))
    sidecar = start_sidecar(behind(origin))

    assert (sidecar.ask(get("/servers/o/any")).status, len(origin.calls)) == (502, 1)
