"""All endpoints gone: refused at once and without a connect, until they are back."""

import time
from collections.abc import Sequence
from statistics import quantiles
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Outcome, call_on, said
from tests.support.chaos_process import Upstream
from tests.support.chaos_scene import FORGIVEN_SOON, NEVER_OPEN, StartUpstreams, replicas
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.sidecar import Sidecar
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

CALLERS: Final = 9
REFUSALS: Final = 200
LENIENT: Final = 10
REFUSED_WITHIN_S: Final = 0.001
# healthy_after (2) times fast_interval, and the timeout of a probe.
BACK_WITHIN_S: Final = 2 * 0.1 + 0.5
OPEN_FOR_S: Final = 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("circuit", "told"),
    [
        pytest.param(NEVER_OPEN, {"503 no_healthy_endpoint"}, id="known-by-probes"),
        pytest.param({"open_for": "60s"}, {"503 circuit_open"}, id="circuit-open"),
    ],
)
def test_calls_are_refused_at_once_once_it_is_known(
    start_upstreams: StartUpstreams,
    start_sidecar: StartSidecar,
    circuit: dict[str, object],
    told: set[str],
) -> None:
    upstreams = start_upstreams(3)
    sidecar = start_sidecar(replicas(upstreams, outlier=FORGIVEN_SOON, circuit=circuit))

    with nothing_left_over(sidecar):
        _lose_all_under_load(sidecar, upstreams)
        connects = metric(sidecar, "toolproxy_upstream_connects_total")
        refused = _refusals(sidecar)

    assert said(refused).keys() <= told | {"503 no_healthy_endpoint"}
    assert {outcome.retry_after is not None for outcome in refused} == {True}
    assert metric(sidecar, "toolproxy_upstream_connects_total") == connects
    assert _ninety_fifth_s(refused) < REFUSED_WITHIN_S * LENIENT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("circuit", "within_s"),
    [
        pytest.param(NEVER_OPEN, BACK_WITHIN_S, id="seen-by-probes"),
        pytest.param(
            {"failures": 5, "open_for": OPEN_FOR_S}, BACK_WITHIN_S + OPEN_FOR_S, id="circuit-open"
        ),
    ],
)
def test_calls_are_served_again_soon_after_the_return(
    start_upstreams: StartUpstreams,
    start_sidecar: StartSidecar,
    circuit: dict[str, object],
    within_s: float,
) -> None:
    upstreams = start_upstreams(3)
    sidecar = start_sidecar(replicas(upstreams, outlier=FORGIVEN_SOON, circuit=circuit))

    with nothing_left_over(sidecar):
        _lose_all_under_load(sidecar, upstreams)
        for upstream in upstreams:
            upstream.comes_up()
        came_up_at = time.monotonic()
        with Load(sidecar, callers=CALLERS, pause_s=0.01) as load:
            back = all(load.is_served_by(upstream.name) for upstream in upstreams)
            failed = len(load.failures)
            load.goes_on()

    served_at = min(outcome.ended_at for outcome in load.outcomes if outcome.ok)
    print(f"served {served_at - came_up_at:.2f} s after the return")  # noqa: T201 - a figure
    assert served_at - came_up_at < within_s * LENIENT
    assert back, load
    assert len(load.failures) == failed


def _lose_all_under_load(sidecar: Sidecar, upstreams: Sequence[Upstream]) -> None:
    with Load(sidecar, callers=CALLERS) as load:
        load.goes_on()
        for upstream in upstreams:
            upstream.dies()
        assert eventually(lambda: not _any_usable(sidecar))


def _any_usable(sidecar: Sidecar) -> bool:
    state = state_of(sidecar)
    return state.circuit.state != "open" and any(each.usable for each in state.endpoints)


def _refusals(sidecar: Sidecar) -> list[Outcome]:
    with sidecar.caller() as caller:
        return [call_on(caller) for _ in range(REFUSALS)]


def _ninety_fifth_s(outcomes: Sequence[Outcome]) -> float:
    """Of how long they took: the few beyond it say more of a busy machine."""
    found_s = quantiles((outcome.took_s for outcome in outcomes), n=20)
    print(f"refused in {found_s[9] * 1000:.2f} ms, 95 % in {found_s[18] * 1000:.2f} ms")  # noqa: T201
    return found_s[18]
