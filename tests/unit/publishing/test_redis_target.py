"""Facts about publishing to a Redis key, with a real Redis."""

import socket
from typing import Final

import pytest

from proxy.events.bus_link import Link
from proxy.people.unusable import UnusableError
from proxy.publishing import redis_target
from proxy.publishing.redis_target import RedisTarget
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There
from tests.support.redis_server import RedisServer, StartRedis
from tests.support.signatures import signed

DOCUMENT: Final[dict[str, object]] = {"servers": []}
OLD, NEW = (Parcel(b"", b'{"servers":[]}', signed(DOCUMENT, version=n)) for n in (1, 2))
KEY: Final = "registry:prod"


@pytest.fixture
def redis(start_redis: StartRedis) -> RedisServer:
    return start_redis()


def target_at(redis: RedisServer, key: str = KEY) -> RedisTarget:
    return RedisTarget(f"{redis.url}/{key}")


def quiet(gone: int, total: int) -> None:
    raise AssertionError((gone, total))


def test_what_was_put_lies_there(redis: RedisServer) -> None:
    target = target_at(redis)
    nothing = target.look()

    target.put(NEW, nothing, quiet)

    assert (nothing, target.look()) == (None, There(NEW.artifact))


def test_the_notice_has_the_identity(redis: RedisServer) -> None:
    with socket.create_connection(("127.0.0.1", redis.port), 10) as listener:
        listener.sendall(f"SUBSCRIBE toolproxy:{KEY}\r\n".encode())
        assert b"subscribe" in listener.recv(1000)

        target_at(redis).put(NEW, None, quiet)

        told = listener.recv(1000)
    assert NEW.signed is not None
    assert NEW.signed.envelope.registry_sha256.encode() in told


@pytest.mark.parametrize("before", [None, There(OLD.artifact)], ids=["nothing", "another"])
def test_what_was_put_meanwhile_stays(redis: RedisServer, before: There | None) -> None:
    redis.ask("SET", KEY, "of somebody else")

    with pytest.raises(RefusedError, match="by somebody else meanwhile"):
        target_at(redis).put(NEW, before, quiet)

    assert target_at(redis).look() == There(b"of somebody else")


def test_what_is_put_between_the_look_and_the_transaction_stays(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = target_at(redis)
    real = RedisTarget._value

    async def overtaken(self: RedisTarget, link: Link) -> There | None:
        found = await real(self, link)
        redis.ask("SET", KEY, "of somebody else")
        return found

    monkeypatch.setattr(RedisTarget, "_value", overtaken)
    with pytest.raises(RefusedError, match="by somebody else meanwhile"):
        target.put(NEW, None, quiet)

    monkeypatch.undo()
    assert target.look() == There(b"of somebody else")


def test_the_database_is_that_of_the_url(redis: RedisServer) -> None:
    target_at(redis, f"7/{KEY}").put(NEW, None, quiet)

    assert (target_at(redis).look(), target_at(redis, f"7/{KEY}").look()) == (
        None,
        There(NEW.artifact),
    )


def test_who_may_not_tell_may_not_set(redis: RedisServer) -> None:
    rights = ("ACL", "SETUSER", "bob", "on", ">p%40ss", "~*", "+@all", "-publish")
    assert redis.ask(*rights).startswith(b"+OK")
    url = f"redis://bob:p%2540ss@127.0.0.1:{redis.port}/{KEY}"
    target = RedisTarget(url)

    with pytest.raises(RefusedError, match="publish") as error:
        target.put(NEW, None, quiet)

    assert ("p%40ss" in str(error.value), target_at(redis).look()) == (False, None)


def test_a_value_of_another_kind_is_refused(redis: RedisServer) -> None:
    redis.ask("LPUSH", KEY, "a")

    with pytest.raises(RefusedError, match="WRONGTYPE"):
        target_at(redis).look()


def test_a_value_too_large_is_not_fetched(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_target, "MAX_BYTES", 3)
    redis.ask("SET", KEY, "four")

    with pytest.raises(RefusedError, match="larger than"):
        target_at(redis).look()


def test_nobody_there_is_one_sentence(redis: RedisServer) -> None:
    redis.dies()

    with pytest.raises(RefusedError, match="redis://127") as error:
        target_at(redis).look()

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["redis://host", "redis://host/3", "redis://u:secret@host/a/b/c"])
def test_what_names_no_key_is_refused(url: str) -> None:
    with pytest.raises(UnusableError, match="TARGET names no key") as error:
        RedisTarget(url)

    assert "secret" not in str(error.value)
