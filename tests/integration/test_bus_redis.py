"""The bus on a real Redis: one order for all, and each event once."""

import asyncio

import pytest

from tests.support.bus_party import Party, connected, until
from tests.support.redis_server import StartRedis

KEY = "toolproxy:events"


# --- Redis is up ---


async def test_two_see_all_events_once_and_in_one_order(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        for _ in range(20):
            a.publish(15)
            b.publish(15)
            await asyncio.sleep(0)
        await until(lambda: len(a.got) >= 600 <= len(b.got))

    assert a.has_seen_once(a, b)
    assert a.got == b.got
    assert a.stream_ids == sorted(a.stream_ids)


async def test_a_successor_begins_with_all_that_redis_acknowledged(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        a.publish(3_000)
        await until(lambda: redis.length(KEY) == 3_000)

    async with Party(redis.url, "b").running() as b:
        b.publish()
        await until(lambda: len(b.got) >= 3_001)

    assert b.by_stream == a.published + b.published


async def test_a_successor_begins_with_no_more_than_the_newest(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        a.publish(1_000)
        await until(lambda: redis.length(KEY) == 1_000)

    async with Party(redis.url, "b", most=100).running() as b:
        await until(connected(b))

    assert b.by_stream == a.published[-100:]


async def test_the_stream_is_kept_short(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a", most=100).running() as a:
        a.publish(2_000)
        await until(lambda: len(a.got) == 2_000)

    assert 100 <= redis.length(KEY) <= 300  # Redis drops whole nodes of 100


async def test_an_idle_connection_is_kept_alive(
    start_redis: StartRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.events.bus._PING_EVERY_S", 0.01)
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        await until(lambda: b"cmd=ping" in redis.ask("CLIENT", "LIST"))
        a.publish()
        await until(lambda: a.got)

    assert a.by_stream == ["a-0"]


async def test_close_sends_what_waits(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        await until(connected(a))
        a.publish(1_200)
        await a.bus.close()

    assert redis.length(KEY) == 1_200


async def test_a_unix_socket_and_a_database_of_its_own(start_redis: StartRedis) -> None:
    redis = start_redis()
    url = f"{redis.unix_url}?db=3"
    async with Party(url, "a").running() as a, Party(redis.url, "b").running() as b:
        a.publish()
        await until(lambda: a.by_stream)
        await until(connected(b))

        assert (a.by_stream, b.got, redis.length(KEY)) == (["a-0"], [], 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        pytest.param("other", '{"event_id":"x"}', id="without-our-field"),
        pytest.param("event", "{", id="not-json"),
        pytest.param("event", '["x"]', id="no-object"),
        pytest.param("event", '{"a":1}', id="without-event-id"),
        pytest.param("event", '{"event_id":7}', id="event-id-is-a-number"),
        pytest.param("event", '{"event_id":\n"x"}', id="line-feed"),
        pytest.param("event", '{"event_id":\r"x"}', id="carriage-return"),
        pytest.param("event", f'{{"event_id":"x","a":"{"a" * 262_144}"}}', id="too-large"),
    ],
)
async def test_rubbish_is_skipped_and_counted(
    start_redis: StartRedis, field: str, value: str
) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        a.publish()
        await until(lambda: a.got)
        redis.ask("XADD", KEY, "*", field, value)
        a.publish()
        await until(lambda: len(a.got) >= 2)

    assert (a.by_stream, a.bus.bad) == (["a-0", "a-1"], 1)


async def test_the_second_of_two_equal_events_is_not_shown(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a:
        redis.ask("XADD", KEY, "*", "event", '{"event_id":"x"}')
        redis.ask("XADD", KEY, "*", "event", '{"event_id":"x"}')
        await until(connected(a))
        a.publish()
        await until(lambda: "a-0" in a.by_stream)

    assert a.by_stream == ["x", "a-0"]


# --- the stream is not what it was ---


async def test_a_flushed_stream_is_read_on(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        for _ in range(10):
            a.publish(10)
            redis.ask("FLUSHALL")
            await asyncio.sleep(0.02)
        b.publish()
        await until(lambda: "b-0" in a.by_stream and "b-0" in b.by_stream)
        await until(lambda: len(a.got) >= 101)

    assert a.has_seen_once(a, b)
    assert max(b.times_seen.values()) == 1


async def test_a_stream_whose_ids_went_back_is_read_from_its_beginning(
    start_redis: StartRedis, caplog: pytest.LogCaptureFixture
) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        await until(connected(a, b))
        redis.ask("XADD", KEY, "99999999999999-0", "event", '{"event_id":"x"}')
        await until(lambda: a.got and b.got)
        redis.ask("DEL", KEY)
        a.publish(5)
        await until(lambda: len(b.got) >= 6)
        await until(lambda: len(a.got) >= 6)

    assert b.by_stream == ["x", *a.published]
    assert a.by_stream == ["x", *a.published]
    assert caplog.text.count("began anew") == 2  # once for each


async def test_a_redis_that_forgot_everything_is_no_gap_for_later_events(
    start_redis: StartRedis,
) -> None:
    redis = start_redis()
    async with Party(redis.url, "a").running() as a, Party(redis.url, "b").running() as b:
        a.publish(5)
        await until(lambda: len(a.got) == 5 == len(b.got))
        await asyncio.to_thread(redis.dies)
        a.publish(5)
        await until(lambda: len(a.local) == 5)
        await asyncio.to_thread(redis.comes_up)
        await until(lambda: len(b.got) >= 10)

    assert a.has_seen_once(a)
    assert b.by_stream == a.published
