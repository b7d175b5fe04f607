"""Limits before an upstream that is slow: who waits, for how long, and who does not."""

from functools import partial
from typing import Final

import pytest

from tests.support.chaos_callers import Outcome, Pending, call, said
from tests.support.chaos_process import ANSWERS, HOLDS, waits
from tests.support.chaos_scene import StartUpstreams, replicas
from tests.support.chaos_sightings import most_at_once
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.hardening_bystander import Bystander
from tests.support.sidecar import Sidecar
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

SLOW: Final = "/tools/slow.call"
AT_ONCE_S: Final = 0.25
QUEUE_TIMEOUT_S: Final = 0.5
# Times are kept by a sweep every now and then: a little early is in time.
EARLIEST: Final = 0.9
LENIENT: Final = 10
IN_LINE: Final = 8
CROWD: Final = 20


@pytest.mark.slow
def test_call_beyond_the_queue_is_refused_at_once_and_the_queued_one_in_its_time(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(HOLDS, ANSWERS)
    limits = {"max_connections": 1, "max_pending": 1, "queue_timeout": QUEUE_TIMEOUT_S}
    sidecar = start_sidecar(replicas(upstreams, namespace="slow", limits=limits))

    with nothing_left_over(sidecar):
        served = Pending(sidecar, SLOW)
        assert eventually(lambda: upstreams[0].seen.calls)
        queued = Pending(sidecar, SLOW)
        assert eventually(partial(_has_queued, sidecar, 1))
        beyond = call(sidecar, SLOW)
        in_vain = queued.outcome()
        upstreams[0].releases()

        assert served.outcome().said == "200"

    assert (beyond.said, in_vain.said) == ("429 queue_full", "429 queue_timeout")
    assert beyond.retry_after
    assert in_vain.retry_after
    assert beyond.took_s < AT_ONCE_S
    assert QUEUE_TIMEOUT_S * EARLIEST < in_vain.took_s < QUEUE_TIMEOUT_S * LENIENT
    assert len(upstreams[0].seen.calls) == 1
    assert metric(sidecar, "toolproxy_rejected_total", code="queue_full") == 1
    assert state_of(sidecar, "slow").circuit.total_failures == 0


@pytest.mark.slow
def test_queue_of_a_slow_server_delays_no_other(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    slow, well = start_upstreams(2)
    slow.plays(HOLDS, ANSWERS)
    limits = {"max_connections": 2, "max_pending": CROWD, "queue_timeout": "30s"}
    sidecar = start_sidecar(replicas([slow], namespace="slow", limits=limits), replicas([well]))

    with nothing_left_over(sidecar):
        pending = [Pending(sidecar, SLOW) for _ in range(CROWD)]
        assert eventually(partial(_has_queued, sidecar, CROWD - 2))
        with Bystander(sidecar) as bystander:
            pass
        still_queued = _has_queued(sidecar, CROWD - 2)
        slow.releases()
        came = [each.outcome() for each in pending]

    bystander.assert_undisturbed()
    assert still_queued
    assert said(came) == {"200": CROWD}


@pytest.mark.slow
def test_server_that_is_not_safe_is_called_one_at_a_time_in_order_of_arrival(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(HOLDS, waits(0.02), ANSWERS)
    sidecar = start_sidecar(
        replicas(
            upstreams,
            namespace="slow",
            upstream_dependencies={"concurrency_safe": False},
            limits={"queue_timeout": "30s"},
        )
    )

    with nothing_left_over(sidecar):
        pending = [Pending(sidecar, SLOW)]
        assert eventually(lambda: upstreams[0].seen.calls)
        for place in range(1, IN_LINE):
            pending.append(Pending(sidecar, SLOW))
            assert eventually(partial(_has_queued, sidecar, place))
        upstreams[0].releases()
        came = [each.outcome() for each in pending]

    seen = upstreams[0].seen.calls
    assert said(came) == {"200": IN_LINE}
    assert [each.call for each in seen] == [outcome.call for outcome in _by_start(came)]
    assert most_at_once((each.began_at, each.ended_at) for each in seen) == 1


def _has_queued(sidecar: Sidecar, calls: int) -> bool:
    return state_of(sidecar, "slow").queued == calls


def _by_start(outcomes: list[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda outcome: outcome.began_at)
