"""An endpoint that fails calls is taken out for a while: when, for how long, and when it is not."""

import pytest

from proxy.policy.health import Verdict
from tests.support.failures import FAILURES, GOOD, PROOF_OF_NOTHING, QUICK, Plays
from tests.support.messages import get
from tests.support.replicas import (
    FIRST,
    OK,
    ONE,
    SECOND,
    THIRD,
    THREE,
    TWO,
    asked,
    asking,
    call,
    endpoint,
    probed,
    reloads,
    waits,
)
from tests.support.transcript import Begin, Transcript

DOWN = {FIRST: 503}
AT_ONCE = "\nslow_start: 0"
SOON = "\noutlier: {base_ejection: 1s, max_ejection: 3s}" + AT_ONCE
UP_TO_DOWN = f"http://{FIRST}:80 unknown -> unhealthy"
DOWN_TO_UP = f"http://{FIRST}:80 unhealthy -> unknown"


def hosts(t: Transcript, calls: int = 6) -> set[str]:
    """Where so many calls go."""
    return {call(t, {})[0] for _ in range(calls)}


def each_turn_of_the_first(t: Transcript, *plays: Plays) -> Transcript:
    """Of two endpoints in turn, the first gets these calls and the second answers well."""
    for play in plays:
        play(t)
        call(t, {})
    return t


def ejected(t: Transcript) -> Transcript:
    """The first endpoint is out for five answers in a row."""
    for _ in range(5 * len(t.cluster.endpoints)):
        call(t, DOWN)
    assert endpoint(t, FIRST).outlier.ejected
    return t


def until_back(t: Transcript) -> Transcript:
    while endpoint(t, FIRST).outlier.ejected:
        waits(t, 0.05)
    return t


# --- what takes it out ---


@pytest.mark.parametrize("fails", FAILURES.values(), ids=FAILURES)
def test_five_failures_in_a_row_take_an_endpoint_out(begin: Begin, fails: Plays) -> None:
    t = each_turn_of_the_first(begin(TWO + QUICK), *[fails] * 4)
    after_four = list(t.witness.told)

    each_turn_of_the_first(t, fails)

    assert (after_four, hosts(t), t.witness.told) == ([], {SECOND}, [UP_TO_DOWN])


@pytest.mark.parametrize("goes", GOOD.values(), ids=GOOD)
def test_other_answers_never_take_it_out(begin: Begin, goes: Plays) -> None:
    t = each_turn_of_the_first(begin(TWO + QUICK), *[goes] * 12)

    assert (hosts(t), t.witness.told, t.witness.doubts) == ({FIRST, SECOND}, [], [])


@pytest.mark.parametrize("goes", GOOD.values(), ids=GOOD)
def test_failures_count_in_a_row(begin: Begin, goes: Plays) -> None:
    t = each_turn_of_the_first(begin(TWO + QUICK), *[*[FAILURES["503"]] * 4, goes] * 3)

    assert (hosts(t), t.witness.told) == ({FIRST, SECOND}, [])


@pytest.mark.parametrize("leaves", PROOF_OF_NOTHING.values(), ids=PROOF_OF_NOTHING)
def test_what_proves_nothing_counts_neither_way(begin: Begin, leaves: Plays) -> None:
    t = each_turn_of_the_first(begin(TWO + QUICK), *[FAILURES["503"]] * 4, *[leaves] * 3)
    between = (endpoint(t, FIRST).outlier.errors, endpoint(t, FIRST).usable)

    each_turn_of_the_first(t, FAILURES["503"])

    assert (between, hosts(t)) == ((4, True), {SECOND})


def test_attempt_that_a_retry_makes_good_counts_against_its_endpoint(begin: Begin) -> None:
    t = begin(TWO)
    t.refusing = {FIRST}

    statuses = [call(t, {})[1] for _ in range(20)]

    assert (set(statuses), t.dialled.count(FIRST), t.cluster.circuit.total_failures) == (
        {200},
        5,
        0,
    )


