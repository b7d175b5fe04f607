"""Whoever comes whenever: a bucket lets in what GCRA does in exact numbers, and never more."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.config.units import Rate
from proxy.policy.rate import ROUNDING, Bucket

SPANS_S = st.sampled_from([1, 60, 3600])
AMOUNTS = st.one_of(
    st.integers(1, 50).map(float), st.sampled_from([0.1, 0.5, 1.5, 2.5, 7.3, 1_000.0, 1e6])
)
RATES = st.builds(Rate, AMOUNTS, SPANS_S)
# In milliseconds: bursts, a steady pace, long pauses.
STEPS_MS = st.lists(
    st.one_of(st.just(0), st.integers(0, 50), st.integers(0, 5_000), st.integers(0, 5_000_000)),
    min_size=1,
    max_size=80,
)
BEGUN_MS = st.integers(0, 10_000_000_000)


class Gcra:
    """The algorithm in its other form: one moment, the next arrival in theory, in exact numbers."""

    def __init__(self, rate: Rate) -> None:
        self.interval_s = Fraction(rate.span_s) / Fraction(rate.amount)
        self.tolerance_s = (max(Fraction(rate.amount), Fraction(1)) - 1) * self.interval_s
        self.arrival_at = Fraction(0)

    def admits(self, now: Fraction) -> bool:
        early_s = self.arrival_at - self.tolerance_s - now
        if early_s > Fraction(ROUNDING) * self.interval_s:
            return False
        self.arrival_at = max(self.arrival_at, now) + self.interval_s
        return True


def admits(bucket: Bucket, now: float) -> bool:
    if bucket.wait_s(now):
        return False
    bucket.take(now)
    return True


def moments_ms(begun_ms: int, steps_ms: list[int]) -> list[int]:
    return [begun_ms + sum(steps_ms[:upto]) for upto in range(1, len(steps_ms) + 1)]


@given(rate=RATES, begun_ms=BEGUN_MS, steps_ms=STEPS_MS)
def test_a_bucket_decides_as_gcra_in_exact_numbers(
    rate: Rate, begun_ms: int, steps_ms: list[int]
) -> None:
    bucket, model = Bucket(rate), Gcra(rate)

    for at_ms in moments_ms(begun_ms, steps_ms):
        expected = model.admits(Fraction(at_ms, 1000))
        assert admits(bucket, at_ms / 1000) is expected


@given(rate=RATES, begun_ms=BEGUN_MS, steps_ms=STEPS_MS, crowd=st.integers(1, 60))
def test_no_window_sees_more_than_the_amount_and_what_its_time_allows(
    rate: Rate, begun_ms: int, steps_ms: list[int], crowd: int
) -> None:
    bucket = Bucket(rate)
    came = [
        (at_ms, sum(admits(bucket, at_ms / 1000) for _ in range(crowd)))
        for at_ms in moments_ms(begun_ms, steps_ms[:20])
    ]

    for first, (from_ms, _) in enumerate(came):
        count = 0
        for until_ms, more in came[first:]:
            count += more
            assert count <= allowed(rate, until_ms - from_ms)


@given(rate=RATES, moments=st.lists(st.integers(0, 100_000), min_size=1, max_size=80))
def test_time_that_goes_back_lets_no_more_in(rate: Rate, moments: list[int]) -> None:
    bucket = Bucket(rate)

    came_ms = [at_ms for at_ms in moments if admits(bucket, at_ms / 1000)]

    assert len(came_ms) <= allowed(rate, max(came_ms) - min(came_ms))


@given(rate=RATES, begun_ms=BEGUN_MS, steps_ms=STEPS_MS)
def test_what_is_asked_agrees_with_what_happens(
    rate: Rate, begun_ms: int, steps_ms: list[int]
) -> None:
    bucket = Bucket(rate)
    for at_ms in moments_ms(begun_ms, steps_ms):
        now = at_ms / 1000
        remaining, wait_s = bucket.remaining(now), bucket.wait_s(now)

        assert (remaining > 0) is (wait_s == 0)
        assert 0 <= remaining <= bucket.most
        assert 0 <= bucket.full_s(now) <= bucket.most / bucket.per_s
        if not wait_s:
            assert bucket.take(now) == bucket.remaining(now) == remaining - 1
            assert 0 < bucket.more_s(now) <= (1 + 2 * ROUNDING) / bucket.per_s


@given(old=RATES, new=RATES, calls=st.integers(0, 60))
def test_a_new_rate_lets_in_no_more_than_it_allows(old: Rate, new: Rate, calls: int) -> None:
    bucket = Bucket(old)
    used = sum(admits(bucket, 1.0) for _ in range(calls))

    bucket.configure(new)

    assert bucket.remaining(1.0) == int(max(bucket.most - used, 0))
    assert bucket.wait_s(1.0) <= (1 + ROUNDING) / bucket.per_s


def allowed(rate: Rate, elapsed_ms: int) -> Fraction:
    amount = Fraction(rate.amount)
    since = Fraction(elapsed_ms, 1000) * amount / rate.span_s
    return max(amount, Fraction(1)) + since + Fraction(ROUNDING)
