"""Shared limits while Redis is away, hangs, or is none: each sidecar counts alone, at once."""

import asyncio
import logging
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from proxy.admission import shared_rates
from tests.support.bus_party import until
from tests.support.ports import refusing_port
from tests.support.rate_parties import (
    CALLER,
    admitted,
    connected,
    fake_redis,
    goes,
    running,
)
from tests.support.redis_server import RedisServer, StartRedis

GOOD = b"*1\r\n*2\r\n:1\r\n$1\r\n1\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"+OK\r\n", id="no-list"),
        pytest.param(b"*0\r\n", id="for-no-call"),
        pytest.param(b"*1\r\n:1\r\n", id="no-verdict"),
        pytest.param(b"*1\r\n*1\r\n:1\r\n", id="for-no-limit"),
        pytest.param(b"*1\r\n*2\r\n:2\r\n$1\r\n1\r\n", id="neither-yes-nor-no"),
        pytest.param(b"*1\r\n*2\r\n:1\r\n:1\r\n", id="no-text"),
        pytest.param(b"*1\r\n*2\r\n:1\r\n$3\r\nnan\r\n", id="no-number"),
        pytest.param(b"*1\r\n*2\r\n:1\r\n$2\r\n-1\r\n", id="below-nothing"),
        pytest.param(b"-ERR no\r\n", id="an-error"),
        pytest.param(b"rubbish\r\n", id="no-redis"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_an_answer_that_is_none_leaves_each_to_itself(answer: bytes) -> None:
    async with fake_redis(GOOD, answer) as (url, _), running(url) as rates:
        await until(lambda: not rates.problem)
        came, told = await goes(rates, CALLER), rates.problem
        more = await admitted(rates, CALLER)

    assert told.startswith(f"{url} is away, limits are counted by this sidecar alone: ")
    assert (came, more) == (True, 19)


async def test_a_redis_that_is_none_is_never_believed() -> None:
    async with fake_redis(b"+OK\r\n") as (url, _), running(url) as rates:
        await until(lambda: "answer of the script" in rates.problem)

        assert await admitted(rates, CALLER) == 20


async def test_killed_and_back_the_limit_goes_on(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    redis = start_redis(keeps=True)
    caplog.set_level(logging.INFO, "toolproxy.rates")
    async with connected(redis) as a, connected(redis) as b:
        before = [await admitted(a, CALLER, of=5), await admitted(b, CALLER, of=5)]
        await asyncio.to_thread(redis.dies)
        # What Redis said last still counts: 5 for `a`, 10 for `b`.
        alone = [await admitted(a, CALLER), await admitted(b, CALLER)]
        told = [a.problem, b.problem]
        await asyncio.to_thread(redis.comes_up)
        await until(lambda: not a.problem and not b.problem)
        after = await asyncio.gather(admitted(a, CALLER), admitted(b, CALLER))

    assert (before, alone, sum(after)) == ([5, 5], [15, 10], 10)
    assert all("counted by this sidecar alone" in each for each in told)
    levels = [record.levelname for record in caplog.records]
    assert sorted(levels) == ["INFO"] * 4 + ["WARNING"] * 2


async def test_a_hanging_redis_holds_up_nobody_for_long(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with running(redis.url, within_s=0.1) as rates:
        await until(lambda: not rates.problem)
        redis.stops()
        began_at = time.monotonic()
        came = await admitted(rates, CALLER)
        lasted_s = time.monotonic() - began_at

        assert "no answer within" in rates.problem
        redis.goes_on()
        await until(lambda: not rates.problem)
    assert came == 20
    assert lasted_s < 1


async def test_while_it_is_away_it_is_tried_once_a_second_and_not_per_call() -> None:
    async with fake_redis() as (url, came_at), running(url) as rates:
        calls = 0
        while len(came_at) < 3:
            calls += await admitted(rates, CALLER, of=10)
            await asyncio.sleep(0.01)

    assert calls == 20
    assert all(later - sooner >= 0.9 for sooner, later in pairwise(came_at))


async def test_where_nobody_listens_each_counts_alone() -> None:
    with refusing_port() as port:
        async with running(f"redis://127.0.0.1:{port}") as rates:
            await until(lambda: "not connected yet" not in rates.problem)

            assert await admitted(rates, CALLER) == 20


async def test_a_redis_that_takes_no_writes_is_away_until_it_does(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        redis.ask("CONFIG", "SET", "maxmemory", "1")
        came = await admitted(rates, CALLER)
        told = rates.problem
        redis.ask("CONFIG", "SET", "maxmemory", "0")
        await until(lambda: not rates.problem)

    assert (came, "memory" in told) == (20, True)


@pytest.mark.parametrize("ends", [RedisServer.dies, RedisServer.stops])
async def test_that_redis_is_gone_is_seen_without_a_call(
    start_redis: StartRedis,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[RedisServer], None],
) -> None:
    monkeypatch.setattr(shared_rates, "_PING_EVERY_S", 0.01)
    redis = start_redis()
    async with running(redis.url, within_s=1.0) as rates:
        await until(lambda: not rates.problem)
        await asyncio.to_thread(ends, redis)

        await until(lambda: rates.problem)


async def test_no_more_wait_than_there_may(
    start_redis: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_rates, "_WAITING_MOST", 5)
    redis = start_redis()
    async with connected(redis) as rates:
        redis.stops()
        calls = [asyncio.ensure_future(goes(rates, CALLER)) for _ in range(12)]  # noqa: TID251 - awaited below
        await until(lambda: sum(call.done() for call in calls) == 7)
        waiting = repr(rates)
        redis.goes_on()
        came = await asyncio.gather(*calls)

    assert waiting.endswith("waiting=5>")
    assert all(came)


async def test_at_the_end_those_who_wait_are_decided_here(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        redis.stops()
        waiting = asyncio.ensure_future(goes(rates, CALLER))  # noqa: TID251 - awaited below
        await until(lambda: "waiting=1" in repr(rates))

    assert await waiting


async def test_neither_log_nor_problem_has_the_password(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    redis = start_redis("--requirepass", "right-one")
    async with running(redis.url.replace("//", "//ann:s%40crets@")) as rates:
        await until(lambda: "invalid username-password pair" in rates.problem)
        shown = f"{rates.problem} {rates!r} {caplog.text}"

    assert not [each for each in ("ann", "s%40crets", "s@crets") if each in shown]
