"""A thousand reloads while a circuit is open and an endpoint ejected: both stay, nothing else."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import Caller
from tests.support.chaos_callers import Outcome, call_on, said
from tests.support.chaos_process import Upstream, answers
from tests.support.chaos_scene import NEVER_OPEN, StartUpstreams, replicas
from tests.support.hardening_holdings import settled
from tests.support.hardening_inside import Inside
from tests.support.loop_thread import LoopThread
from tests.support.sidecar import Server, registry, server
from tests.support.waiting import eventually

RELOADS: Final = 1_000
FAILURES: Final = 5
CALLS: Final = 20
TRIPPED: Final = "/tools/tripped.call"
AT_REST: Final = {"failures": FAILURES, "open_for": "10m"}
# It would be ejected for good; and it would be trusted again at once if it were forgotten.
EJECTS: Final = {"consecutive_errors": FAILURES, "base_ejection": "5m"}
# Bounded by the registry, by the ring, and by one example for each bucket.
SERIES: Final = frozenset({"Count", "Durations", "Event", "Facts", "Trace", "_Kind"})


@pytest.fixture
def upstreams(start_upstreams: StartUpstreams) -> list[Upstream]:
    """The first answers only 503."""
    found = start_upstreams(3)
    found[0].plays(answers(503))
    return found


@pytest.fixture
def servers(upstreams: list[Upstream]) -> list[Server]:
    """One that will be tripped, and one with an endpoint that will be ejected."""
    return [
        replicas(upstreams[:1], namespace="tripped", circuit=AT_REST),
        replicas(upstreams, balance="round_robin", outlier=EJECTS, circuit=NEVER_OPEN),
    ]


@pytest.fixture
def inside(servers: list[Server], loop_thread: LoopThread, tmp_path: Path) -> Iterator[Inside]:
    with Inside(loop_thread, tmp_path, registry(*servers)) as started:
        yield started


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_open_circuit_and_ejection_survive_and_leave_nothing(
    inside: Inside, servers: list[Server], upstreams: list[Upstream]
) -> None:
    assert said(_calls(inside, TRIPPED, FAILURES)) == {"503": FAILURES}
    assert said(_calls(inside, "/tools/o.call", 10 * CALLS))["503"] == FAILURES
    _reload(inside, servers, 10)
    before, seen = settled(inside.census), len(upstreams[0].seen.calls)

    _reload(inside, servers, RELOADS)

    assert said(_calls(inside, TRIPPED, CALLS)) == {"503 circuit_open": CALLS}
    assert said(_calls(inside, "/tools/o.call", CALLS)) == {"200": CALLS}
    assert len(upstreams[0].seen.calls) == seen
    eventually(lambda: _more(inside, before) == Counter())
    assert _more(inside, before) == Counter()


def _reload(inside: Inside, servers: list[Server], times: int) -> None:
    """Another tool each time, and a server with an endpoint that comes and goes."""
    for number in range(times):
        passing = server(f"passing{number}", "http://127.0.0.1:9", tools=[f"tool{number}"])
        inside.reload(registry(*servers, passing))
    inside.reload(registry(*servers))


def _calls(inside: Inside, target: str, times: int) -> list[Outcome]:
    with Caller(inside.port) as caller:
        return [call_on(caller, target) for _ in range(times)]


def _more(inside: Inside, before: Counter[str]) -> Counter[str]:
    """Series of metrics aside: what ends in a way of its own for the first time begins one."""
    more = inside.census() - before
    return Counter({kind: count for kind, count in more.items() if kind not in SERIES})
