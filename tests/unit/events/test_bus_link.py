"""Addresses of Redis: what they may be, and that nobody sees the password."""

import asyncio
import sys
from typing import Final

import pytest

from proxy.events.bus_link import Address, BusError, BusUnavailableError
from tests.support.redis_server import StartRedis

SECRETS: Final = ("ann", "p%40ss", "p@ss")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://host", "redis://host"),
        ("redis://host:1234/5", "redis://host:1234/5"),
        ("redis://:p%40ss@host", "redis://***@host"),
        ("rediss://ann:p%40ss@host:1?ssl_cert_reqs=none", "rediss://***@host:1"),
        ("unix:///run/redis.sock?db=2&password=p%40ss", "unix:///run/redis.sock"),
        ("unix://ann:p%40ss@/run/redis.sock", "unix://***@/run/redis.sock"),
        ("redis://[::1]:6379", "redis://[::1]:6379"),
    ],
)
def test_an_address_is_shown_without_secrets(url: str, words: str) -> None:
    assert (str(Address(url)), repr(Address(url))) == (words, f"<Address {words}>")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://host", id="http"),
        pytest.param("host:6379", id="no-scheme"),
        pytest.param("redis://ann:p@ss/word@host", id="slash-in-the-password"),
        pytest.param("redis://:12#p@ss@host", id="hash-in-the-password"),
        pytest.param("redis://:12/p@ss@host", id="password-like-a-port"),
        pytest.param("unix://ann:p@ss/run/redis.sock", id="unix-with-host"),
        pytest.param("unix://ann:12/p@ss/run/redis.sock", id="unix-with-slash"),
        pytest.param("unix://", id="unix-without-path"),
        pytest.param("redis://ann:p@ss@host:port", id="port-is-a-word"),
        pytest.param("redis://host?no_such_option=p@ss", id="unknown-option"),
        pytest.param("redis://[::1", id="half-an-address"),
        pytest.param("redis://host?protocol=p@ss&db=x", id="option-of-another-kind"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BusUnavailableError, match=r"^events\.bus") as refused:
        Address(url)

    assert refused.value.__suppress_context__
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


def test_without_the_extra_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(BusUnavailableError) as refused:
        Address("redis://host")

    told = "events.bus needs the extra: pip install 'toolproxy[redis]'"
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        pytest.param(OSError("p%40ss is wrong"), "*** is wrong", id="as-written"),
        pytest.param(OSError("p@ss is wrong"), "*** is wrong", id="as-meant"),
        pytest.param(ValueError("a\r\nb\x1b[2J"), "a b [2J", id="control-characters"),
        pytest.param(EOFError(), "EOFError", id="without-words"),
        pytest.param(OSError("x" * 10_000), "x" * 300, id="long"),
    ],
)
async def test_a_failure_is_told_in_one_masked_line(failure: Exception, told: str) -> None:
    with pytest.raises(BusError) as lost:
        async with Address("redis://ann:p%40ss@host").within(1):
            raise failure

    assert str(lost.value) == told


async def test_what_takes_longer_is_a_failure() -> None:
    with pytest.raises(BusError, match="no answer within"):
        async with Address("redis://host").within(0.01):
            await asyncio.Event().wait()


async def test_a_defect_of_ours_is_not_taken_for_one_of_redis() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Address("redis://host").within(1):
            raise ZeroDivisionError


@pytest.mark.parametrize(
    ("url", "database"), [("redis://host", 0), ("redis://host/5", 5), ("redis://host?db=7", 7)]
)
def test_the_database_is_known(url: str, database: int) -> None:
    assert Address(url).database == database


async def test_what_was_subscribed_to_is_heard(start_redis: StartRedis) -> None:
    redis = start_redis()
    async with Address(redis.url).link(10.0) as link:
        await link.ask(b"SUBSCRIBE", b"news", within_s=10.0)
        silence = await link.hear(0.01)
        redis.ask("PUBLISH", "news", "x")

        assert (silence, await link.hear(10.0)) == (None, [b"message", b"news", b"x"])
