"""Two workers are one sidecar: what it shows, and what it limits, means both."""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.caller import Answer, Caller
from tests.support.crews import ask, on_each, processes
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin, Visit
from tests.support.reports import sample
from tests.support.scripts import answers, echo, holds
from tests.support.sidecar import Sidecar, registry, server
from tests.support.waiting import eventually

CALLS: Final = "toolproxy_calls_total"
_TURNS_OF_THE_LOOP: Final = 100  # for another call to come meanwhile
TURNS: Final = {"upstream_dependencies": {"concurrency_safe": False}}
FAILING: Final = message(b"HTTP/1.1 503 Service Unavailable", b"Content-Length: 0")
TOOLS: Final = (
    "counted",
    "held",
    "keyed",
    "made",
    {"name": "rated", "rate": "3/h"},
    {"name": "turns", **TURNS},
)


@pytest.fixture(scope="module")
def origin(loop_thread: LoopThread) -> Iterator[Origin]:
    origin = Origin(echo)
    loop_thread.run(origin.start())
    yield origin
    loop_thread.run(origin.stop())


@pytest.fixture(scope="module")
def sidecar(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("whole")
    servers = registry(
        server("o", origin.url, tools=TOOLS, circuit={"failures": 10**9}),
        server("one", origin.url, tools=("call",), **TURNS),
        server("two", origin.url, tools=("call",), limits={"max_connections": 2}),
        server("breaks", origin.url, circuit={"failures": 4, "open_for": "300s"}),
    )
    settings = {
        "workers": 2,
        "health_check_interval": "300s",
        "access_log": str(folder / "access.log"),
        "events": {"journal": str(folder / "journal.jsonl")},
    }
    sidecar = Sidecar(folder, servers, settings)
    yield sidecar
    sidecar.close()


@pytest.fixture(autouse=True)
def _anew(origin: Origin) -> None:
    origin.forget(echo)


@pytest.fixture
def callers(sidecar: Sidecar) -> Iterator[list[Caller]]:
    """One on each worker."""
    with on_each(sidecar) as callers:
        yield callers


def each(callers: list[Caller], request: bytes, times: int = 1) -> list[Answer]:
    return [ask(caller, request) for _ in range(times) for caller in callers]


def statuses(told: list[Answer]) -> list[int]:
    return [answer.status for answer in told]


def health(sidecar: Sidecar, namespace: str) -> dict[str, Any]:
    shown: Any = sidecar.get("/health").json()
    found: dict[str, Any] = next(it for it in shown["servers"] if it["namespace"] == namespace)
    return found


# --- what it shows ---


def test_metrics_count_the_calls_of_both_exactly(sidecar: Sidecar, callers: list[Caller]) -> None:
    each(callers, post("/tools/o.counted"), times=7)

    labels = {"server": "o", "tool": "counted", "outcome": "success"}
    assert sample(sidecar, CALLS, **labels) == 14


def test_open_connections_are_those_of_callers_alone(sidecar: Sidecar) -> None:
    def now() -> float:
        return sample(sidecar, "toolproxy_open_connections")

    eventually(lambda: now() == 1)  # the one that asks
    with sidecar.caller() as one, sidecar.caller() as other:
        statuses([ask(one, get("/livez")), ask(other, get("/livez"))])

        assert eventually(lambda: now() == 3)


def test_memory_is_that_of_all_processes(sidecar: Sidecar) -> None:
    page_bytes = os.sysconf("SC_PAGE_SIZE")
    one = Path(f"/proc/{processes(sidecar)[0]}/statm").read_text().split()[1]

    whole = sample(sidecar, "process_resident_memory_bytes")

    assert whole > 2 * int(one) * page_bytes


def test_health_adds_up_what_is_in_flight_and_what_has_ended(
    sidecar: Sidecar, callers: list[Caller], origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    before = health(sidecar, "o")["circuit"]["total_calls"]
    origin.script = holds(gate)
    for caller in callers:
        caller.send(post("/tools/o.held"))
    eventually(lambda: len(origin.calls) == 2)
    during = health(sidecar, "o")
    gate.open()
    ended = [caller.answer().status for caller in callers]

    after = health(sidecar, "o")

    assert (during["in_flight"], during["endpoints"][0]["in_flight"]) == (2, 2)
    assert (ended, after["in_flight"]) == ([200, 200], 0)
    assert after["circuit"]["total_calls"] == before + 2


def test_probes_are_made_once(origin: Origin, sidecar: Sidecar) -> None:
    namespaces = 4
    assert eventually(lambda: health(sidecar, "o")["status"] == "healthy")

    assert origin.probes == namespaces


def test_lines_of_both_are_in_one_log_and_a_signal_reaches_both(
    sidecar: Sidecar, callers: list[Caller]
) -> None:
    log = sidecar.directory / "access.log"
    log.rename(log.with_suffix(".1"))
    sidecar.signal(signal.SIGUSR1)

    each(callers, post("/tools/o.counted?here"), times=3)

    assert eventually(lambda: log.exists() and log.read_text().count("counted?here") == 6)


def test_started_is_told_once_and_calls_are_in_one_journal(
    sidecar: Sidecar, callers: list[Caller]
) -> None:
    each(callers, post("/tools/o.made", b"X-Chora-Trace-Id: of-both"))

    journal = sidecar.directory / "journal.jsonl"
    assert eventually(lambda: journal.read_text().count('"of-both"') == 2)
    assert journal.read_text().count('"gateway_started"') == 1


# --- what it limits ---


def test_a_rate_is_that_of_both(callers: list[Caller]) -> None:
    told = each(callers, post("/tools/o.rated"), times=3)

    assert sorted(statuses(told)) == [200, 200, 200, 429, 429, 429]


def test_a_keyed_call_is_made_once(callers: list[Caller], origin: Origin) -> None:
    told = each(callers, post("/tools/o.keyed", b"Idempotency-Key: once"), times=2)

    assert (statuses(told), len(origin.calls)) == ([200] * 4, 1)
    assert [answer.value("idempotency-replayed") for answer in told] == [None, *["true"] * 3]
    assert len({answer.body for answer in told}) == 1


def test_who_comes_while_a_keyed_call_is_made_elsewhere_waits_for_its_answer(
    callers: list[Caller], origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    for caller in callers:
        caller.send(post("/tools/o.keyed", b"Idempotency-Key: at-once"))
    assert eventually(lambda: len(origin.calls) == 1)
    gate.open()

    told = [caller.answer() for caller in callers]

    assert (statuses(told), len(origin.calls)) == ([200, 200], 1)


def test_a_key_that_came_with_another_call_elsewhere_is_refused(callers: list[Caller]) -> None:
    one, other = callers
    key = b"Idempotency-Key: taken"
    ask(one, post("/tools/o.keyed", key))

    told = ask(other, post("/tools/o.keyed", key, body=b'{"other": 1}'))

    assert (told.status, told.json()["code"]) == (422, "idempotency_mismatch")


class Crowd:
    """An upstream's script that counts how many are there at once."""

    def __init__(self) -> None:
        self.now = 0
        self.most = 0

    async def __call__(self, visit: Visit) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await visit.read()
        for _ in range(_TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        self.now -= 1
        await echo(visit)


@pytest.mark.parametrize(
    ("target", "most"),
    [
        pytest.param("/tools/o.turns", 1, id="tool"),
        pytest.param("/tools/one.call", 1, id="server"),
        pytest.param("/tools/two.call", 2, id="max-connections"),
    ],
)
def test_no_more_calls_are_at_a_server_than_may_be_at_once(
    sidecar: Sidecar, origin: Origin, target: str, most: int
) -> None:
    origin.script = crowd = Crowd()

    def repeat(_: int) -> list[int]:
        with sidecar.caller() as caller:
            return statuses([ask(caller, post(target)) for _ in range(10)])

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(repeat, range(8)))

    assert told == [[200] * 10] * 8
    assert 1 <= crowd.most <= most


def test_a_circuit_that_calls_of_one_opened_refuses_on_the_other(
    callers: list[Caller], origin: Origin
) -> None:
    one, other = callers
    origin.script = answers(FAILING)
    for _ in range(2):
        each(callers, post("/tools/breaks.call"))

    def refused(caller: Caller) -> bool:
        told = ask(caller, post("/tools/breaks.call"))
        return told.status == 503 and b"circuit_open" in told.body

    assert eventually(lambda: refused(one))
    assert eventually(lambda: refused(other))
