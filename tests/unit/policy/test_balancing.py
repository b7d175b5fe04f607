"""Facts about balancing: which endpoint gets the call, by load, weight, latency and key."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from random import Random

import pytest

from proxy.policy.balancing import (
    Latency,
    least_request,
    peak_ewma,
    rendezvous,
    round_robin,
    seed_of,
    slow_start_factor,
)
from tests.support.endpoints import StandIn, loaded, weighted

ALMOST_ONE = 1 - 2**-53
# A fifth, a quarter: the middle of each of five first draws and of each of four second ones.
EVERY_TWO_OF_FIVE = list(product([0.1, 0.3, 0.5, 0.7, 0.9], [0.125, 0.375, 0.625, 0.875]))
# Rendezvous hashes this to the greatest number there is (its finalizer, run backwards).
FARTHEST = 0xCF9A04AFFA6BADC0


def names(chosen: Sequence[StandIn]) -> str:
    return "".join(each.name for each in chosen)


def drawn(*values: float) -> Iterator[float]:
    return iter(values)


# --- round robin ---


@pytest.mark.parametrize(
    ("weights", "sequence"),
    [
        pytest.param((5, 1, 1), "aabacaa" * 2, id="five-one-one"),
        pytest.param((1, 1, 1), "abcabc", id="equal"),
        pytest.param((1, 2), "babbab", id="the-heavier-first"),
        pytest.param((0.5, 1.0), "babbab", id="half-of-a-slow-start"),
        pytest.param((7,), "aaa", id="alone"),
    ],
)
def test_round_robin_is_smooth_and_weighted(weights: tuple[float, ...], sequence: str) -> None:
    endpoints = weighted(*weights)

    assert names([round_robin(endpoints) for _ in sequence]) == sequence


# --- least request ---


@pytest.mark.parametrize("chance", [0.0, 0.3, 0.5, 0.8, ALMOST_ONE])
@pytest.mark.parametrize(
    ("active", "weights", "chosen"),
    [
        pytest.param((1, 0), (1, 1), "b", id="the-idle-one-of-two"),
        pytest.param((3, 2, 1, 2), (1, 1, 1, 1), "c", id="the-least-of-four"),
        pytest.param((0, 0, 0), (1, 2, 1), "b", id="the-heavier-when-all-are-idle"),
        pytest.param((0, 2), (1, 4), "b", id="weight-outweighs-calls"),
        pytest.param((0, 4), (1, 4), "a", id="calls-outweigh-weight"),
        pytest.param((1, 0), (1, 0.1), "a", id="slow-start-takes-few"),
    ],
)
def test_few_endpoints_are_all_compared(
    active: tuple[int, ...], weights: tuple[float, ...], chosen: str, chance: float
) -> None:
    endpoints = loaded(*active)
    for each, weight in zip(endpoints, weights, strict=True):
        each.weight = weight

    assert least_request(endpoints, 1.0, lambda: chance).name == chosen


@pytest.mark.parametrize(
    "active",
    [
        pytest.param((0, 0), id="two"),
        pytest.param((2, 2, 2), id="three"),
        pytest.param((0, 0, 0, 0), id="four"),
        pytest.param((1, 0, 0), id="two-of-three"),
        pytest.param((1, 0, 0, 1), id="two-neighbours-of-four"),
        pytest.param((0, 1, 0, 1), id="two-apart-of-four"),
        pytest.param((0, 0, 0, 1), id="three-of-four"),
    ],
)
def test_chance_decides_evenly_among_equals(active: tuple[int, ...]) -> None:
    chance, calls = Random(1).random, 6000  # noqa: S311 - the same draws each time
    equals = active.count(min(active))

    chosen = Counter(least_request(loaded(*active), 1.0, chance).name for _ in range(calls))

    assert dict(chosen) == pytest.approx(
        {each.name: calls / equals for each in loaded(*active) if each.active == min(active)},
        rel=0.1,
    )


def test_of_many_two_are_drawn_and_the_better_one_is_taken() -> None:
    endpoints = loaded(0, 1, 2, 3, 4)

    chosen = Counter(
        least_request(endpoints, 1.0, drawn(first, second).__next__).name
        for first, second in EVERY_TWO_OF_FIVE
    )

    # Twice the pairs in which it is the better one: never the worst, as no pair is one drawn twice.
    assert chosen == {"a": 8, "b": 6, "c": 4, "d": 2}


def test_of_many_weight_counts_too() -> None:
    endpoints = weighted(1, 2, 3, 4, 5)

    chosen = Counter(
        least_request(endpoints, 1.0, drawn(first, second).__next__).name
        for first, second in EVERY_TWO_OF_FIVE
    )

    assert chosen == {"e": 8, "d": 6, "c": 4, "b": 2}


@pytest.mark.parametrize("chance", [0.0, ALMOST_ONE])
@pytest.mark.parametrize("many", [1, 4, 5, 6])
def test_any_draw_finds_an_endpoint(many: int, chance: float) -> None:
    endpoints = loaded(*[0] * many)

    assert least_request(endpoints, 1.0, lambda: chance) in endpoints
    assert peak_ewma(endpoints, 1.0, lambda: chance) in endpoints


@pytest.mark.parametrize("seed", range(5))
def test_two_choices_keep_the_greatest_load_small(seed: int) -> None:
    endpoints, chance = loaded_thousand(), Random(seed).random  # noqa: S311 - as above

    for _ in range(1000):
        least_request(endpoints, 1.0, chance).active += 1

    # One choice gives 5 or 6 with these seeds; two give log2(log2(1000)) and a little.
    assert max(each.active for each in endpoints) <= 4


def loaded_thousand() -> list[StandIn]:
    return [StandIn(str(number)) for number in range(1000)]


# --- latency ---


def latency(*samples: tuple[float, float]) -> Latency:
    """What is known after calls that took so long, each at its moment."""
    found = Latency()
    for took_s, at in samples:
        found.sample(took_s, at)
    return found


def test_rise_counts_at_once() -> None:
    assert latency((0.1, 1.0), (2.0, 1.001)).estimate_s(1.001) == 2.0


@pytest.mark.parametrize(
    ("after_s", "left"), [(0.0, 1.0), (10.0, 0.368), (20.0, 0.135), (100.0, 0.0)]
)
def test_fall_decays_by_two_thirds_in_ten_seconds(after_s: float, left: float) -> None:
    known = latency((1.1, 1.0), (0.1, 1.0 + after_s))

    assert known.estimate_s(1.0 + after_s) == pytest.approx(0.1 + left, abs=0.001)


def test_silence_decays_too() -> None:
    assert latency((1.0, 1.0)).estimate_s(11.0) == pytest.approx(0.368, abs=0.001)


def test_failure_counts_as_five_seconds() -> None:
    known = latency((0.002, 1.0))

    known.penalize(2.0)

    assert (known.estimate_s(2.0), repr(known)) == (5.0, "<Latency 5000.0 ms>")


# --- peak EWMA ---


def timed(*took_s: float) -> list[StandIn]:
    """One endpoint per latency, all learnt at 1."""
    endpoints = loaded(*[0] * len(took_s))
    for each, took in zip(endpoints, took_s, strict=True):
        each.latency.sample(took, 1.0)
    return endpoints


@pytest.mark.parametrize(
    ("took_s", "active", "weights", "chosen"),
    [
        pytest.param((0.3, 0.1, 0.2), (0, 0, 0), (1, 1, 1), "b", id="the-fastest"),
        pytest.param((0.3, 0.1, 0.2), (0, 3, 1), (1, 1, 1), "a", id="calls-in-flight-count"),
        pytest.param((0.3, 0.1, 0.2), (0, 0, 0), (4, 1, 1), "a", id="weight-counts"),
    ],
)
def test_few_are_compared_by_latency_load_and_weight(
    took_s: tuple[float, ...], active: tuple[int, ...], weights: tuple[float, ...], chosen: str
) -> None:
    endpoints = timed(*took_s)
    for each, calls, weight in zip(endpoints, active, weights, strict=True):
        each.active, each.weight = calls, weight

    assert peak_ewma(endpoints, 1.0, lambda: 0.5).name == chosen


def test_of_many_two_are_drawn_and_the_faster_one_is_taken() -> None:
    endpoints = timed(0.1, 0.2, 0.3, 0.4, 0.5)

    chosen = Counter(
        peak_ewma(endpoints, 1.0, drawn(first, second).__next__).name
        for first, second in EVERY_TWO_OF_FIVE
    )

    assert chosen == {"a": 8, "b": 6, "c": 4, "d": 2}


def test_endpoint_that_fails_fast_attracts_nothing() -> None:
    failing, slow = timed(0.001, 0.2)

    failing.latency.penalize(2.0)
    failing.latency.sample(0.001, 2.0)

    assert [peak_ewma([failing, slow], now, lambda: 0.0) for now in (2.0, 2.5)] == [slow, slow]


def test_endpoint_that_has_not_answered_yet_is_tried_but_does_not_get_every_call() -> None:
    known, fresh = loaded(0, 0)
    known.latency.sample(0.005, 1.0)

    chosen = burst([known, fresh], now=1.0)

    assert (chosen[0], chosen.count("b") > chosen.count("a") > 0) == ("b", True)


@pytest.mark.parametrize("silent_s", [100.0, 1000.0, 10_000.0])
def test_endpoint_long_silent_does_not_get_every_call_before_its_first_answer(
    silent_s: float,
) -> None:
    silent, answering = timed(0.005, 0.005)
    answering.latency.sample(0.005, 1.0 + silent_s)

    assert "b" in burst([silent, answering], now=1.0 + silent_s)


@pytest.mark.parametrize("silent_s", [100.0, 10_000.0])
def test_endpoints_that_were_silent_equally_long_share_the_calls(silent_s: float) -> None:
    chosen = burst(timed(0.005, 0.005), now=1.0 + silent_s)

    assert (chosen.count("a"), chosen.count("b")) == (50, 50)


def burst(endpoints: list[StandIn], now: float) -> str:
    """Who gets each of a hundred calls that come before any of them is answered."""
    chosen = []
    for _ in range(100):
        chosen.append(peak_ewma(endpoints, now, lambda: 0.5))
        chosen[-1].active += 1
    return names(chosen)


# --- rendezvous ---


KEYS = [b"session-%d" % number for number in range(4000)]


def test_key_has_the_same_endpoint_in_every_process() -> None:
    equal, unequal = weighted(1, 1, 1, 1), weighted(1, 2, 1, 4)

    assert (
        names([rendezvous(equal, key) for key in KEYS[:12]]),
        names([rendezvous(unequal, key) for key in KEYS[:12]]),
    ) == ("bcdbcadcaccd", "dcdbdadcadcd")
    assert seed_of("a") == 0x2F42665B399EF840


@pytest.mark.parametrize(
    "weights",
    [pytest.param((1, 1, 1, 1), id="equal"), pytest.param((1, 2, 1, 4), id="unequal")],
)
def test_keys_are_shared_by_weight(weights: tuple[int, ...]) -> None:
    endpoints = weighted(*weights)

    keys = Counter(rendezvous(endpoints, key).name for key in KEYS)

    shares = {each.name: each.weight / sum(weights) for each in endpoints}
    assert {name: keys[name] / len(KEYS) for name in shares} == pytest.approx(shares, abs=0.02)


def test_removing_one_of_five_moves_its_fifth_of_the_keys_and_no_other() -> None:
    endpoints = weighted(1, 1, 1, 1, 1)
    before = [rendezvous(endpoints, key).name for key in KEYS]

    after = [rendezvous(endpoints[:2] + endpoints[3:], key).name for key in KEYS]

    moved = Counter(was for was, now in zip(before, after, strict=True) if was != now)
    assert moved == {"c": before.count("c")}
    assert before.count("c") / len(KEYS) == pytest.approx(1 / 5, abs=0.02)


def test_slow_start_moves_no_key() -> None:
    endpoints = weighted(1, 1, 1)
    before = [rendezvous(endpoints, key) for key in KEYS[:300]]

    endpoints[0].weight = 0.1

    assert [rendezvous(endpoints, key) for key in KEYS[:300]] == before


@pytest.mark.parametrize("hashed", [pytest.param(0, id="least"), pytest.param(FARTHEST, id="most")])
def test_every_hash_has_an_endpoint(hashed: int) -> None:
    (endpoint,) = endpoints = loaded(0)
    endpoint.seed = seed_of("key") ^ hashed

    assert rendezvous(endpoints, b"key") is endpoint


# --- slow start ---


@pytest.mark.parametrize(
    ("for_s", "factor"),
    [(0.0, 0.1), (0.5, 0.1), (1.0, 0.1), (2.5, 0.25), (9.99, 0.999), (10.0, 1.0), (1e9, 1.0)],
)
def test_endpoint_that_came_is_ramped_up_from_a_tenth(for_s: float, factor: float) -> None:
    assert slow_start_factor(for_s, 10.0) == pytest.approx(factor)


def test_no_window_is_no_slow_start() -> None:
    assert slow_start_factor(0.0, 0.0) == 1.0
