"""Upstreams that hang: stopped, silent from the first byte, or silent between two."""

import time
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Outcome, call, said
from tests.support.chaos_process import ANSWERS, HOLDS, sends, waits
from tests.support.chaos_scene import FORGIVEN_SOON, WATCHED, StartUpstreams, replicas
from tests.support.chaos_sightings import times_seen
from tests.support.chaos_state import metric, nothing_left_over, state_of, status_of
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

CALLERS: Final = 9
DEADLINE_S: Final = 1.0
LENIENT: Final = 10
ERRORS: Final = 5
PIECES: Final = 15
PIECE_EVERY_S: Final = 0.1
IDLE_S: Final = 1.0
# Times are kept by a sweep every now and then: a little early is in time.
EARLIEST: Final = 0.9


@pytest.mark.slow
def test_stopped_endpoint_holds_only_its_own_calls_and_only_to_their_deadline(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    hung = upstreams[0]
    sidecar = start_sidecar(
        replicas(upstreams, health=WATCHED, outlier=FORGIVEN_SOON, timeout=DEADLINE_S)
    )

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        load.goes_on()
        hung.stops()
        assert eventually(lambda: status_of(sidecar, hung.url) == "unreachable")
        known_at = time.monotonic()
        load.goes_on()
        hung.goes_on()
        back = load.is_served_by(hung.name)

    assert _waited_in_vain(load.failures)
    assert all(outcome.began_at < known_at for outcome in load.failures)
    assert _slowest_s(load, "b", "c") < DEADLINE_S
    assert set(times_seen(each.seen for each in upstreams).values()) == {1}
    assert back, load


@pytest.mark.slow
def test_endpoint_that_stays_silent_holds_only_its_own_calls_until_it_is_ejected(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    silent = upstreams[0]
    silent.plays(HOLDS)
    outlier = {"consecutive_errors": ERRORS, "base_ejection": "60s"}
    sidecar = start_sidecar(replicas(upstreams, outlier=outlier, timeout=DEADLINE_S))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        assert eventually(lambda: state_of(sidecar).endpoint(silent.url).ejected)
        ejected_at = time.monotonic()
        load.goes_on()

    assert _waited_in_vain(load.failures)
    assert ERRORS <= len(load.failures) < ERRORS + CALLERS  # what was under way when it went
    assert all(outcome.began_at < ejected_at for outcome in load.failures)
    assert _slowest_s(load, "b", "c") < DEADLINE_S
    assert metric(sidecar, "toolproxy_endpoint_ejections_total", endpoint=silent.url) == 1
    assert len(silent.seen.calls) == len(load.failures)
    assert eventually(lambda: not silent.seen.open_connections)


@pytest.mark.slow
def test_answer_that_drips_is_waited_for_as_long_as_it_drips(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    drops = [step for _ in range(PIECES) for step in (waits(PIECE_EVERY_S), sends(b"x"))]
    upstreams[0].plays(sends(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % PIECES), *drops)
    sidecar = start_sidecar(replicas(upstreams, timeout=IDLE_S, idle_timeout=IDLE_S))

    with nothing_left_over(sidecar):
        outcome = call(sidecar)

    assert (outcome.said, outcome.took_s > IDLE_S) == ("200", True)
    assert state_of(sidecar).circuit.total_failures == 0


@pytest.mark.slow
def test_answer_that_falls_silent_is_broken_off_after_the_idle_timeout(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), HOLDS)
    upstreams[0].plays(ANSWERS, to="/tools/well")
    sidecar = start_sidecar(replicas(upstreams, tools=["call", "well"], idle_timeout=IDLE_S))

    with nothing_left_over(sidecar), Load(sidecar, "/tools/o.well", callers=1) as bystander:
        outcome = call(sidecar)

    assert outcome.said == "broken off"
    assert IDLE_S * EARLIEST <= outcome.took_s < IDLE_S * LENIENT
    assert said(bystander.outcomes).keys() == {"200"}
    assert state_of(sidecar).circuit.total_failures == 1
    assert eventually(lambda: len(upstreams[0].seen.open_connections) <= 1)


def _waited_in_vain(outcomes: list[Outcome]) -> bool:
    """All of them, to their deadline and not much longer."""
    return said(outcomes).keys() == {"504 upstream_timeout"} and all(
        DEADLINE_S * EARLIEST <= each.took_s < DEADLINE_S * LENIENT for each in outcomes
    )


def _slowest_s(load: Load, *names: str) -> float:
    return max(outcome.took_s for outcome in load.outcomes if outcome.by in names)
