import pytest

from benchmarks.figures import CALLS, CPU, FAILED, Measurements, Round, Spread


def measured(case: str, **cpu_us: list[float]) -> Measurements:
    """Rounds of one case, by peer."""
    measurements = Measurements()
    for peer, values in cpu_us.items():
        for value in values:
            measurements.add(case, peer, Round({CPU.key: value, FAILED.key: 0}))
    return measurements


def test_a_spread_is_the_median_between_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)


def test_the_worst_of_several_is_the_highest() -> None:
    assert Spread.worst_of([5.0, 1.0, 2.0]) == Spread(5.0, 1.0, 5.0)


@pytest.mark.parametrize(
    ("spread", "shown"),
    [
        (Spread(13.36, 13.0, 14.04), "13.4 (13.0 to 14.0)"),
        (Spread(40900.0, 40900.0, 40900.0), "40,900.0"),
    ],
)
def test_extremes_are_shown_where_they_say_more(spread: Spread, shown: str) -> None:
    assert spread.shown(1) == shown


def test_a_ratio_is_that_of_the_medians_and_spreads_by_round() -> None:
    rounds = measured("small", ours=[20.0, 30.0, 40.0], theirs=[10.0, 20.0, 10.0])

    assert rounds.ratio("small", CPU, "ours", "theirs") == Spread(3.0, 1.5, 4.0)


def test_neighbours_are_compared_one_by_one() -> None:
    rounds = measured("small", ours=[20.0, 101.0, 40.0], theirs=[20.0, 100.0, 10.0])

    assert rounds.pairwise("small", CPU, "ours", "theirs") == Spread(1.01, 1.0, 4.0)


def test_a_difference_is_the_median_of_those_of_single_rounds() -> None:
    rounds = measured("small", ours=[23.0, 130.0, 42.0], theirs=[20.0, 129.0, 40.0])

    assert rounds.difference("small", CPU, "ours", "theirs") == Spread(2.0, 1.0, 3.0)


def test_figures_of_one_case_do_not_mix_with_those_of_another() -> None:
    rounds = measured("small", ours=[20.0])
    rounds.add("large", "ours", Round({CPU.key: 99.0}))

    assert rounds.spread("small", "ours", CPU) == Spread(20.0, 20.0, 20.0)


def test_failed_calls_are_added_up_and_none_is_not_a_row() -> None:
    rounds = measured("small", theirs=[10.0])
    rounds.add("small", "ours", Round({CALLS.key: 1.0, FAILED.key: 2}))
    rounds.add("small", "ours", Round({CALLS.key: 1.0, FAILED.key: 3}))

    assert rounds.failed() == {("small", "ours"): 5}


def test_rows_tell_case_peer_and_round() -> None:
    rows = measured("small", ours=[20.0, 30.0]).as_rows()

    assert [(row["case"], row["peer"], row["round"], row[CPU.key]) for row in rows] == [
        ("small", "ours", 1, 20.0),
        ("small", "ours", 2, 30.0),
    ]
