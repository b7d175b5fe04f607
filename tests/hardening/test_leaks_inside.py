"""Objects and tasks: after calls, aborts and a thousand reloads there are as many as before."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support import hardening_load as load
from tests.support.caller import Caller
from tests.support.hardening_holdings import settled
from tests.support.hardening_inside import Inside
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.sidecar import Server, registry, server
from tests.support.waiting import eventually

CALLS: Final = 2_000
ABORTS: Final = 1_000
RELOADS: Final = 1_000
# Bounded by the registry (and its order, by one), by the ring, by one example for each bucket.
SERIES: Final = frozenset({"Count", "Durations", "Event", "Facts", "Order", "Trace", "_Kind"})
ABORTED: Final = (
    post("/tools/o.silence"),
    post("/tools/o.half"),
    get("/tools"),
    b"no HTTP\r\n\r\n",
)


@pytest.fixture
def upstream(loop_thread: LoopThread) -> Iterator[Server]:
    listening = loop_thread.run(load.answering())
    port = listening.sockets[0].getsockname()[1]
    keepalive = {"idle": "100ms"}
    yield server("o", f"http://127.0.0.1:{port}", tools=load.TOOLS, keepalive=keepalive)
    listening.close()


@pytest.fixture
def inside(upstream: Server, loop_thread: LoopThread, tmp_path: Path) -> Iterator[Inside]:
    with Inside(loop_thread, tmp_path, registry(upstream)) as started:
        yield started


@pytest.mark.slow
def test_calls_leave_no_object_and_no_task(inside: Inside, loop_thread: LoopThread) -> None:
    _call(inside, loop_thread)
    before = settled(inside.census)

    _call(inside, loop_thread)

    _assert_back(inside, before)


@pytest.mark.slow
def test_aborts_leave_no_object_and_no_task(inside: Inside, loop_thread: LoopThread) -> None:
    _call(inside, loop_thread)
    _abort(inside)
    before = settled(inside.census)

    _abort(inside)

    _assert_back(inside, before)


@pytest.mark.slow
def test_reloads_leave_no_object_and_no_task(inside: Inside, upstream: Server) -> None:
    _reload(inside, upstream, 10)
    before = settled(inside.census)

    _reload(inside, upstream, RELOADS)

    _assert_back(inside, before)


def _call(inside: Inside, loop_thread: LoopThread) -> None:
    came = loop_thread.run(load.run(inside.port, CALLS), timeout_s=60)
    assert came == Counter({b"as expected": CALLS})


def _abort(inside: Inside) -> None:
    for number in range(ABORTS):
        octets = ABORTED[number % len(ABORTED)]
        with Caller(inside.port) as caller:
            caller.send(octets[: 1 + number % (2 * len(octets))])
            if number % 2:
                caller.reset()


def _reload(inside: Inside, upstream: Server, times: int) -> None:
    """Another tool each time, and a server that comes and goes."""
    for number in range(times):
        passing = server(f"passing{number}", "http://127.0.0.1:9", tools=[f"tool{number}"])
        inside.reload(registry(upstream, passing))
    inside.reload(registry(upstream))


def _assert_back(inside: Inside, before: Counter[str]) -> None:
    eventually(lambda: _more(inside, before) == Counter())
    assert _more(inside, before) == Counter()


def _more(inside: Inside, before: Counter[str]) -> Counter[str]:
    """Series of metrics aside: what ends in a way of its own for the first time begins one."""
    more = inside.census() - before
    return Counter({kind: count for kind, count in more.items() if kind not in SERIES})
