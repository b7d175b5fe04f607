"""The breaker before a real upstream: silent while it is open, careful when it is not."""

import itertools
import signal
from collections.abc import Sequence
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Outcome, Pending, call, said
from tests.support.chaos_process import ANSWERS, HOLDS, Upstream, answers, waits
from tests.support.chaos_scene import StartUpstreams, replicas
from tests.support.chaos_sightings import SeenCall, most_at_once
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.sidecar import Server, Sidecar, registry
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

FAILURES: Final = 5
REFUSALS: Final = 50
AT_REST: Final = {"failures": FAILURES, "open_for": "60s"}
SOON: Final = {"failures": FAILURES, "open_for": "200ms"}
CROWD: Final = 40
MOST_CONNECTIONS: Final = 8
NEEDED_SUCCESSES: Final = 2
TRIALS: Final = 4
ANSWERED: Final = [400, 401, 404, 409, 422, 429, 500, 501]
EACH: Final = 10


@pytest.mark.slow
def test_open_circuit_lets_not_one_byte_through(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    sidecar = start_sidecar(replicas(upstreams, circuit=AT_REST))

    with nothing_left_over(sidecar):
        tripping = _trip(sidecar, upstreams[0])
        seen = upstreams[0].seen
        before = (seen.received_bytes, _connects(sidecar))
        refused = [call(sidecar) for _ in range(REFUSALS)]

    assert said(tripping) == {"503": FAILURES}
    assert said(refused) == {"503 circuit_open": REFUSALS}
    assert all(outcome.retry_after and 0 < int(outcome.retry_after) <= 66 for outcome in refused)
    assert (seen.received_bytes, _connects(sidecar)) == before
    circuit = state_of(sidecar).circuit
    assert (circuit.state, circuit.total_failures, circuit.state_changes) == ("open", FAILURES, 1)
    assert metric(sidecar, "toolproxy_circuit_state", server="o") == 2


@pytest.mark.slow
def test_first_call_that_is_let_through_after_the_return_succeeds(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    sidecar = start_sidecar(replicas(upstreams, circuit=SOON))

    with nothing_left_over(sidecar):
        _trip(sidecar, upstreams[0])
        upstreams[0].plays(ANSWERS)
        came: list[Outcome] = []
        assert eventually(lambda: _one_more(sidecar, came).said != "503 circuit_open")
        after = [call(sidecar) for _ in range(EACH)]

    assert came[-1].said == "200"
    assert said(after) == {"200": EACH}
    assert len(upstreams[0].seen.calls) == FAILURES + 1 + EACH
    assert state_of(sidecar).circuit.state == "closed"


@pytest.mark.slow
def test_trials_that_fail_come_one_at_a_time_and_less_and_less_often(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    sidecar = start_sidecar(replicas(upstreams, circuit={"failures": 1, "open_for": "50ms"}))
    upstreams[0].plays(waits(0.02), answers(503))

    with nothing_left_over(sidecar):
        call(sidecar)
        with Load(sidecar, callers=4, pause_s=0.01) as load:
            assert eventually(lambda: len(upstreams[0].seen.calls) > TRIALS)

    trials = upstreams[0].seen.calls
    began = [trial.began_at for trial in trials]
    gaps_s = [after - before for before, after in itertools.pairwise(began)]
    assert _at_once(trials) == 1
    assert sum(gaps_s[:TRIALS]) > 4 * 0.05  # 0.05, 0.1, 0.2, 0.4, with jitter
    assert gaps_s[TRIALS - 1] > gaps_s[0]
    assert said(load.outcomes)["503"] == len(trials) - 1


@pytest.mark.slow
def test_return_lets_trials_through_one_at_a_time_and_opens_no_storm_of_connections(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    limits = {"max_connections": MOST_CONNECTIONS, "max_pending": CROWD}
    sidecar = start_sidecar(replicas(upstreams, circuit=SOON, limits=limits))

    with nothing_left_over(sidecar), Load(sidecar, callers=CROWD, pause_s=0.02) as load:
        load.goes_on()
        upstreams[0].dies()
        assert eventually(lambda: state_of(sidecar).circuit.state == "open")
        died = len(upstreams[0].seen.calls)
        upstreams[0].start()
        upstreams[0].plays(waits(0.05), ANSWERS)
        upstreams[0].comes_up()
        assert load.is_served_by("a", 4 * CROWD)

    returned = upstreams[0].seen.calls[died:]
    trials, rest = returned[:NEEDED_SUCCESSES], returned[NEEDED_SUCCESSES:]
    assert not any(trial.overlaps(other) for trial in trials for other in rest), trials
    assert not trials[0].overlaps(trials[1])
    assert _most_connections(upstreams[0]) <= MOST_CONNECTIONS
    assert len(rest) > CROWD
    assert said(load.failures).keys() <= {
        "502 connect_failed",
        "502 upstream_closed",
        "503 circuit_open",
        "503 no_healthy_endpoint",
    }


@pytest.mark.slow
def test_answers_that_say_something_else_than_gone_never_trip_or_eject(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(2)
    sidecar = start_sidecar(
        replicas(upstreams, circuit={"failures": 2}, outlier={"consecutive_errors": 2})
    )

    with nothing_left_over(sidecar):
        for status in ANSWERED:
            for upstream in upstreams:
                upstream.plays(answers(status))
            assert said(call(sidecar) for _ in range(EACH)) == {str(status): EACH}

    state = state_of(sidecar)
    assert (state.circuit.state, state.circuit.total_failures) == ("closed", 0)
    assert [endpoint.ejected for endpoint in state.endpoints] == [False, False]
    assert metric(sidecar, "toolproxy_endpoint_ejections_total") == 0


@pytest.mark.slow
def test_answer_to_a_call_from_before_the_trip_proves_nothing(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(HOLDS, ANSWERS, to="/tools/slow")
    sidecar = start_sidecar(replicas(upstreams, tools=["call", "slow"], circuit=AT_REST))

    with nothing_left_over(sidecar):
        early = Pending(sidecar, "/tools/o.slow")
        assert eventually(lambda: upstreams[0].seen.calls)
        _trip(sidecar, upstreams[0])
        upstreams[0].releases("/tools/slow")

        assert early.outcome().said == "200"
        assert call(sidecar).said == "503 circuit_open"


@pytest.mark.slow
def test_circuit_survives_a_reload_and_obeys_its_new_thresholds(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(answers(503))
    sidecar = start_sidecar(replicas(upstreams, circuit={"failures": 100, "open_for": "60s"}))

    with nothing_left_over(sidecar):
        assert said(call(sidecar) for _ in range(FAILURES - 1)) == {"503": FAILURES - 1}
        _reload(sidecar, replicas(upstreams, circuit=AT_REST))
        assert [call(sidecar).said for _ in range(2)] == ["503", "503 circuit_open"]
        _reload(sidecar, replicas(upstreams, tools=["call", "other"], circuit=AT_REST))
        assert call(sidecar).said == "503 circuit_open"

    assert len(upstreams[0].seen.calls) == FAILURES


def _trip(sidecar: Sidecar, upstream: Upstream) -> list[Outcome]:
    """So many failures as it takes, and no more."""
    upstream.plays(answers(503))
    tripping = [call(sidecar) for _ in range(FAILURES)]
    assert state_of(sidecar).circuit.state == "open"
    return tripping


def _connects(sidecar: Sidecar) -> float:
    return metric(sidecar, "toolproxy_upstream_connects_total")


def _one_more(sidecar: Sidecar, came: list[Outcome]) -> Outcome:
    came.append(call(sidecar))
    return came[-1]


def _at_once(calls: Sequence[SeenCall]) -> int:
    return most_at_once((seen.began_at, seen.ended_at) for seen in calls)


def _most_connections(upstream: Upstream) -> int:
    return most_at_once((each.opened_at, each.closed_at) for each in upstream.seen.connections)


def _reload(sidecar: Sidecar, server: Server) -> None:
    generation = sidecar.stderr.count("Registry generation") + 1
    sidecar.registry_path.write_text(registry(server))
    sidecar.signal(signal.SIGHUP)
    assert eventually(lambda: sidecar.said(f"generation {generation}:"))
