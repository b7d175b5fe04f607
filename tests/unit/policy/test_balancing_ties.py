"""Facts about `least_request` among equals: chance decides, but for one that is far behind."""

from collections import Counter
from random import Random

import pytest

from proxy.policy.balancing import least_request
from tests.support.endpoints import StandIn, loaded


def slow_one(last_two_s: tuple[float, float], *, of: int = 3, at: float = 1.0) -> list[StandIn]:
    """Endpoints that are equally loaded: `a` took so long, the others a millisecond."""
    endpoints = loaded(*[0] * of)
    for endpoint in endpoints:
        for took_s in last_two_s if endpoint is endpoints[0] else (0.001, 0.001):
            endpoint.latency.sample(took_s, at)
    return endpoints


@pytest.mark.parametrize(
    ("last_two_s", "now", "is_left_alone"),
    [
        pytest.param((0.2, 0.2), 2.0, True, id="slow"),
        pytest.param((0.001, 0.2), 2.0, False, id="slow-once"),
        pytest.param((0.2, 0.001), 2.0, False, id="fast-again"),
        pytest.param((0.019, 0.019), 2.0, False, id="not-slow-enough-to-matter"),
        pytest.param((0.2, 0.2), 11.0, False, id="silent-for-10-s"),
    ],
)
@pytest.mark.parametrize("of", [3, 5], ids=["few", "many"])
def test_equal_that_is_far_behind_is_left_alone(
    last_two_s: tuple[float, float], now: float, *, is_left_alone: bool, of: int
) -> None:
    endpoints, chance = slow_one(last_two_s, of=of), Random(1).random  # noqa: S311 - as above

    chosen = Counter(least_request(endpoints, now, chance).name for _ in range(600))

    assert (chosen["a"] == 0) is is_left_alone


def test_one_that_is_far_behind_still_takes_its_share_of_a_load() -> None:
    endpoints = slow_one((0.2, 0.2))
    endpoints[1].active = endpoints[2].active = 1

    assert least_request(endpoints, 2.0, lambda: 0.0).name == "a"


def test_none_is_far_behind_where_all_are_slow() -> None:
    endpoints = slow_one((0.2, 0.2))
    for each in endpoints[1:]:
        each.latency.sample(0.1, 1.0)

    chosen = {least_request(endpoints, 2.0, chance).name for chance in [Random(1).random] * 60}  # noqa: S311 - as above

    assert chosen == {"a", "b", "c"}
