"""Waiting for one's turn at a gate (see `policy.limits`): in order of arrival, and not for ever.

Knows how one waits. Knows nothing of what the gate stands before.
"""

import asyncio
from typing import Final

from proxy import errors
from proxy.policy.limits import Gate

_RETRY_AFTER_S: Final = 1


async def wait_for(gate: Gate, what: str, longest_s: float | None) -> None:
    """Wait for a permit; `leave` must follow. `longest_s` None: until the call's deadline.

    Raises `QueueFullError` at once, or `QueueTimeoutError`.
    """
    full = gate.full()
    if full is not None:
        raise errors.QueueFullError(
            f"The queue of {what} is full: {full.value}", retry_after_s=_RETRY_AFTER_S
        )
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    gate.line_up(waiter)
    try:
        async with asyncio.timeout(longest_s):
            await waiter
    except TimeoutError:
        _step_out(gate, waiter)
        raise errors.QueueTimeoutError(
            f"No turn at {what} came within {longest_s:g} s", retry_after_s=_RETRY_AFTER_S
        ) from None
    except asyncio.CancelledError:
        _step_out(gate, waiter)
        raise


def _step_out(gate: Gate, waiter: "asyncio.Future[None]") -> None:
    if waiter.done() and not waiter.cancelled():  # a permit came in the same moment
        gate.leave()
    else:
        gate.step_out(waiter)
