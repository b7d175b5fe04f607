"""One call, protected: its deadline, its server's circuit, its repeats.

`with_timeout` gives a call another deadline than the client's default.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from proxy.client import errors
from proxy.client.breaker import Breakers, Trial
from proxy.client.deadline import Deadline, after, holding, waiting_until
from proxy.client.retry import Leave, RetryConfig, may_repeat, wait_s

_LOG: Final = logging.getLogger(__name__)

T = TypeVar("T")


async def with_timeout(
    func: Callable[..., Awaitable[T]], *args: object, timeout_seconds: float, **kwargs: object
) -> T:
    """`await func(*args, **kwargs)`, which may last `timeout_seconds`, shorter or longer.

    The client's own default does not hold within, and a tool that is invoked gets as long
    (`Request-Timeout`). A `timeout=` among `kwargs` is the call's own and goes before it.
    Raises `TimeoutError`, and whatever `func` raises.

    >>> async def quick() -> str:
    ...     return "done"
    >>> asyncio.run(with_timeout(quick, timeout_seconds=60))
    'done'
    """
    deadline = after(timeout_seconds, asked=True)
    name = getattr(func, "__name__", "the call")
    with holding(deadline):
        async with waiting_until(deadline, name):
            return await func(*args, **kwargs)


class ErrorHandler:
    """What all calls of a client share. `breakers` and `retry` are None where switched off."""

    def __init__(self, breakers: Breakers | None, retry: RetryConfig | None) -> None:
        self.breakers = breakers
        self.retry = retry
        self.repeats = 0
        self.exhausted = 0

    def __repr__(self) -> str:
        return f"<ErrorHandler {self.breakers} repeats={self.repeats}>"

    async def run(
        self, attempt: Callable[[], Awaitable[T]], server: str, leave: Leave, deadline: Deadline
    ) -> T:
        """The first good answer of `attempt`, or the error that says why there is none.

        Raises `CircuitBreakerError` without an attempt, `RetryExhaustedError` after all of them,
        and what may not be repeated as it is.
        """
        if self.breakers is None:
            return await self._attempts(attempt, leave, deadline)
        trial = self.breakers.begin(server)
        try:
            answer = await self._attempts(attempt, leave, deadline)
        except errors.GatewayError as error:
            _judge(trial, error)
            raise
        except BaseException:
            trial.abandon()  # a caller that leaves is nobody's failure
            raise
        trial.succeed()
        return answer

    async def _attempts(
        self, attempt: Callable[[], Awaitable[T]], leave: Leave, deadline: Deadline
    ) -> T:
        failures = 0
        while True:
            try:
                return await attempt()
            except errors.GatewayError as error:
                failures += 1
                if self.retry is None:
                    raise
                repeatable = may_repeat(error, leave)
                if not repeatable and not _is_failure(error):
                    raise
                if not repeatable or failures >= self.retry.max_attempts:
                    self.exhausted += 1
                    raise errors.RetryExhaustedError(error, failures) from error
                pause_s = wait_s(error, failures, self.retry, random.random)
                if pause_s >= deadline.left_s:
                    raise
                _LOG.info("%s; again in %.2f s", error.detail, pause_s)
                self.repeats += 1
            await asyncio.sleep(pause_s)

    def view(self) -> dict[str, object]:
        """The guide's dictionary; nothing where error handling is off."""
        if self.breakers is None or self.retry is None:
            return {}
        retries = {
            "max_attempts": self.retry.max_attempts,
            "total_retries": self.repeats,
            "exhausted": self.exhausted,
        }
        return {"circuit_breaker": self.breakers.view(), "retry": retries}


def _is_failure(error: errors.GatewayError) -> bool:
    """Did the server fail, in a way that has no error of its own in the guide?"""
    return error.outage and not isinstance(error, errors.TimeoutError | errors.CircuitBreakerError)


def _judge(trial: Trial, error: errors.GatewayError) -> None:
    """A 4xx shows that the server works; what has no status and is no outage shows nothing."""
    if error.outage:
        trial.fail()
    elif error.status is not None:
        trial.succeed()
    else:
        trial.abandon()
