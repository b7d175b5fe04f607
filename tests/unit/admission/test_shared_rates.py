"""Limits that sidecars count together in a real Redis."""

import asyncio
import sys
import time

import pytest

from proxy.admission.rates import Limit, Rates
from proxy.admission.shared_rates import SharedRates
from proxy.config.units import Rate
from proxy.errors import RateLimitedError
from proxy.events.bus_link import BusUnavailableError
from tests.support.bus_party import until
from tests.support.rate_parties import CALLER, TOOL, TWENTY_PER_HOUR, admitted, connected, goes
from tests.support.redis_server import StartRedis

KEY = "toolproxy:rate:caller:ci"


async def test_sidecars_admit_together_what_one_would(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as a, connected(redis) as b:
        came = await asyncio.gather(admitted(a, CALLER, of=250), admitted(b, CALLER, of=250))

    assert sum(came) == 20


async def test_in_the_long_run_sidecars_admit_together_what_one_would(
    start_redis: StartRedis,
) -> None:
    redis = start_redis()
    limit = Limit("caller:ci", "caller", Rate(50.0, 1))
    async with connected(redis) as a, connected(redis) as b:
        came, began_at = 0, time.monotonic()
        while time.monotonic() < began_at + 0.5:
            came += sum(await asyncio.gather(goes(a, limit), goes(b, limit)))
        lasted_s = time.monotonic() - began_at

    assert 50 + 25 * lasted_s <= came <= 51 + 50 * lasted_s


async def test_a_call_that_one_limit_refuses_counts_against_none(start_redis: StartRedis) -> None:
    async with connected(start_redis()) as rates:
        came = [await admitted(rates, CALLER, TOOL), await admitted(rates, CALLER)]

    assert came == [3, 17]


async def test_answers_and_refusals_are_those_of_a_sidecar_alone(start_redis: StartRedis) -> None:
    async def told(rates: SharedRates) -> tuple[list[bytes], RateLimitedError]:
        lines = [await rates.take((CALLER, TOOL), 1.0) for _ in range(3)]
        with pytest.raises(RateLimitedError) as refusal:
            await rates.take((CALLER, TOOL), 1.0)
        return lines, refusal.value

    async with connected(start_redis()) as rates:
        shared, refused = await told(rates)
    alone, refused_alone = await told(SharedRates("redis://nobody"))

    assert shared == alone
    assert refused.detail == refused_alone.detail
    assert refused.headers == refused_alone.headers


async def test_without_limits_redis_is_not_asked(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        redis.stops()

        async with asyncio.timeout(5):
            assert await rates.take((), 1.0) == b""


async def test_many_who_come_at_once_are_asked_for_by_the_hundred(
    start_redis: StartRedis,
) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        await admitted(rates, CALLER, of=250)

    assert b"cmdstat_evalsha:calls=3," in redis.ask("INFO", "commandstats")


async def test_a_key_expires_when_nothing_counts_any_more(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        await admitted(rates, CALLER, of=2)

    assert 300_000 < redis.number("PTTL", KEY) <= 360_001


async def test_a_long_name_makes_a_short_key_of_its_own(start_redis: StartRedis) -> None:
    redis = start_redis()
    long = [Limit(f"caller:{'x' * 9_000}{each}", "caller", TWENTY_PER_HOUR) for each in "a\ud800"]
    async with connected(redis) as rates:
        came = [await admitted(rates, limit) for limit in long]

    keys = [word for word in redis.ask("KEYS", "toolproxy:rate:*").split() if b":" in word]
    assert came == [20, 20]
    assert sorted(len(key) for key in keys if b"trial" not in key) == [79, 79]


async def test_flushed_scripts_are_sent_again(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        before = await admitted(rates, CALLER, of=5)
        redis.ask("SCRIPT", "FLUSH")
        after = await admitted(rates, CALLER)

        assert (before, after, rates.problem) == (5, 15, "")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("SET", KEY, "rubbish"), id="no-value-of-ours"),
        pytest.param(("SET", KEY, "nan 1"), id="not-a-number"),
        pytest.param(("SET", KEY, "... 1"), id="nearly-a-number"),
        pytest.param(("SET", KEY, "1e999 1"), id="endless"),
        pytest.param(("SET", KEY, f"1 {10**17}"), id="from-the-future"),
        pytest.param(("SET", KEY, f"1 {'9' * 999}"), id="from-the-end-of-time"),
        pytest.param(("RPUSH", KEY, "1"), id="a-list"),
    ],
)
async def test_a_value_that_cannot_be_is_used_up_and_no_more(
    start_redis: StartRedis, words: tuple[str, ...]
) -> None:
    redis = start_redis()
    redis.ask(*words)
    async with connected(redis) as rates:
        with pytest.raises(RateLimitedError) as refusal:
            await rates.take((CALLER,), 1.0)
        kept = redis.ask("GET", KEY)

        assert rates.problem == ""
    assert refusal.value.retry_after_s == 180
    assert kept.split()[1] == b"20"


async def test_a_value_below_nothing_is_nothing(start_redis: StartRedis) -> None:
    redis = start_redis()
    redis.ask("SET", KEY, "-1000 1")
    async with connected(redis) as rates:
        assert (await admitted(rates, CALLER), rates.problem) == (20, "")


async def test_a_caller_who_leaves_takes_nobodys_answer(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with connected(redis) as rates:
        redis.stops()
        leaving = asyncio.ensure_future(goes(rates, CALLER))  # noqa: TID251 - cancelled below
        staying = asyncio.ensure_future(rates.take((TOOL,), 1.0))  # noqa: TID251 - awaited below
        await until(lambda: "waiting=2" in repr(rates))
        leaving.cancel()
        redis.goes_on()

        assert b'"tool";r=2;' in await staying


async def test_a_sweep_is_of_what_is_counted_here() -> None:
    local = Rates()
    rates = SharedRates("redis://nobody", local)
    await rates.take((CALLER,), 1.0)

    rates.sweep(1e6)

    assert len(local) == 0


def test_an_address_that_is_none_is_refused_by_the_name_of_its_setting() -> None:
    with pytest.raises(BusUnavailableError, match=r"^rate\.redis is no address of Redis"):
        SharedRates("redis://ann:p@ss@host:port")


def test_without_the_extra_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(BusUnavailableError) as refused:
        SharedRates("redis://host")

    assert str(refused.value) == "rate.redis needs the extra: pip install 'toolproxy[redis]'"