def test_every_failure_is_told_to_those_who_may_look_sooner(begin: Begin) -> None:
    t = each_turn_of_the_first(begin(TWO + QUICK), FAILURES["503"], FAILURES["reset"])

    assert t.witness.doubts == [endpoint(t, FIRST)] * 2


def test_reason_says_what_was_seen(begin: Begin) -> None:
    t = ejected(begin(TWO))

    first = endpoint(t, FIRST)
    assert (first.verdict, first.reason, first.since) == (
        Verdict.UNHEALTHY,
        "5 calls in a row failed, last status 503",
        1000.0,
    )


def test_thresholds_are_the_servers_own(begin: Begin) -> None:
    t = begin(f"{TWO}\noutlier: {{consecutive_errors: 2}}")

    each_turn_of_the_first(t, FAILURES["503"], FAILURES["503"])

    assert hosts(t) == {SECOND}


# --- who must stay ---


def test_last_endpoint_is_never_taken_out(begin: Begin) -> None:
    t = begin(f"{ONE}\ncircuit: {{failures: 1000}}")

    statuses = [call(t, DOWN) for _ in range(12)]

    assert (set(statuses), t.witness.told) == ({(FIRST, 503)}, [])


@pytest.mark.parametrize(("servers", "left"), [(TWO, 1), (THREE, 2)], ids=["of-two", "of-three"])
def test_one_may_go_and_the_rest_stay(begin: Begin, servers: str, left: int) -> None:
    t = begin(f"{servers}\ncircuit: {{failures: 1000}}")

    for _ in range(60):
        call(t, {FIRST: 503, SECOND: 503, THIRD: 503})

    assert (len(t.cluster.usable), t.cluster.panics) == (left, 0)


def test_endpoint_beside_one_that_probes_have_taken_out_stays(begin: Begin) -> None:
    t = begin(f"{TWO}\ncircuit: {{failures: 1000}}")
    probed(t, SECOND, Verdict.UNREACHABLE)

    statuses = {call(t, DOWN) for _ in range(12)}

    assert (statuses, endpoint(t, FIRST).outlier.ejected) == ({(FIRST, 503)}, False)


def test_ejections_are_undone_when_too_few_are_left(begin: Begin) -> None:
    t = ejected(begin(THREE + AT_ONCE))
    probed(t, SECOND, Verdict.UNREACHABLE)

    assert (hosts(t), t.cluster.panics) == ({FIRST, THIRD}, 1)
    assert t.witness.told[-2:] == ["panic in o", DOWN_TO_UP]


def test_what_probes_have_taken_out_is_not_used_in_a_panic_either(begin: Begin) -> None:
    t = ejected(begin(THREE))
    for host in (SECOND, THIRD):
        probed(t, host, Verdict.UNHEALTHY)

    assert hosts(t) == {FIRST}


def test_call_when_no_endpoint_is_usable_is_503_without_a_connect(begin: Begin) -> None:
    t = begin(f"{TWO}\nhealth: {{fast_interval: 3s}}")
    probed(t, FIRST, Verdict.UNREACHABLE)
    probed(t, SECOND, Verdict.UNHEALTHY)

    t.client_sends(get("/servers/o/x"))

    head = t.client.transport.take()
    assert (head[:12], b"\r\nRetry-After: 3\r\n" in head) == (b"HTTP/1.1 503", True)
    assert (b'"code":"no_healthy_endpoint"' in head, t.dialled) == (True, [])


# --- how it comes back ---


def test_endpoint_comes_back_when_its_time_is_over(begin: Begin) -> None:
    t = ejected(begin(TWO + SOON))
    waits(t, 0.9)
    before = hosts(t)

    waits(t, 0.15)

    assert (before, hosts(t), t.witness.told) == (
        {SECOND},
        {FIRST, SECOND},
        [UP_TO_DOWN, DOWN_TO_UP],
    )
    assert t.witness.restless == set()


def test_endpoint_that_comes_back_has_to_fail_five_times_again(begin: Begin) -> None:
    t = until_back(ejected(begin(TWO + SOON)))

    for _ in range(8):
        call(t, DOWN)

    assert (endpoint(t, FIRST).outlier.errors, hosts(t)) == (4, {FIRST, SECOND})


