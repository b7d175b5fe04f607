"""Events and orders of a sidecar of two workers: whichever one a caller has reached."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import orjson
import pytest

from tests.support.caller import Caller
from tests.support.crews import ask, holder_of, on_each, processes
from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.reports import samples
from tests.support.scripts import echo
from tests.support.sidecar import Sidecar, registry, server
from tests.support.waiting import eventually

SLOWEST_S: Final = 0.2  # ten times what a loop may be held up
MANY: Final = 10_000
READERS: Final = 100  # more than it ever takes to reach a worker


@pytest.fixture(scope="module")
def origin(loop_thread: LoopThread) -> Iterator[Origin]:
    origin = Origin(echo)
    loop_thread.run(origin.start())
    yield origin
    loop_thread.run(origin.stop())


@pytest.fixture(scope="module")
def sidecar(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    settings = {"workers": 2, "health_check_interval": "300s"}
    folder = tmp_path_factory.mktemp("events")
    sidecar = Sidecar(folder, registry(server("o", origin.url)), settings)
    yield sidecar
    sidecar.close()


@pytest.fixture
def callers(sidecar: Sidecar) -> Iterator[list[Caller]]:
    """One on each worker."""
    with on_each(sidecar) as callers:
        yield callers


Subscribe = Callable[..., EventReader]


@pytest.fixture
def subscribe(sidecar: Sidecar) -> Iterator[Subscribe]:
    """A subscriber that has reached this worker: 0 or 1."""
    with contextlib.ExitStack() as stack:

        def open_on(worker: int, target: str, *fields: str) -> EventReader:
            wanted = sorted(processes(sidecar)[1:])[worker]
            for _ in range(READERS):
                reader = EventReader(sidecar.port, target, *fields)
                stack.enter_context(reader)
                if holder_of(sidecar, reader.caller.port) == wanted:
                    return reader
            raise AssertionError("that worker is never reached")

        yield open_on


def call(callers: list[Caller], trace: str) -> None:
    for number, caller in enumerate(callers):
        field = f"X-Chora-Trace-Id: {trace}-{number}".encode()
        assert ask(caller, post("/tools/o.call", field)).status == 200


def test_subscriber_sees_the_calls_of_both_and_resumes_on_the_other(
    callers: list[Caller], subscribe: Subscribe
) -> None:
    target = "/events?types=tool_invoked"
    one = subscribe(0, target)
    call(callers, "first")
    seen = one.take(2)
    call(callers, "second")

    other = subscribe(1, target, f"Last-Event-ID: {seen[-1].id}")

    traces = [message.json()["trace_id"] for message in (*seen, *other.take(2))]
    assert [sorted(traces[:2]), sorted(traces[2:])] == [
        ["first-0", "first-1"],
        ["second-0", "second-1"],
    ]


def test_a_filter_holds_whichever_worker_made_the_call(
    callers: list[Caller], subscribe: Subscribe
) -> None:
    one = subscribe(0, "/events?types=tool_invoked&trace_id=mine-1")
    call(callers, "other")
    call(callers, "mine")

    assert one.next().json()["trace_id"] == "mine-1"


def test_a_registry_that_has_changed_is_called_through_both(
    callers: list[Caller], sidecar: Sidecar, origin: Origin
) -> None:
    sidecar.registry_path.write_text(
        registry(server("o", origin.url), server("new", origin.url, tools=("call",)))
    )

    def both() -> bool:
        return [ask(each, post("/tools/new.call")).status for each in callers] == [200, 200]

    assert eventually(both)


def test_ten_thousand_tools_hold_up_nobody(
    callers: list[Caller], sidecar: Sidecar, origin: Origin
) -> None:
    servers = [
        server(f"s{number}", origin.url, tools=[f"t{tool}" for tool in range(100)])
        for number in range(MANY // 100)
    ]
    sidecar.registry_path.write_text(registry(server("o", origin.url), *servers))
    assert eventually(lambda: ask(callers[0], post("/tools/s99.t99")).status == 200, within_s=60)
    assert eventually(lambda: ask(callers[1], post("/tools/s99.t99")).status == 200, within_s=60)

    listed = orjson.loads(ask(callers[1], get("/tools")).body)
    slowest = {each.name: each.value for each in samples(sidecar)}

    assert len(listed["tools"]) == MANY + 1
    assert slowest["toolproxy_event_loop_lag_seconds"] < SLOWEST_S
