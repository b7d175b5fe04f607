"""Facts about ejection: after which results an endpoint goes, for how long, and when it may not."""

import pytest

from proxy.policy.outlier import Outlier, is_panic, may_eject
from proxy.registry.model import Outlier as Rules

DEFAULTS = Rules()


def served(*in_use_s: float, rules: Rules = DEFAULTS) -> tuple[Outlier, list[float]]:
    """An endpoint ejected once more after each time in use, and how long each ejection lasts."""
    outlier, now, lasted_s = Outlier(), 0.0, []
    for use_s in in_use_s:
        now += use_s
        outlier.eject(rules, "failed", now)
        lasted_s.append(_lasts_s(outlier, now))
        now += lasted_s[-1]
        outlier.take_back(now)
    return outlier, lasted_s


def _lasts_s(outlier: Outlier, now: float) -> float:
    return next(float(seconds) for seconds in range(1000) if outlier.is_over(now + seconds))


def test_new_endpoint_is_above_suspicion() -> None:
    outlier = Outlier()

    assert (repr(outlier), outlier.suspicious(DEFAULTS), outlier.is_over(1e9)) == (
        "<Outlier errors=0 ejected=False>",
        False,
        False,
    )


def after(results: str) -> Outlier:
    """An endpoint whose calls failed (`-`) or not (`+`), in this order."""
    outlier = Outlier()
    for result in results:
        if result == "+":
            outlier.succeed()
        else:
            outlier.fail()
    return outlier


@pytest.mark.parametrize(
    ("results", "suspicious"),
    [
        pytest.param("----", False, id="four"),
        pytest.param("-----", True, id="five"),
        pytest.param("------", True, id="six"),
        pytest.param("----+----", False, id="a-success-between-starts-anew"),
        pytest.param("+-----", True, id="five-after-a-success"),
    ],
)
def test_five_errors_in_a_row_are_suspicious(results: str, *, suspicious: bool) -> None:
    assert after(results).suspicious(DEFAULTS) is suspicious


@pytest.mark.parametrize(
    ("results", "well"), [("", False), ("+", True), ("+-", False), ("-+", True)]
)
def test_endpoint_is_well_when_its_last_call_was(results: str, *, well: bool) -> None:
    assert after(results).well is well


def test_who_is_out_already_is_not_suspicious() -> None:
    outlier = Outlier()
    outlier.eject(DEFAULTS, "failed", 1.0)

    for _ in range(9):
        outlier.fail()

    assert outlier.suspicious(DEFAULTS) is False


def test_ejection_says_why_and_since_when() -> None:
    outlier = Outlier()

    outlier.eject(DEFAULTS, "5 calls in a row failed", 7.0)

    assert (outlier.ejected, outlier.reason, outlier.since, outlier.ejections) == (
        True,
        "5 calls in a row failed",
        7.0,
        1,
    )


@pytest.mark.parametrize(("now", "over"), [(7.0, False), (36.9, False), (37.0, True)])
def test_ejection_lasts_half_a_minute(now: float, *, over: bool) -> None:
    outlier = Outlier()

    outlier.eject(DEFAULTS, "failed", 7.0)

    assert outlier.is_over(now) is over


def test_who_is_taken_back_starts_without_errors() -> None:
    outlier = Outlier()
    outlier.eject(DEFAULTS, "failed", 1.0)
    outlier.fail()  # a call that was on its way

    outlier.take_back(31.0)

    assert (repr(outlier), outlier.is_over(1e9), outlier.ejections) == (
        "<Outlier errors=0 ejected=False>",
        False,
        1,
    )


@pytest.mark.parametrize(
    ("in_use_s", "lasted_s"),
    [
        pytest.param([1] * 3, [30, 60, 90], id="longer-each-time"),
        pytest.param([1] * 12, [30 * times for times in range(1, 11)] + [300, 300], id="at-most-5"),
        pytest.param([1, 29.9], [30, 60], id="too-short-in-use-makes-up-for-nothing"),
        pytest.param([1, 1, 30], [30, 60, 60], id="a-base-time-in-use-makes-up-for-one"),
        pytest.param([1, 1, 1, 60], [30, 60, 90, 60], id="two-make-up-for-two"),
        pytest.param([1, 1, 9000, 1], [30, 60, 30, 60], id="never-below-the-first"),
    ],
)
def test_ejection_lasts_as_many_times_longer(in_use_s: list[float], lasted_s: list[float]) -> None:
    assert served(*in_use_s)[1] == lasted_s


def test_time_that_counts_is_since_it_was_taken_back_early() -> None:
    outlier = Outlier()
    outlier.eject(DEFAULTS, "failed", 0.0)
    outlier.take_back(5.0)  # it was needed

    outlier.eject(DEFAULTS, "failed", 36.0)

    assert _lasts_s(outlier, 36.0) == 30.0


@pytest.mark.parametrize(
    ("rules", "lasted_s"),
    [
        pytest.param(Rules(base_ejection_s=10.0), [10, 20, 30], id="base"),
        pytest.param(Rules(max_ejection_s=45.0), [30, 45, 45], id="most"),
        pytest.param(Rules(max_ejection_s=5.0), [30, 30, 30], id="most-below-base"),
    ],
)
def test_ejection_lasts_as_configured(rules: Rules, lasted_s: list[float]) -> None:
    assert served(1, 1, 1, rules=rules)[1] == lasted_s


@pytest.mark.parametrize(
    ("total", "may_go"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5), (11, 5)]
)
def test_at_most_half_may_go_but_one_of_two_or_more(total: int, may_go: int) -> None:
    gone = 0
    while may_eject(DEFAULTS, total, total - gone, gone):
        gone += 1

    assert gone == may_go


@pytest.mark.parametrize(
    ("max_ejected", "may_go"),
    [
        pytest.param(0.0, 1, id="one-in-any-case"),
        pytest.param(0.1, 1, id="a-tenth"),
        pytest.param(0.3, 3, id="three-tenths"),
        pytest.param(0.35, 3, id="rounded-down"),
        pytest.param(1.0, 5, id="never-into-panic"),
    ],
)
def test_as_many_of_ten_may_go_as_configured(max_ejected: float, may_go: int) -> None:
    gone, rules = 0, Rules(max_ejected=max_ejected)
    while may_eject(rules, 10, 10 - gone, gone):
        gone += 1

    assert gone == may_go


@pytest.mark.parametrize(
    ("total", "usable", "ejected"),
    [
        pytest.param(2, 1, 0, id="its-twin-is-down"),
        pytest.param(3, 2, 0, id="one-of-three-is-down"),
        pytest.param(4, 2, 1, id="half-are-left"),
        pytest.param(4, 2, 0, id="half-are-down"),
    ],
)
def test_none_may_go_when_probes_have_taken_out_the_others(
    total: int, usable: int, ejected: int
) -> None:
    assert may_eject(DEFAULTS, total, usable, ejected) is False


@pytest.mark.parametrize(
    ("total", "usable", "panic"),
    [
        (1, 1, False),
        (1, 0, True),
        (2, 1, False),
        (3, 1, True),
        (3, 2, False),
        (10, 4, True),
        (10, 5, False),
    ],
)
def test_fewer_than_half_is_a_panic(total: int, usable: int, *, panic: bool) -> None:
    assert is_panic(total, usable) is panic
