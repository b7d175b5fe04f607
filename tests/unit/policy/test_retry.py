"""Facts about retries: which failures may be tried again, how many at once, and after how long."""

from itertools import product

import pytest

from proxy.policy.retry import CONNECT, REUSED_RESET, Failure, backoff_s, condition, most_in_flight
from proxy.registry.model import RetryConfig

YES_NO = (True, False)
NOT_SENT = Failure(sent=False, answered=False, reset=False, reused=False)
SENT = [
    Failure(sent=True, answered=answered, reset=reset, reused=reused)
    for answered, reset, reused in product(YES_NO, repeat=3)
]
# The connection was lost before a byte of an answer came.
RESET_REUSED = Failure(sent=True, answered=False, reset=True, reused=True)
RESET_NEW = Failure(sent=True, answered=False, reset=True, reused=False)


def test_call_that_was_not_sent_is_tried_again_whatever_it_is() -> None:
    found = {
        condition(NOT_SENT._replace(reset=reset, reused=reused), repeatable=again, elsewhere=other)
        for reset, reused, again, other in product(YES_NO, repeat=4)
    }

    assert found == {CONNECT}


def test_call_that_was_sent_is_tried_again_in_three_cases_only() -> None:
    found = {
        (failure, repeatable, elsewhere): condition(
            failure, repeatable=repeatable, elsewhere=elsewhere
        )
        for failure, repeatable, elsewhere in product(SENT, YES_NO, YES_NO)
    }

    assert found == dict.fromkeys(found) | {
        (RESET_REUSED, True, True): REUSED_RESET,
        (RESET_REUSED, True, False): REUSED_RESET,
        # Another endpoint gets it: a connection that was new when its endpoint died will do.
        (RESET_NEW, True, True): REUSED_RESET,
    }


@pytest.mark.parametrize(
    ("calls", "most"),
    [(0, 3), (1, 3), (15, 3), (19, 3), (20, 4), (99, 19), (100, 20)],
)
def test_retries_are_a_fifth_of_the_calls_or_three(calls: int, most: int) -> None:
    assert most_in_flight(RetryConfig(), calls) == most


@pytest.mark.parametrize(("budget", "most"), [(0.0, 3), (0.1, 10), (0.5, 50), (1.0, 100)])
def test_budget_is_as_configured_and_at_least_three(budget: float, most: int) -> None:
    assert most_in_flight(RetryConfig(budget=budget), 100) == most


def test_back_off_doubles_up_to_a_quarter_second() -> None:
    longest_s = [backoff_s(retries, lambda: 1.0) for retries in range(1, 7)]

    assert longest_s == [0.025, 0.05, 0.1, 0.2, 0.25, 0.25]


@pytest.mark.parametrize(("chance", "wait_s"), [(0.0, 0.0), (0.5, 0.0125), (0.9, 0.0225)])
def test_back_off_is_wholly_jittered(chance: float, wait_s: float) -> None:
    assert backoff_s(1, lambda: chance) == pytest.approx(wait_s)


def test_back_off_stays_a_quarter_second_however_often() -> None:
    assert backoff_s(1000, lambda: 1.0) == 0.25
