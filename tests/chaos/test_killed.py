"""`kill -9` of one of three endpoints under load: what it costs, and that it may come back."""

import time
from collections.abc import Sequence
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Outcome, Span
from tests.support.chaos_process import ANSWERS, Upstream, waits
from tests.support.chaos_scene import FORGIVEN_SOON, StartUpstreams, replicas
from tests.support.chaos_sightings import times_seen
from tests.support.chaos_state import nothing_left_over
from tests.support.starters import StartSidecar

CALLERS: Final = 24  # a third of them is more than the budget has retries for
THINKS_S: Final = 0.01


@pytest.mark.slow
def test_killed_endpoint_fails_no_call_but_those_in_flight_on_it(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    sidecar = start_sidecar(replicas(upstreams))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        death = _kill_one_under_load(load, upstreams)

    failed = load.failures
    assert {outcome.said for outcome in failed} <= {"502 upstream_closed"}
    assert all(outcome.was_under_way(death) for outcome in failed)
    assert not times_seen(each.seen for each in upstreams[1:]).keys() & _calls(failed)
    assert set(times_seen(each.seen for each in upstreams).values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize(
    "tool",
    [
        pytest.param({"name": "call", "idempotent": True}, id="said-so"),
        pytest.param({"name": "call", "method": "GET"}, id="by-method"),
    ],
)
def test_killed_endpoint_fails_no_idempotent_call(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar, tool: dict[str, object]
) -> None:
    upstreams = start_upstreams(3)
    sidecar = start_sidecar(replicas(upstreams, tools=[tool]))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        _kill_one_under_load(load, upstreams)

    assert load.failures == []
    assert set(times_seen(each.seen for each in upstreams[1:]).values()) == {1}


@pytest.mark.slow
def test_killed_endpoint_takes_traffic_again_once_it_is_back(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    sidecar = start_sidecar(replicas(upstreams, outlier=FORGIVEN_SOON))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        _kill_one_under_load(load, upstreams)
        upstreams[0].comes_up()
        back = load.is_served_by("a")
        came_up = len(load.failures)
        load.goes_on()

    assert back, load
    assert len(load.failures) == came_up


def _kill_one_under_load(load: Load, upstreams: Sequence[Upstream]) -> Span:
    """The first, when each has its share of connections and of calls; when it happened."""
    for upstream in upstreams:
        upstream.plays(waits(THINKS_S), ANSWERS)
    load.goes_on()
    began_at = time.monotonic()
    upstreams[0].dies()
    death = Span(began_at, time.monotonic())
    load.goes_on()
    return death


def _calls(outcomes: Sequence[Outcome]) -> set[str]:
    return {outcome.call for outcome in outcomes}
