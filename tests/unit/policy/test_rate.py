"""Facts about a bucket: how many come at once, how many in the long run, and when the next may."""

import pytest

from proxy.config.units import Rate
from proxy.policy.rate import Bucket

LATE_S = 1e7  # seconds on a clock that has been going for months
HUNDRED_PER_SECOND = Rate(100.0, 1)
NINETY_PER_MINUTE = Rate(90.0, 60)


def used_up(rate: Rate, now: float = LATE_S) -> Bucket:
    bucket = Bucket(rate)
    admitted(bucket, now)
    return bucket


def admitted(bucket: Bucket, now: float) -> int:
    """How many come through of all who come in one moment."""
    count = 0
    while not bucket.wait_s(now):
        bucket.take(now)
        count += 1
    return count


@pytest.mark.parametrize(
    ("rate", "at_once"),
    [
        pytest.param(HUNDRED_PER_SECOND, 100, id="whole"),
        pytest.param(NINETY_PER_MINUTE, 90, id="per-minute"),
        pytest.param(Rate(20_000.0, 1), 20_000, id="many"),
        pytest.param(Rate(2.5, 1), 2, id="and-a-half"),
        pytest.param(Rate(1.0, 3600), 1, id="one"),
        pytest.param(Rate(0.5, 1), 1, id="less-than-one"),
    ],
)
def test_so_many_come_at_once_however_late_it_is(rate: Rate, at_once: int) -> None:
    assert admitted(Bucket(rate), LATE_S) == at_once


@pytest.mark.parametrize(
    ("rate", "wait_s"),
    [
        (HUNDRED_PER_SECOND, 0.01),
        (NINETY_PER_MINUTE, 60 / 90),
        (Rate(2.5, 1), 0.2),
        (Rate(0.5, 1), 2),
    ],
)
def test_after_the_wait_that_was_told_one_may_come_and_no_more(rate: Rate, wait_s: float) -> None:
    bucket = used_up(rate)
    told_s = bucket.wait_s(LATE_S)

    came = [admitted(bucket, LATE_S + part * told_s) for part in (0.99, 1)]

    assert told_s == pytest.approx(wait_s)
    assert came == [0, 1]


def test_after_a_span_without_calls_as_many_come_as_at_first() -> None:
    bucket = used_up(HUNDRED_PER_SECOND)

    assert admitted(bucket, LATE_S + 1) == 100


def test_time_without_calls_is_not_saved_up() -> None:
    bucket = used_up(HUNDRED_PER_SECOND)

    assert admitted(bucket, LATE_S + 3600) == 100


def test_asking_takes_nothing() -> None:
    bucket = Bucket(Rate(1.0, 1))

    for _ in range(3):
        bucket.wait_s(0.0)
        bucket.remaining(0.0)
        bucket.full_s(0.0)

    assert bucket.wait_s(0.0) == 0


def test_take_tells_how_many_more_may_come() -> None:
    bucket = Bucket(Rate(3.0, 1))

    told = [(bucket.take(0.0), bucket.remaining(0.0)) for _ in range(3)]

    assert told == [(2, 2), (1, 1), (0, 0)]


def test_no_call_is_lost_to_rounding() -> None:
    told = []
    for tenths in range(1, 10):
        bucket, now = used_up(Rate(10.0, 1)), LATE_S + tenths / 10
        told.append((bucket.remaining(now), bucket.take(now)))

    assert told == [(tenths, tenths - 1) for tenths in range(1, 10)]


def test_remaining_grows_by_whole_calls() -> None:
    bucket = used_up(Rate(4.0, 1), 0.0)

    assert [bucket.remaining(now) for now in (0.0, 0.2, 0.25, 0.6, 1.0, 9.0)] == [0, 0, 1, 2, 4, 4]


def test_one_call_more_comes_in_so_many_seconds() -> None:
    bucket = used_up(Rate(4.0, 1), 0.0)

    spans_s = [bucket.more_s(now) for now in (0.0, 0.2, 0.25, 0.6)]

    assert spans_s == pytest.approx([0.25, 0.05, 0.25, 0.15])


def test_full_is_what_nothing_was_taken_of_for_long_enough() -> None:
    bucket = used_up(Rate(4.0, 1), 0.0)

    assert [bucket.full_s(now) for now in (0.0, 0.75, 1.0, 2.0)] == [1.0, 0.25, 0.0, 0.0]


def test_a_clock_that_goes_back_lets_nobody_in_and_promises_nothing() -> None:
    bucket = used_up(Rate(4.0, 1), 10.0)

    assert (bucket.wait_s(8.0), bucket.remaining(8.0), bucket.full_s(8.0)) == (2.25, 0, 3.0)


def test_a_call_at_an_earlier_moment_counts_as_one() -> None:
    bucket = Bucket(Rate(4.0, 1))
    bucket.take(10.0)

    bucket.take(9.75)

    assert (bucket.remaining(9.75), bucket.remaining(10.0), bucket.full_s(10.0)) == (1, 2, 0.5)


def test_a_new_rate_keeps_what_was_used() -> None:
    bucket = Bucket(Rate(10.0, 1))
    for _ in range(4):
        bucket.take(0.0)

    bucket.configure(Rate(100.0, 60))

    assert bucket.remaining(0.0) == 96


def test_who_used_more_than_a_new_rate_allows_waits_for_one_call_only() -> None:
    bucket = used_up(Rate(100.0, 3600), 0.0)

    bucket.configure(Rate(10.0, 1))

    assert bucket.wait_s(0.0) == pytest.approx(0.1)


def test_what_somebody_else_counted_counts() -> None:
    bucket = Bucket(Rate(10.0, 1))

    bucket.assume(9.5, 1.0)

    assert bucket.wait_s(1.0) == pytest.approx(0.05)


def test_nobody_else_counts_more_than_there_may_be() -> None:
    bucket = Bucket(Rate(10.0, 1))

    bucket.assume(1e300, 1.0)

    assert bucket.wait_s(1.0) == pytest.approx(0.1)


@pytest.mark.parametrize("amount", [5e-324, 1e308])
def test_an_absurd_rate_gives_numbers(amount: float) -> None:
    bucket = Bucket(Rate(amount, 3600))
    bucket.take(LATE_S)

    assert bucket.wait_s(LATE_S) <= 1e9
    assert bucket.full_s(LATE_S) <= 1e9
    assert bucket.remaining(LATE_S) == int(max(amount, 1.0) - 1.0)


def test_it_says_how_it_is() -> None:
    assert repr(used_up(Rate(3.0, 1))) == "<Bucket 3 of 3 used, 3/s>"


def test_what_is_used_is_what_somebody_else_has_to_assume() -> None:
    bucket, other = used_up(HUNDRED_PER_SECOND), Bucket(HUNDRED_PER_SECOND)
    now = LATE_S + 0.25

    other.assume(bucket.used(now), now)

    assert (other.remaining(now), bucket.used(LATE_S + 9)) == (bucket.remaining(now), 0.0)
