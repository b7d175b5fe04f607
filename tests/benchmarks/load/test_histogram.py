"""Latencies: rounded, counted and asked for, and never off by more than a thousandth."""

import math
from collections import Counter

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.histogram import Histogram, percentiles_ms, rounded

LATENCIES_US = st.lists(st.integers(0, 3_600_000_000) | st.integers(0, 5000), min_size=1)
DAY_US = 86_400_000_000


@settings(deadline=None, max_examples=60)
@given(LATENCIES_US)
def test_rounding_loses_nothing_that_the_histogram_keeps(latencies_us: list[int]) -> None:
    plain = HdrHistogram(1, DAY_US, 3)
    for latency_us in latencies_us:
        plain.record_value(latency_us)

    counted = Histogram(Counter(rounded(latencies_us)))

    shares = (0, 50, 99, 100)
    of_plain = [plain.get_value_at_percentile(share) / 1000 for share in shares]
    assert [counted.at_ms(share) for share in shares] == of_plain


@settings(deadline=None, max_examples=60)
@given(LATENCIES_US)
def test_percentiles_are_the_nearest_ranks(latencies_us: list[int]) -> None:
    ordered = sorted(latencies_us)

    found = percentiles_ms(Counter(latencies_us), 50, 90, 99)

    ranks = [max(1, math.ceil(share * len(ordered) / 100)) for share in (50, 90, 99)]
    assert found == [ordered[rank - 1] / 1000 for rank in ranks]


def test_nothing_counted_has_no_percentiles() -> None:
    empty = Histogram(Counter())

    assert (empty.at_ms(50), empty.mean_ms, empty.curve()) == (None, None, [])
    assert percentiles_ms({}, 50, 99) == [None, None]


@settings(deadline=None, max_examples=60)
@given(LATENCIES_US)
def test_curve_rises_as_far_as_the_calls_can_tell(latencies_us: list[int]) -> None:
    curve = Histogram(Counter(latencies_us)).curve()

    assert curve == sorted(curve)
    assert all((100 - share) * len(latencies_us) >= 100 for share, _ in curve)


def test_latency_beyond_a_day_is_a_day() -> None:
    assert Histogram(Counter({2 * DAY_US: 1})).at_ms(100) == pytest.approx(DAY_US / 1000, rel=0.001)


def test_encoded_histogram_is_read_back_by_its_own_library() -> None:
    counted = Histogram(Counter({100: 5, 2000: 1}))

    again = HdrHistogram.decode(counted.encoded())

    assert (again.get_total_count(), again.get_value_at_percentile(50)) == (6, 100)
