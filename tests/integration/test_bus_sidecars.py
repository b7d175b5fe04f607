"""Two sidecars on one Redis: who listens to either hears all, and may move between them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import orjson
import pytest

from tests.support.caller import Caller
from tests.support.messages import message, post
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin
from tests.support.waiting import eventually

KEY: Final = "toolproxy:events"
CALL: Final = post("/tools/one.call")


@dataclass(frozen=True)
class Message:
    """One message of the event stream."""

    kind: str
    name: str
    event: dict[str, object]

    @property
    def event_id(self) -> object:
        return self.event.get("event_id")


class Listener:
    """Reads an event stream of calls, plain as HTTP/1.0 gets it."""

    def __init__(self, sidecar: Sidecar, last_id: str = "") -> None:
        self._caller = sidecar.caller()
        fields = [b"Last-Event-ID: " + last_id.encode()] if last_id else []
        self._caller.send(message(b"GET /events?types=tool_invoked HTTP/1.0", *fields))
        head = self._caller.until(b"\r\n\r\n")
        assert b" 200 " in head, head

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._caller.__exit__()

    def hears(self, count: int) -> list[Message]:
        return [self.next() for _ in range(count)]

    def next(self) -> Message:
        fields: dict[str, str] = {}
        while "data" not in fields:
            for line in self._caller.until(b"\n\n").decode().split("\n"):
                name, _, value = line.partition(": ")
                fields[name] = value
        return Message(fields.get("event", ""), fields.get("id", ""), orjson.loads(fields["data"]))


class Site:
    """Sidecars with one registry and one Redis."""

    def __init__(self, directory: Path, redis: RedisServer, upstream: str) -> None:
        self._directory = directory
        self._stack = contextlib.ExitStack()
        self._redis = redis
        self._servers = registry(server("one", upstream))

    def start(self, name: str) -> Sidecar:
        directory = self._directory / name
        directory.mkdir()
        sidecar = Sidecar(directory, self._servers, {"events": {"bus": self._redis.url}})
        self._stack.callback(sidecar.close)
        assert eventually(lambda: sidecar.said("events.bus: connected"))
        return sidecar

    def close(self) -> None:
        self._stack.close()


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    return start_redis(keeps=True)


@pytest.fixture
def site(tmp_path: Path, redis: RedisServer, start_origin: StartOrigin) -> Iterator[Site]:
    site = Site(tmp_path, redis, start_origin().url)
    yield site
    site.close()


def call(*sidecars: Sidecar, times: int = 1) -> None:
    for _ in range(times):
        for sidecar in sidecars:
            assert sidecar.ask(CALL).status == 200


def names(messages: list[Message]) -> list[object]:
    return [each.event_id for each in messages]


def test_who_listens_to_either_hears_all_in_one_order(site: Site) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a, Listener(b) as at_b:
        call(a, b, times=10)

        heard_a, heard_b = at_a.hears(20), at_b.hears(20)

    assert heard_a == heard_b
    assert len(set(names(heard_a))) == 20


def test_a_listener_goes_on_at_the_other_without_gap_or_repeat(site: Site) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a, Listener(b) as whole:
        call(a, b, times=5)
        before = at_a.hears(7)
        call(a, b, times=5)
        with Listener(b, before[-1].name) as at_b:
            call(b)
            after = at_b.hears(14)

        assert before + after == whole.hears(21)


def test_a_listener_goes_on_where_its_sidecar_was_started_anew(site: Site) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a, Listener(b) as whole:
        call(a, b, times=5)
        before = at_a.hears(4)
        a.close()
        call(b, times=3)
        with Listener(site.start("successor"), before[-1].name) as at_successor:
            assert before + at_successor.hears(9) == whole.hears(13)


def test_while_redis_hangs_calls_and_local_events_go_on(site: Site, redis: RedisServer) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a, Listener(b) as at_b:
        redis.stops()
        with a.caller() as caller:
            answers = [_answered(caller) for _ in range(50)]
        heard_a = at_a.hears(50)
        redis.goes_on()
        heard_b = at_b.hears(50)
        call(b)
        last_a, last_b = at_a.next(), at_b.next()

    assert answers == [200] * 50
    assert names(heard_a) == names(heard_b)
    assert last_a == last_b


def test_killed_and_back_each_listener_hears_each_event_once(
    site: Site, redis: RedisServer
) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a, Listener(b) as at_b:
        call(a, b, times=10)
        redis.dies()
        call(a, b, times=10)
        assert eventually(lambda: a.said("is away") and b.said("is away"))
        redis.comes_up()
        heard = names(at_a.hears(40)), names(at_b.hears(40))
        call(a)
        last = at_a.next(), at_b.next()

    assert len(set(heard[0])) == 40
    assert set(heard[0]) == set(heard[1])
    assert last[0] == last[1]


def test_who_comes_back_over_the_border_is_told_of_a_gap(site: Site, redis: RedisServer) -> None:
    a, b = site.start("a"), site.start("b")
    with Listener(a) as at_a:
        redis.dies()
        call(a)
        local = at_a.next()
        redis.comes_up()
        call(a)
        at_a.next()

    with Listener(b, local.name) as at_b:
        assert at_b.next().kind == "gap"


def _answered(caller: Caller) -> int:
    caller.send(CALL)
    return caller.answer().status
