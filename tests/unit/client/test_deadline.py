"""A call has one deadline: its own, that of `with_timeout`, or the client's."""

import asyncio
import builtins
import time

import pytest

from proxy.client import errors
from proxy.client.deadline import after, deadline_of, holding, until
from proxy.client.error_handler import with_timeout


async def test_calls_own_word_goes_first() -> None:
    with holding(after(60, asked=True)):
        mine, around = deadline_of(5, 10), deadline_of(None, 10)
    default = deadline_of(None, 10)

    assert [(each.span_s, each.asked) for each in (mine, around, default)] == [
        (5, True),
        (60, True),
        (10, False),
    ]


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
async def test_span_that_is_none_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds above 0"):
        deadline_of(seconds, 10)


async def test_end_of_time_says_what_did_not_end() -> None:
    with pytest.raises(errors.TimeoutError, match=r"^s\.t did not end within 0\.001 s$"):
        async with until(after(0.001, asked=True), "s.t"):
            await asyncio.Event().wait()


async def test_timeout_of_the_gateways_own_stays_what_it_is() -> None:
    with pytest.raises(errors.TimeoutError, match="the gateway says so"):
        async with until(after(60, asked=True), "s.t"):
            raise errors.TimeoutError("the gateway says so")


async def test_with_timeout_gives_what_the_function_gives() -> None:
    async def add(a: int, *, b: int) -> int:
        return a + b

    assert await with_timeout(add, 1, b=2, timeout_seconds=60) == 3


async def test_with_timeout_ends_what_knows_nothing_of_deadlines() -> None:
    async def endless() -> None:
        await asyncio.Event().wait()

    with pytest.raises(builtins.TimeoutError, match=r"endless did not end within 0\.01 s"):
        await with_timeout(endless, timeout_seconds=0.01)


async def test_deadline_does_not_outlive_its_call() -> None:
    await with_timeout(asyncio.sleep, 0, timeout_seconds=60)

    assert deadline_of(None, 10).span_s == 10


async def test_loop_that_is_late_leaves_the_inner_call_its_word() -> None:
    async def call() -> None:
        async with until(deadline_of(None, 10), "the call"):
            asyncio.get_running_loop().call_later(0.005, time.sleep, 0.3)
            await asyncio.Event().wait()

    with pytest.raises(errors.TimeoutError, match=r"^the call did not end within 0\.01 s$"):
        await with_timeout(call, timeout_seconds=0.01)
