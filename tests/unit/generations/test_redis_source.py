"""Facts about a registry in a Redis key: what is read, and how soon a new value is noticed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from proxy.generations import redis_source, remote
from proxy.generations.redis_source import RedisSource
from proxy.generations.source import AwayError
from tests.support.descriptors import open_descriptors
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.waiting import eventually

NEVER_S: Final = 3600.0
WITHIN_S: Final = 20.0
KEY: Final = "registry:prod"
SECRETS: Final = ("bobby", "p%40ss", "p@ss")


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    server = start_redis()
    server.ask("SET", KEY, "old")
    return server


def source_at(redis: RedisServer, key: str = KEY, interval_s: float = NEVER_S) -> RedisSource:
    return RedisSource(f"{redis.url}/{key}", interval_s)


async def read(source: RedisSource) -> bytes:
    async with source.fetch("") as text:
        assert text is not None
        return Path(text.path).read_bytes()  # noqa: ASYNC240 - memory


async def refusal(source: RedisSource) -> str:
    with pytest.raises(AwayError) as away:
        await read(source)
    assert away.value.__suppress_context__
    return str(away.value).removeprefix(f"cannot read {source.name}: ")


async def test_the_value_is_lent_and_known_afterwards(redis: RedisServer) -> None:
    source = source_at(redis)

    async with source.fetch("") as text:
        assert text is not None
        content = Path(text.path).read_bytes()  # noqa: ASYNC240 - memory
    async with source.fetch(text.tag) as again:
        pass

    assert (content, text.signature, again) == (b"old", None, None)


async def test_the_database_and_the_key_are_those_of_the_url(redis: RedisServer) -> None:
    source = source_at(redis, "7/a%2Fb%40c%00%FF")
    with pytest.raises(AwayError, match="there is no such key"):
        await read(source)

    redis.ask(
        "EVAL", "redis.call('SELECT', 7); redis.call('SET', KEYS[1], 'seven')", "1", b"a/b@c\0\xff"
    )

    assert await read(source) == b"seven"


async def test_a_large_value_is_read_in_steps(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_source, "_STEP_BYTES", 1000)
    value = bytes(range(256)) * 40
    redis.ask("SET", KEY, value)

    assert await read(source_at(redis)) == value


async def test_a_value_that_changes_while_it_is_read_is_read_again(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def changes(size: int) -> None:
        sizes.append(size)
        if len(sizes) == 1:
            redis.ask("SET", KEY, "new")

    monkeypatch.setattr(redis_source, "check_size", changes)

    assert await read(source_at(redis)) == b"new"
    assert sizes == [3, 3]


async def test_a_value_that_changes_all_the_time_is_given_up(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_source, "check_size", lambda _: redis.ask("APPEND", KEY, "x"))

    assert await refusal(source_at(redis)) == "it changes faster than it can be read"


async def test_a_value_that_is_too_large_is_refused_unread(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "MAX_BYTES", 2)

    assert (await refusal(source_at(redis))).startswith("larger than")
    assert "cmdstat_getrange" not in redis.ask("INFO", "commandstats").decode()


async def test_a_key_that_is_gone_is_told(redis: RedisServer) -> None:
    redis.ask("DEL", KEY)

    assert await refusal(source_at(redis)) == "there is no such key, or it is empty"


async def test_a_key_of_another_kind_is_told(redis: RedisServer) -> None:
    redis.ask("DEL", KEY)
    redis.ask("LPUSH", KEY, "x")

    assert "wrong kind of value" in await refusal(source_at(redis))


async def test_a_password_is_sent_and_never_shown(start_redis: StartRedis) -> None:
    redis = start_redis("--requirepass", "p@ss")
    right, wrong = (
        RedisSource(redis.url.replace("//", f"//:{word}@") + "/key", NEVER_S)
        for word in ("p%40ss", "p%40ss2")
    )

    assert await refusal(right) == "there is no such key, or it is empty"
    assert "p@ss" not in await refusal(wrong)
    assert right.name == f"redis://***@127.0.0.1:{redis.port}/key"


async def test_what_is_no_redis_is_away() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" * 10)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await refusal(RedisSource(f"redis://127.0.0.1:{port}/key", NEVER_S))


async def test_a_redis_that_is_away_and_back_is_read_again(redis: RedisServer) -> None:
    source = source_at(redis)
    redis.dies()
    assert "Connect" in await refusal(source)

    redis.comes_up()
    redis.ask("SET", KEY, "new")

    assert await read(source) == b"new"


async def test_no_descriptor_stays_open(redis: RedisServer) -> None:
    source, missing = source_at(redis), source_at(redis, "missing")
    await read(source)
    held = open_descriptors()

    for _ in range(25):
        await read(source)
        await refusal(missing)

    assert open_descriptors() <= held + 2  # transports close in the next turn


class Looks:
    """What was in the key each time that `changed` was called."""

    def __init__(self, source: RedisSource) -> None:
        self.source = source
        self.seen: list[str] = []
        self._news = asyncio.Event()

    async def changed(self) -> None:
        try:
            self.seen.append((await read(self.source)).decode())
        except AwayError as error:
            self.seen.append(str(error))
        self._news.set()

    async def until(self, content: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not self.seen or content not in self.seen[-1]:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def watching(source: RedisSource) -> AsyncIterator[Looks]:
    looks = Looks(source)
    task = asyncio.get_running_loop().create_task(source.watch(looks.changed))
    try:
        yield looks
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=WITHIN_S)
        assert task.cancelled()


def publish(redis: RedisServer, value: str) -> None:
    """What the command line does."""
    redis.ask("EVAL", "redis.call('SET', KEYS[1], ARGV[1])", "1", KEY, value)
    redis.ask("PUBLISH", f"toolproxy:{KEY}", "identity")


async def test_the_key_is_looked_at_once_the_subscription_stands(redis: RedisServer) -> None:
    async with watching(source_at(redis)) as looks:
        await looks.until("old")


async def test_what_is_published_is_seen_without_notices_of_keys(redis: RedisServer) -> None:
    async with watching(source_at(redis)) as looks:
        await looks.until("old")

        for value in ("new", "top"):
            publish(redis, value)
            await looks.until(value)


async def test_what_is_merely_set_is_seen_by_notices_of_keys(redis: RedisServer) -> None:
    redis.ask("CONFIG", "SET", "notify-keyspace-events", "KA")
    async with watching(source_at(redis)) as looks:
        await looks.until("old")

        redis.ask("SET", KEY, "new")
        await looks.until("new")
        redis.ask("DEL", KEY)
        await looks.until("no such key")


def source_for_bobby(redis: RedisServer, interval_s: float, *channels: str) -> RedisSource:
    """Who may do anything but listen, if not at these channels."""
    rules = ("on", ">pw", "~*", "+@all", "resetchannels", *channels)
    assert redis.ask("ACL", "SETUSER", "bobby", *rules) == b"+OK\r\n"
    return RedisSource(f"{redis.url.replace('//', '//bobby:pw@')}/{KEY}", interval_s)


async def test_one_channel_that_is_open_to_us_is_enough(redis: RedisServer) -> None:
    redis.ask(
        "ACL", "SETUSER", "bobby", "on", ">pw", "~*", "+@all", "resetchannels", "&toolproxy:*"
    )
    source = RedisSource(f"redis://bobby:pw@127.0.0.1:{redis.port}/{KEY}", NEVER_S)
    async with watching(source) as looks:
        await looks.until("old")

        publish(redis, "new")
        await looks.until("new")


async def test_where_no_channel_is_open_to_us_it_is_polled_and_said_once(
    redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_source, "_AGAIN_MOST_S", 0.01)
    source = source_for_bobby(redis, 0.01)
    async with watching(source) as looks:
        await looks.until("old")
        publish(redis, "new")
        await looks.until("new")

    assert caplog.text.count("No notices of") == 1
    assert "bobby" not in caplog.text


def is_heard(source: RedisSource, redis: RedisServer) -> bool:
    publish(redis, "top")
    return source._losses == 0


async def test_what_is_published_once_a_killed_redis_is_back_is_seen_each_time(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(source_at(redis)) as looks:
        await looks.until("old")

        for value in ("new", "newer"):
            redis.dies()
            await asyncio.to_thread(redis.comes_up)
            publish(redis, value)
            await looks.until(value)
            assert await asyncio.to_thread(eventually, lambda: is_heard(looks.source, redis))

    assert caplog.text.count("No notices of") == 2


def test_a_subscription_is_tried_again_soon_enough_for_two_seconds() -> None:
    assert redis_source._AGAIN_MOST_S + 0.1 < 2.0


async def test_a_connection_that_is_silent_is_asked_and_given_up(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_source, "SILENT_FOR_S", 0.05)
    async with watching(source_at(redis)) as looks:
        await looks.until("old")
        redis.stops()
        assert await asyncio.to_thread(eventually, lambda: "no answer" in caplog.text)
        redis.goes_on()

        publish(redis, "new")
        await looks.until("new")


async def test_a_storm_of_notices_ends_in_a_look_at_the_last_value(redis: RedisServer) -> None:
    async with watching(source_at(redis)) as looks:
        await looks.until("old")

        for number in range(300):
            publish(redis, f"value {number}")
        await looks.until("value 299")

    assert len(looks.seen) < 300
