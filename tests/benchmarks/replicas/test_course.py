"""The course of a load in which something changes."""

import pytest

from benchmarks.figures import Window
from benchmarks.load.figures import Call
from benchmarks.load.pace import NS
from benchmarks.replicas.course import figures, percentile_ms, typical, windows

MS = NS // 1000
CHANGED = 10 * NS
WORST_MS = 5000.0


def call(after_ms: int, took_ms: int = 1, *, good: bool = True) -> Call:
    """A call that was due so long after the change, or before it."""
    return Call(CHANGED + after_ms * MS, took_ms * MS, good)


@pytest.mark.parametrize(
    ("percent", "took_ms"), [(50, 50), (99, 99), (99.5, 100), (100, 100)], ids=str
)
def test_so_many_per_cent_took_no_longer(percent: float, took_ms: int) -> None:
    calls = [call(0, each) for each in range(100, 0, -1)]

    assert percentile_ms(calls, percent) == took_ms


def test_a_failed_call_has_no_latency() -> None:
    assert percentile_ms([call(0, 7), call(0, 9, good=False)], 99) == 7
    assert percentile_ms([call(0, 9, good=False)], 99) is None


def test_figures_are_of_before_the_first_second_and_afterwards() -> None:
    calls = [
        call(-1, 2),
        call(-1, 3, good=False),
        call(0, 200),
        call(999, 1, good=False),
        call(1000, 3),
        call(2000, 4, good=False),
        call(3000, 5),
        call(4000, 100),
    ]

    assert figures(calls, CHANGED, WORST_MS) == {
        "p99_before_ms": 2,
        "p99_first_ms": 200,
        "p50_after_ms": 5,
        "p99_after_ms": 100,
        "failed_until": 2,
        "failed_after": 1,
        "long_after_percent": 25,
        "calls_after": 4,
    }


def test_where_nobody_was_answered_well_latency_is_what_a_caller_waits() -> None:
    made = figures([call(1500, 1, good=False)], CHANGED, WORST_MS)

    assert (made["p99_after_ms"], made["failed_after"]) == (WORST_MS, 1)


def test_a_window_has_the_calls_that_were_due_in_it() -> None:
    calls = [
        call(-150),
        call(-100, 2),
        call(-1, 4),
        call(0, 300),
        call(99, 3, good=False),
        call(250),
    ]

    assert windows(calls, CHANGED) == [
        Window(-0.1, 2, 0, 2, 4),
        Window(0.0, 2, 1, 300, 300),
        Window(0.1, 0, 0, None, None),
    ]


def test_a_trail_has_the_calls_of_the_windows_before_too() -> None:
    calls = [call(-250, 900), call(-150, 8), call(-50, 7), call(50, 6), call(150, 5), call(250)]

    assert [(each.at_s, each.calls, each.p99_ms) for each in windows(calls, CHANGED, 3)] == [
        (-0.2, 1, 8),
        (-0.1, 2, 8),
        (0.0, 3, 8),
        (0.1, 3, 7),
    ]


def test_the_typical_course_is_the_median_where_all_rounds_went() -> None:
    rounds = [
        [Window(0.0, 10, 0, 1.0, 2.0), Window(0.1, 10, 10, None, None)],
        [Window(0.0, 20, 0, 2.0, 9.0), Window(0.1, 20, 20, None, None)],
        [Window(0.0, 60, 3, 3.0, 3.0), Window(0.1, 30, 0, 5.0, 6.0), Window(0.2, 9, 0, 1.0, 1.0)],
    ]

    assert typical(rounds) == [Window(0.0, 20, 0, 2.0, 3.0), Window(0.1, 20, 10, 5.0, 6.0)]
