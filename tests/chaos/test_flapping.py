"""An endpoint that comes and goes every 200 ms: no more fails than what was on it."""

import time
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Span, said
from tests.support.chaos_process import ANSWERS, Upstream, waits
from tests.support.chaos_scene import FORGIVEN_SOON, WATCHED, StartUpstreams, replicas
from tests.support.chaos_sightings import times_seen
from tests.support.chaos_state import nothing_left_over
from tests.support.starters import StartSidecar

FLAPS: Final = 6
HALF_S: Final = 0.2
CALLERS: Final = 9
THINKS_S: Final = 0.005
MOST_LINES: Final = 20 * FLAPS


@pytest.mark.slow
def test_flapping_endpoint_fails_no_call_but_those_in_flight_on_it(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    for upstream in upstreams:
        upstream.plays(waits(THINKS_S), ANSWERS)
    sidecar = start_sidecar(replicas(upstreams, health=WATCHED, outlier=FORGIVEN_SOON))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        load.goes_on()
        losses = _flap(upstreams[0])
        back = load.is_served_by("a")

    assert said(load.failures).keys() <= {"502 upstream_closed"}
    assert all(any(map(each.was_under_way, losses)) for each in load.failures)
    assert set(times_seen(each.seen for each in upstreams).values()) == {1}
    assert back, load
    assert sidecar.stderr.count("\n") < MOST_LINES


def _flap(upstream: Upstream) -> list[Span]:
    """When it went down."""
    losses = []
    for _ in range(FLAPS):
        time.sleep(HALF_S)
        began_at = time.monotonic()
        upstream.goes_down()
        losses.append(Span(began_at, time.monotonic()))
        time.sleep(HALF_S)
        upstream.comes_up()
    return losses
