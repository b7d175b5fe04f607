"""Retries: may this failure be tried again, and after how long?

Knows facts about the failure and numbers of the moment. Knows no errors by name, and no endpoints.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

CONNECT: Final = "connect"
REUSED_RESET: Final = "reused_reset"

_LEAST_BUDGET: Final = 3
_FIRST_BACKOFF_S: Final = 0.025
_MOST_BACKOFF_S: Final = 0.25


class Rules(Protocol):
    """What retries are configured with (see `registry.model.RetryConfig`)."""

    @property
    def attempts(self) -> int: ...

    @property
    def budget(self) -> float: ...

    @property
    def conditions(self) -> tuple[str, ...]: ...


class Failure(NamedTuple):
    """What is known of an attempt that failed."""

    sent: bool  # has any of the request gone to an upstream?
    answered: bool  # has a byte of an answer come?
    reset: bool  # was the connection lost, as against a time-out or a broken answer?
    reused: bool  # had the connection served another call before?


def condition(failure: Failure, *, repeatable: bool, elsewhere: bool) -> str | None:
    """Which retry condition the failure meets; None when it must not be repeated.

    `repeatable` when the call is idempotent and its body is held whole (RFC 9110, 9.2.2);
    `elsewhere` when another endpoint would get it. There, a connection need not have been reused:
    one that was new when its endpoint died says as little of the call.
    """
    if not failure.sent:
        return CONNECT
    if failure.reset and not failure.answered and repeatable and (failure.reused or elsewhere):
        return REUSED_RESET
    return None


def most_in_flight(rules: Rules, calls: int) -> int:
    """How many retries there may be with so many `calls` in flight, they among them.

    A storm of retries is what a server in trouble needs least.
    """
    return max(_LEAST_BUDGET, int(rules.budget * calls))


def backoff_s(retries: int, chance: Callable[[], float]) -> float:
    """How long to wait before the same endpoint is tried again; `retries` counts this one, from 1.

    Full jitter, so that callers that failed together do not come back together.
    """
    return min(_FIRST_BACKOFF_S * 2.0 ** (retries - 1), _MOST_BACKOFF_S) * chance()
