"""The pace: every call in its time, none left out, whenever one asks."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.pace import NS, ClosedPace, OpenPace

START_NS = 5 * NS
RATES = st.floats(0.5, 5000)
SPANS_NS = st.integers(1, 2 * NS)
MOMENTS_NS = st.lists(st.integers(0, 3 * NS), max_size=20)


def taken(pace: OpenPace, now_ns: int) -> list[int]:
    """All that is due by now."""
    calls = []
    while (due_ns := pace.take(now_ns)) is not None:
        calls.append(due_ns)
    return calls


@settings(deadline=None, max_examples=60)
@given(RATES, st.integers(0, NS), SPANS_NS, MOMENTS_NS)
def test_calls_are_due_as_planned_whenever_one_asks(
    rate: float, ramp_ns: int, more_ns: int, moments_ns: list[int]
) -> None:
    end_ns = START_NS + ramp_ns + more_ns
    at_once = taken(OpenPace(rate, 1, ramp_ns, START_NS, end_ns), end_ns)
    pace = OpenPace(rate, 1, ramp_ns, START_NS, end_ns)
    piecemeal: list[int] = []

    for moment_ns in sorted(moments_ns):
        piecemeal += taken(pace, START_NS + moment_ns)

    assert piecemeal + list(pace.left()) == at_once
    assert all(a <= b for a, b in pairwise(at_once))
    assert at_once[-1] < end_ns


@settings(deadline=None, max_examples=60)
@given(RATES, st.integers(0, NS), SPANS_NS)
def test_as_many_calls_are_due_as_the_rate_and_its_ramp_say(
    rate: float, ramp_ns: int, more_ns: int
) -> None:
    end_ns = START_NS + ramp_ns + more_ns

    calls = taken(OpenPace(rate, 1, ramp_ns, START_NS, end_ns), end_ns)

    planned = rate * (ramp_ns / 2 + more_ns) / NS
    assert planned - 1 <= len(calls) <= planned + 2


def test_calls_that_nobody_took_are_behind() -> None:
    pace = OpenPace(10, 1, 0, START_NS, START_NS + 10 * NS)
    pace.take(START_NS)

    behind = [pace.behind(START_NS + tenths * NS // 10) for tenths in (0, 1, 5, 100, 200)]

    assert behind == [0, 1, 5, 100, 100]


def test_rate_rises_over_the_ramp() -> None:
    pace = OpenPace(100, 1, 2 * NS, START_NS, START_NS + 4 * NS)

    counts = [len(taken(pace, START_NS + half * NS // 2)) for half in range(1, 9)]

    assert counts == pytest.approx([6.25, 18.75, 31.25, 43.75, 50, 50, 50, 50], abs=2)


def test_stopped_pace_leaves_only_what_was_due_before() -> None:
    pace = OpenPace(10, 1, 0, START_NS, START_NS + 10 * NS)

    pace.stop(START_NS + NS)

    assert (pace.take(START_NS + NS), len(list(pace.left()))) == (None, 10)


def test_whoever_is_free_calls_until_the_end() -> None:
    pace = ClosedPace(4, 0, START_NS, START_NS + NS)

    moments = [pace.take(START_NS + passed_ns) for passed_ns in (0, 7, NS - 1, NS)]

    assert moments == [START_NS, START_NS + 7, START_NS + NS - 1, None]
    assert (pace.behind(START_NS + NS), list(pace.left())) == (0, [])


def test_connections_join_over_the_ramp() -> None:
    pace = ClosedPace(5, 4 * NS, START_NS, START_NS + 9 * NS)

    joined = [pace.joined(START_NS + passed_s * NS) for passed_s in range(6)]

    assert joined == [1, 2, 3, 4, 5, 5]


def test_all_connections_serve_an_open_loop_from_the_start() -> None:
    assert OpenPace(1, 7, 4 * NS, START_NS, START_NS + 9 * NS).joined(START_NS) == 7
