"""The bus while Redis is away, and after: local events go on, and none is seen twice or lost."""

import asyncio
import logging

import pytest

from tests.support.bus_party import Party, away, connected, more, until
from tests.support.ports import silent_port
from tests.support.redis_server import StartRedis

KEY = "toolproxy:events"


async def test_killed_and_back_under_events_each_is_seen_once(start_redis: StartRedis) -> None:
    redis = start_redis(keeps=True)
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(a.publish_until(over, every_s=0.01))
            tasks.create_task(b.publish_until(over, every_s=0.01))
            for _ in range(2):
                await more(a, 30)
                await asyncio.to_thread(redis.dies)
                await until(away(a, b))
                await more(a, 10)
                await asyncio.to_thread(redis.comes_up)
                await until(connected(a, b))
            over.set()
        await until(lambda: len(a.got) >= len(a.published + b.published) <= len(b.got))
        await until(lambda: redis.length(KEY) >= len(a.published + b.published))

    assert a.has_seen_once(a, b)
    assert b.has_seen_once(a, b)
    assert (a.stream_ids, b.stream_ids) == (sorted(a.stream_ids), sorted(b.stream_ids))
    assert redis.length(KEY) == len(a.published + b.published)


async def test_a_hanging_redis_delays_no_local_event_and_repeats_none(
    start_redis: StartRedis,
) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        redis.stops()
        a.publish(100, padding="x" * 100)
        await until(lambda: len(a.local) == 100)
        a.publish(3)  # while it is known to hang
        await until(lambda: len(a.local) == 103, within_s=0.9)
        redis.goes_on()
        await until(lambda: len(b.got) >= 103)
        a.publish()
        await until(lambda: "a-103" in a.by_stream and "a-103" in b.by_stream)

    assert a.has_seen_once(a)
    assert b.has_seen_once(a)
    assert redis.length(KEY) == 104


async def test_much_that_hangs_half_sent_is_shown_once(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        redis.stops()
        a.publish(1_000, padding="x" * 1_900)  # the first batch fills a socket's buffers
        await until(lambda: len(a.local) == 1_000)
        redis.goes_on()
        await until(lambda: len(b.got) >= 1_000)
        a.publish()
        await until(lambda: "a-1000" in a.by_stream and "a-1000" in b.by_stream)

    assert a.has_seen_once(a)
    assert b.has_seen_once(a)


NO_WRITES = {
    "full": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
}


@pytest.mark.parametrize("kind", NO_WRITES)
async def test_a_redis_that_takes_no_writes_is_away_until_it_does(
    start_redis: StartRedis, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    redis = start_redis()
    refuse, accept = NO_WRITES[kind]
    caplog.set_level(logging.INFO, "toolproxy.events")
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        redis.ask(*refuse)
        await a.publish_for(1.5, every_s=0.05)
        await until(lambda: a.local == a.published)
        told = [record for record in caplog.records if "is away" in record.message]
        redis.ask(*accept)
        await until(lambda: b.has_seen_once(a))
        await until(connected(a))

    assert len(told) <= 2  # each at most once; a change of role ends also what only reads
    assert a.has_seen_once(a)


async def test_a_key_of_another_type_is_told_and_left_alone(start_redis: StartRedis) -> None:
    redis = start_redis()
    redis.ask("SET", KEY, "mine")
    async with Party(redis.url, "a").running() as a:
        a.publish()
        await until(lambda: a.local)
        told, kept = a.bus.problem, redis.ask("GET", KEY)
        redis.ask("DEL", KEY)
        await until(lambda: redis.length(KEY))

    assert "wrong kind of value" in told
    assert kept == b"$4\r\nmine\r\n"
    assert a.has_seen_once(a)


async def test_neither_log_nor_problem_has_the_password(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    redis = start_redis("--requirepass", "right-one")
    caplog.set_level(logging.DEBUG)
    url = redis.url.replace("//", "//ann:s%40crets@")
    async with Party(url, "a").running() as a:
        a.publish()
        await until(lambda: a.local)

    shown = f"{a.bus.problem} {a.bus!r} {caplog.text}"
    assert "invalid username-password pair" in shown
    assert not [each for each in ("ann", "s%40crets", "s@crets") if each in shown]


async def test_the_right_password_opens(start_redis: StartRedis) -> None:
    redis = start_redis("--requirepass", "p/w")
    async with Party(redis.url.replace("//", "//:p%2Fw@"), "a").running() as a:
        a.publish()
        await until(lambda: a.by_stream)

    assert a.has_seen_once(a)


@pytest.mark.parametrize("host", ["no-such-name.invalid:6379", "127.0.0.1:{silent}"])
async def test_a_redis_that_cannot_be_reached_delays_nothing(host: str) -> None:
    with silent_port() as port:
        async with Party(f"redis://{host.format(silent=port)}", "a").running() as a:
            a.publish(2)
            await until(lambda: len(a.local) == 2)

    assert (a.got, a.bus.backlog) == ([("a-0", None), ("a-1", None)], 2)


async def test_after_a_connection_it_comes_back_quickly_again(
    start_redis: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans_s: list[float] = []

    def shortest(_: float, most_s: float) -> float:
        spans_s.append(most_s)
        return 0.01

    monkeypatch.setattr("proxy.events.bus.uniform", shortest)
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        await until(connected(a))
        for _ in range(2):
            before = len(spans_s)
            await asyncio.to_thread(redis.dies)
            await until(lambda before=before: len(spans_s) >= before + 3)  # type: ignore[misc] # bound
            assert spans_s[before : before + 3] == [0.1, 0.2, 0.4]
            await asyncio.to_thread(redis.comes_up)
            await until(connected(a))
