"""What is sent again, what never is, and how much of it when everything fails."""

from collections import Counter
from typing import Final

import pytest

from tests.support.chaos_callers import Load, Pending, call, said
from tests.support.chaos_process import (
    ANSWERS,
    CLOSES,
    HOLDS,
    RESETS,
    RESETS_IF_REUSED,
    Step,
    Upstream,
    sends,
)
from tests.support.chaos_scene import NEVER_EJECTED, NEVER_OPEN, StartUpstreams, replicas
from tests.support.chaos_sightings import times_seen
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.sidecar import Server, Sidecar
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

IDEMPOTENT: Final = [{"name": "call", "idempotent": True}]
AT_LEAST: Final = 3
SHARE: Final = 0.2
CALLERS: Final = 3  # so few that every one of them may try again
CALLS: Final = 200
HALF_AN_ANSWER: Final = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")


@pytest.mark.slow
def test_failure_made_good_by_a_retry_is_none_of_the_servers(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(1)
    upstreams[0].plays(RESETS_IF_REUSED, ANSWERS)
    sidecar = start_sidecar(replicas(upstreams, tools=IDEMPOTENT))

    with nothing_left_over(sidecar):
        came = [call(sidecar) for _ in range(2)]

    seen = [each.call for each in upstreams[0].seen.calls]
    assert said(came) == {"200": 2}
    assert seen == [came[0].call, came[1].call, came[1].call]
    assert state_of(sidecar).circuit.total_failures == 0
    assert metric(sidecar, "toolproxy_retries_total", reason="reused_reset") == 1


@pytest.mark.slow
@pytest.mark.parametrize("death", [RESETS, CLOSES], ids=["reset", "closed"])
def test_post_that_was_sent_is_never_sent_again(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar, death: Step
) -> None:
    upstreams = start_upstreams(2)
    sidecar = start_sidecar(replicas(upstreams, outlier=NEVER_EJECTED, circuit=NEVER_OPEN))

    with nothing_left_over(sidecar):
        _fill_pools(sidecar, upstreams, 2 * CALLERS)
        for upstream in upstreams:
            upstream.plays(death)
        lost = [call(sidecar) for _ in range(3 * CALLERS)]

    assert said(lost) == {"502 upstream_closed": 3 * CALLERS}
    assert set(_times_seen(upstreams).values()) == {1}
    assert metric(sidecar, "toolproxy_retries_total") == 0


@pytest.mark.slow
def test_call_whose_answer_began_is_never_sent_again(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(2)
    sidecar = start_sidecar(replicas(upstreams, tools=IDEMPOTENT, outlier=NEVER_EJECTED))

    with nothing_left_over(sidecar):
        _fill_pools(sidecar, upstreams, 2)
        for upstream in upstreams:
            upstream.plays(HALF_AN_ANSWER, HOLDS, RESETS)
        outcome = call(sidecar, once_heard=lambda: _release(upstreams))

    assert outcome.said == "broken off"
    assert _times_seen(upstreams)[outcome.call] == 1


@pytest.mark.slow
def test_retry_goes_to_another_endpoint(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(2)
    upstreams[0].plays(RESETS_IF_REUSED, ANSWERS)
    sidecar = start_sidecar(
        replicas(upstreams, tools=IDEMPOTENT, balance="round_robin", outlier=NEVER_EJECTED)
    )

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        load.goes_on(CALLS)

    assert load.failures == []
    assert metric(sidecar, "toolproxy_retries_total", reason="reused_reset") > 0
    assert set(_times_seen(upstreams[:1]).values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("callers", [5, 40])
def test_mass_failure_is_not_made_worse_than_the_budget_allows(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar, callers: int
) -> None:
    upstreams = start_upstreams(1)
    sidecar = start_sidecar(failing(upstreams))

    with nothing_left_over(sidecar):
        _fill_pools(sidecar, upstreams, callers)
        upstreams[0].plays(RESETS_IF_REUSED, HOLDS, ANSWERS)
        pending = [Pending(sidecar) for _ in range(callers)]
        assert eventually(lambda: _over(pending) + _held(upstreams[0]) == callers)
        retried = _held(upstreams[0])
        upstreams[0].releases()
        came = [each.outcome() for each in pending]

    assert AT_LEAST <= retried <= max(AT_LEAST, SHARE * callers)
    assert said(came) == {"200": retried, "502 upstream_closed": callers - retried}
    assert metric(sidecar, "toolproxy_retries_total") == retried
    times = _times_seen(upstreams)
    assert sum(times[each.call] for each in came) == callers + retried


def failing(upstreams: list[Upstream]) -> Server:
    return replicas(upstreams, tools=IDEMPOTENT, outlier=NEVER_EJECTED, circuit=NEVER_OPEN)


def _fill_pools(sidecar: Sidecar, upstreams: list[Upstream], calls: int) -> None:
    """So many calls at once, so that as many connections are kept."""
    for upstream in upstreams:
        upstream.plays(HOLDS, ANSWERS)
    pending = [Pending(sidecar) for _ in range(calls)]
    assert eventually(lambda: sum(len(each.seen.calls) for each in upstreams) == calls)
    _release(upstreams)
    assert said(each.outcome() for each in pending) == {"200": calls}


def _release(upstreams: list[Upstream]) -> None:
    for upstream in upstreams:
        upstream.releases()


def _over(pending: list[Pending]) -> int:
    return sum(each.over for each in pending)


def _held(upstream: Upstream) -> int:
    """Calls on new connections that are not answered yet."""
    open_ones = upstream.seen.open_connections
    return sum(not each.requests[-1].answered for each in open_ones if len(each.requests) == 1)


def _times_seen(upstreams: list[Upstream]) -> Counter[str]:
    return times_seen(upstream.seen for upstream in upstreams)
