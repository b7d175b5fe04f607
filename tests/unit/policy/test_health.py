"""Facts about health: which probe results change a verdict, and when."""

import itertools

import pytest

from proxy.policy.health import Health, Verdict, aggregate, probe_verdict

UNKNOWN, HEALTHY, UNHEALTHY, UNREACHABLE = Verdict


def probed(*results: Verdict, health: Health | None = None) -> tuple[Health, list[bool]]:
    """An endpoint after these probes, one a second from 1 on; and which of them changed it."""
    health = health or Health()
    changed = [
        health.probed(result, f"probe {at}", float(at), healthy_after=2, unhealthy_after=3)
        for at, result in enumerate(results, 1)
    ]
    return health, changed


def test_endpoint_takes_traffic_until_something_is_known() -> None:
    health = Health()

    assert (repr(health), health.usable, health.settled) == (
        "<Health UNKNOWN not probed yet>",
        True,
        False,
    )


@pytest.mark.parametrize("result", [HEALTHY, UNHEALTHY, UNREACHABLE], ids=str)
def test_first_probe_decides_at_once(result: Verdict) -> None:
    health, changed = probed(result)

    assert (health.verdict, health.usable, health.since, changed) == (
        result,
        result is HEALTHY,
        1.0,
        [True],
    )


@pytest.mark.parametrize(
    ("results", "verdicts"),
    [
        pytest.param([HEALTHY, UNHEALTHY, UNHEALTHY], HEALTHY, id="two-bad-ones-are-too-few"),
        pytest.param([HEALTHY] + [UNHEALTHY] * 3, UNHEALTHY, id="three-bad-ones-take-it-out"),
        pytest.param([HEALTHY, UNHEALTHY, UNREACHABLE, UNHEALTHY], UNHEALTHY, id="of-either-kind"),
        pytest.param(
            [HEALTHY, UNHEALTHY, UNHEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY],
            HEALTHY,
            id="a-good-one-between-starts-anew",
        ),
        pytest.param([UNHEALTHY, HEALTHY], UNHEALTHY, id="one-good-one-is-too-few"),
        pytest.param([UNHEALTHY, HEALTHY, HEALTHY], HEALTHY, id="two-good-ones-bring-it-back"),
        pytest.param(
            [UNHEALTHY, HEALTHY, UNHEALTHY, HEALTHY], UNHEALTHY, id="a-bad-one-starts-anew"
        ),
        pytest.param([UNHEALTHY, UNREACHABLE], UNREACHABLE, id="how-it-is-down-changes-at-once"),
        pytest.param(
            [UNHEALTHY, HEALTHY, UNREACHABLE, HEALTHY],
            UNREACHABLE,
            id="another-way-of-being-down-starts-anew-too",
        ),
    ],
)
def test_consecutive_results_change_the_verdict(results: list[Verdict], verdicts: Verdict) -> None:
    health, _ = probed(*results)

    assert (health.verdict, health.usable) == (verdicts, verdicts.usable)


def test_only_a_change_is_told_and_moves_the_moment() -> None:
    health, changed = probed(HEALTHY, HEALTHY, UNHEALTHY, UNHEALTHY, UNHEALTHY, UNHEALTHY)

    assert (changed, health.since) == ([True, False, False, False, True, False], 5.0)


def test_reason_is_that_of_the_last_probe_that_agreed() -> None:
    health, _ = probed(HEALTHY, HEALTHY, UNHEALTHY)

    assert repr(health) == "<Health HEALTHY probe 2>"


@pytest.mark.parametrize(
    ("results", "settled"),
    [
        pytest.param([HEALTHY], True, id="up"),
        pytest.param([HEALTHY, UNHEALTHY], False, id="up-and-doubted"),
        pytest.param([HEALTHY, UNHEALTHY, HEALTHY], True, id="up-again"),
        pytest.param([UNHEALTHY], False, id="down"),
    ],
)
def test_settled_endpoint_is_up_and_undoubted(results: list[Verdict], *, settled: bool) -> None:
    assert probed(*results)[0].settled is settled


def test_table_answers_every_verdict_and_result() -> None:
    seen = {}
    for before, result in itertools.product((HEALTHY, UNHEALTHY, UNREACHABLE), repeat=2):
        health, _ = probed(before, result)
        seen[before, result] = health.verdict

    assert seen == {
        (HEALTHY, HEALTHY): HEALTHY,
        (HEALTHY, UNHEALTHY): HEALTHY,
        (HEALTHY, UNREACHABLE): HEALTHY,
        (UNHEALTHY, HEALTHY): UNHEALTHY,
        (UNHEALTHY, UNHEALTHY): UNHEALTHY,
        (UNHEALTHY, UNREACHABLE): UNREACHABLE,
        (UNREACHABLE, HEALTHY): UNREACHABLE,
        (UNREACHABLE, UNHEALTHY): UNHEALTHY,
        (UNREACHABLE, UNREACHABLE): UNREACHABLE,
    }


@pytest.mark.parametrize(
    ("status", "expect", "verdict"),
    [
        pytest.param(200, (), HEALTHY, id="ok"),
        pytest.param(404, (), HEALTHY, id="no-health-endpoint"),
        pytest.param(204, (), UNHEALTHY, id="other-success"),
        pytest.param(503, (), UNHEALTHY, id="ill"),
        pytest.param(204, (204, 206), HEALTHY, id="expected"),
        pytest.param(200, (204, 206), UNHEALTHY, id="not-expected"),
    ],
)
def test_verdict_of_a_probes_status(status: int, expect: tuple[int, ...], verdict: Verdict) -> None:
    assert probe_verdict(status, expect)[0] is verdict


def test_probe_says_what_was_answered() -> None:
    assert (probe_verdict(200, ())[1], probe_verdict(503, ())[1]) == (
        "answered 200",
        "answered 503 to the probe",
    )


@pytest.mark.parametrize(
    ("usable", "status"),
    [
        pytest.param([], "unknown", id="no-servers"),
        pytest.param([True, True], "healthy", id="all"),
        pytest.param([True, False], "degraded", id="some"),
        pytest.param([False, False], "unhealthy", id="none"),
    ],
)
def test_word_for_all_servers(usable: list[bool], status: str) -> None:
    assert aggregate(usable) == status