@pytest.mark.parametrize(("times", "rest_s"), [(2, 2), (3, 3), (5, 3)], ids=["2", "3", "at-most"])
def test_each_ejection_lasts_longer_than_the_one_before(
    begin: Begin, times: int, rest_s: float
) -> None:
    t = ejected(begin(TWO + SOON))
    for _ in range(times - 1):
        ejected(until_back(t))

    waits(t, rest_s - 0.1)
    before = hosts(t)
    waits(t, 0.15)

    assert (before, hosts(t)) == ({SECOND}, {FIRST, SECOND})


def test_endpoint_that_comes_back_is_given_little_at_first(begin: Begin) -> None:
    t = until_back(ejected(begin(f"{TWO}\noutlier: {{base_ejection: 1s}}\nslow_start: 1s")))
    weights = []

    for _ in range(3):
        weights.append(round(endpoint(t, FIRST).weight, 2))
        waits(t, 0.5)

    assert (weights, endpoint(t, SECOND).weight) == ([0.1, 0.5, 1.0], 1.0)


def test_probes_that_have_seen_it_down_and_up_bring_it_back(begin: Begin) -> None:
    t = ejected(begin(TWO + AT_ONCE))
    probed(t, FIRST, Verdict.UNREACHABLE)

    probed(t, FIRST, Verdict.HEALTHY, times=2)

    assert (hosts(t), endpoint(t, FIRST).verdict) == ({FIRST, SECOND}, Verdict.HEALTHY)


def test_one_good_answer_to_a_probe_does_not_outweigh_failed_calls(begin: Begin) -> None:
    t = ejected(begin(TWO))

    probed(t, FIRST, Verdict.HEALTHY, times=3)

    assert hosts(t) == {SECOND}


def test_endpoint_that_probes_have_taken_out_stays_out_when_its_ejection_ends(
    begin: Begin,
) -> None:
    t = ejected(begin(TWO + SOON))
    probed(t, FIRST, Verdict.UNREACHABLE, times=3)

    waits(t, 1.1)

    assert (hosts(t), endpoint(t, FIRST).outlier.ejected) == ({SECOND}, False)


def test_end_of_an_ejection_that_changes_no_verdict_is_not_told(begin: Begin) -> None:
    t = ejected(begin(TWO + SOON))
    probed(t, FIRST, Verdict.UNREACHABLE, times=3)
    t.witness.told.clear()

    waits(t, 1.1)

    assert t.witness.told == []


# --- a reload ---


def test_ejection_survives_a_reload(begin: Begin) -> None:
    t = ejected(begin(TWO))

    reloads(t, f"{TWO}\ntimeout: 3s")

    assert hosts(t) == {SECOND}


def test_last_endpoint_left_by_a_reload_is_used_though_it_was_ejected(begin: Begin) -> None:
    t = ejected(begin(TWO))

    reloads(t, ONE)

    assert (hosts(t), t.cluster.panics) == ({FIRST}, 1)


def test_failure_at_an_endpoint_that_is_gone_changes_nothing(begin: Begin) -> None:
    t = begin(f"{TWO}\noutlier: {{consecutive_errors: 1}}")
    asking(t)
    upstream = asked(t)
    assert upstream is not None
    reloads(t, f"endpoints: [http://{SECOND}, http://{THIRD}]\nbalance: round_robin" + AT_ONCE)

    upstream.resets()

    assert (t.witness.told, hosts(t), upstream.host) == ([], {SECOND, THIRD}, FIRST)


def test_call_under_way_at_an_ejected_endpoint_is_answered(begin: Begin) -> None:
    t = begin(TWO)
    caller = asking(t)
    upstream = asked(t)
    assert upstream is not None
    call(t, {})
    ejected(t)

    upstream.sends(OK)

    caller.expect(OK)
    assert (upstream.host, hosts(t)) == (FIRST, {SECOND})
