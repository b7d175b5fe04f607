"""However loaded, heavy or slow the endpoints are, balancing is fair and never takes the worst."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.balancing import (
    Latency,
    least_request,
    peak_ewma,
    rendezvous,
    round_robin,
    slow_start_factor,
)
from tests.support.endpoints import StandIn, weighted

CHANCES = st.floats(0, 1, exclude_max=True)
WEIGHTS = st.lists(st.integers(1, 9), min_size=1, max_size=8)
LOADS = st.tuples(st.integers(0, 20), st.integers(1, 9))
TOOK_S = st.floats(0, 60)
# Moments are the loop's, which never start at nought.
STEPS_S = st.floats(0.001, 100)
ROUNDING = 1 + 1e-9


def crowd(loads: list[tuple[int, int]]) -> list[StandIn]:
    endpoints = weighted(*(weight for _, weight in loads))
    for each, (active, _) in zip(endpoints, loads, strict=True):
        each.active = active
    return endpoints


def load(endpoint: StandIn) -> float:
    return (endpoint.active + 1) / endpoint.weight


@settings(deadline=None, max_examples=200)
@given(WEIGHTS, st.integers(1, 3))
def test_each_has_exactly_its_share_of_every_round(weights: list[int], rounds: int) -> None:
    endpoints, total = weighted(*weights), sum(weights)
    chosen: Counter[str] = Counter()

    for call in range(1, rounds * total + 1):
        chosen[round_robin(endpoints).name] += 1
        assert all(chosen[each.name] - call * each.weight / total < 1 for each in endpoints)

    assert chosen == {each.name: rounds * each.weight for each in endpoints}


@settings(deadline=None, max_examples=200)
@given(WEIGHTS, st.data())
def test_round_robin_stays_fair_to_those_that_stay(weights: list[int], data: st.DataObject) -> None:
    endpoints = weighted(*weights)
    for _ in range(data.draw(st.integers(0, 20))):
        round_robin(data.draw(st.lists(st.sampled_from(endpoints), min_size=1, unique=True)))

    chosen = Counter(round_robin(endpoints).name for _ in range(100 * sum(weights)))

    # Who was away or alone may first be owed calls, or owe some: as many as there were.
    assert all(abs(chosen[each.name] - 100 * each.weight) <= 40 for each in endpoints)


@settings(deadline=None, max_examples=200)
@given(st.lists(LOADS, min_size=1, max_size=4), CHANCES)
def test_the_least_loaded_of_a_few_is_taken(loads: list[tuple[int, int]], chance: float) -> None:
    endpoints = crowd(loads)

    chosen = least_request(endpoints, 1.0, lambda: chance)

    assert load(chosen) == min(map(load, endpoints))


@settings(deadline=None, max_examples=200)
@given(st.lists(LOADS, min_size=5, max_size=20), CHANCES, CHANCES)
def test_the_most_loaded_of_many_is_never_taken(
    loads: list[tuple[int, int]], first: float, second: float
) -> None:
    endpoints = crowd(loads)

    for chosen in (
        least_request(endpoints, 1.0, iter((first, second)).__next__),
        peak_ewma(endpoints, 1.0, iter((first, second)).__next__),
    ):
        others = [load(each) for each in endpoints if each is not chosen]
        assert load(chosen) <= max(others)


@settings(deadline=None, max_examples=100)
@given(WEIGHTS.filter(lambda weights: len(weights) > 1), st.lists(st.binary(), max_size=30))
def test_key_moves_only_when_its_own_endpoint_goes(weights: list[int], keys: list[bytes]) -> None:
    endpoints = weighted(*weights)
    owners = {key: rendezvous(endpoints, key) for key in keys}

    for gone in endpoints:
        left = [each for each in endpoints if each is not gone]
        assert all(rendezvous(left, key) is owner for key, owner in owners.items() if owner in left)


@settings(deadline=None, max_examples=100)
@given(WEIGHTS, st.binary(), st.randoms(use_true_random=False))
def test_key_does_not_care_in_which_order_endpoints_are_told(
    weights: list[int], key: bytes, random: Random
) -> None:
    endpoints = weighted(*weights)
    owner = rendezvous(endpoints, key)

    random.shuffle(endpoints)

    assert rendezvous(endpoints, key) is owner


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(TOOK_S, STEPS_S), min_size=1, max_size=20), STEPS_S)
def test_latency_is_never_below_the_last_call_nor_above_the_slowest(
    samples: list[tuple[float, float]], later_s: float
) -> None:
    latency, now = Latency(), 0.0

    for took_s, step_s in samples:
        now += step_s
        latency.sample(took_s, now)
        slowest_s = max(took for took, _ in samples)
        assert took_s / ROUNDING <= latency.estimate_s(now) <= slowest_s * ROUNDING

    assert latency.estimate_s(now + later_s) <= max(latency.estimate_s(now), 0.001)


@settings(deadline=None, max_examples=200)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e4))
def test_slow_start_only_ever_rises(one_s: float, other_s: float, window_s: float) -> None:
    sooner, later = sorted((one_s, other_s))

    assert 0.1 <= slow_start_factor(sooner, window_s) <= slow_start_factor(later, window_s) <= 1
    assert slow_start_factor(window_s, window_s) == 1
