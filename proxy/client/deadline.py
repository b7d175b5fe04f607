"""How long may this call take, and who said so?

One moment for a whole call, repeats and waits between them included. Nothing is repeated after it.
"""

import asyncio
import builtins
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from proxy.client import errors

_GRACE_S: Final = 0.05


class Deadline(NamedTuple):
    """A moment of the running loop's clock. `asked` is false where it is the client's default."""

    at: float
    span_s: float
    asked: bool

    @property
    def left_s(self) -> float:
        return max(0.0, self.at - asyncio.get_running_loop().time())


_CURRENT: Final[ContextVar[Deadline | None]] = ContextVar("toolproxy_deadline", default=None)


def checked_span_s(name: str, seconds: float) -> float:
    """A span as a deadline can have it; raises `ValueError`."""
    if not (math.isfinite(seconds) and seconds > 0):
        raise ValueError(f"{name} is a number of seconds above 0, not {seconds}")
    return float(seconds)


def after(seconds: float, *, asked: bool) -> Deadline:
    """So long from now on."""
    span_s = checked_span_s("timeout", seconds)
    return Deadline(asyncio.get_running_loop().time() + span_s, span_s, asked)


def deadline_of(timeout_s: float | None, default_s: float) -> Deadline:
    """What this call asks for, else what `with_timeout` around it does, else the default."""
    if timeout_s is not None:
        return after(timeout_s, asked=True)
    return _CURRENT.get() or after(default_s, asked=False)


@contextmanager
def holding(deadline: Deadline) -> Iterator[None]:
    """The deadline of all calls within that name none of their own."""
    token = _CURRENT.set(deadline)
    try:
        yield
    finally:
        _CURRENT.reset(token)


@contextmanager
def _told(deadline: Deadline, what: str) -> Iterator[None]:
    """What a time-out within means, in a sentence."""
    try:
        yield
    except builtins.TimeoutError as error:
        if isinstance(error, errors.GatewayError):
            raise
        raise errors.TimeoutError(f"{what} did not end within {deadline.span_s:g} s") from None


@asynccontextmanager
async def until(deadline: Deadline, what: str) -> AsyncIterator[None]:
    """End what is within at the deadline, with `errors.TimeoutError`."""
    with _told(deadline, what):
        async with asyncio.timeout_at(deadline.at):
            yield


@asynccontextmanager
async def waiting_until(deadline: Deadline, what: str) -> AsyncIterator[None]:
    """As `until`, around what ends itself at the same deadline, and then knows why.

    It gets a little more time, counted from when the loop has seen the deadline: a loop that is
    late would else end both in the same moment.
    """
    loop = asyncio.get_running_loop()
    with _told(deadline, what):
        async with asyncio.timeout(None) as limit:
            timer = loop.call_at(deadline.at, lambda: limit.reschedule(loop.time() + _GRACE_S))
            try:
                yield
            finally:
                timer.cancel()
