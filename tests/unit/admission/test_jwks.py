"""Facts about keys that a server publishes: when they are asked for, and what holds meanwhile."""

import asyncio
import gzip
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trustme

from proxy.admission.jwks import KeysAwayError, RemoteKeys
from proxy.admission.key_documents import ASYMMETRIC, KeySet
from tests.support.token_issuer import Clock, KeyServer, key_set, signer

FIRST = signer()
SECOND = signer(kid="second")


async def names(asking: Callable[[], Awaitable[KeySet]]) -> list[str | None] | str:
    """The names of the keys that there are, or why there are none."""
    try:
        keys = await asking()
    except KeysAwayError as error:
        return str(error)
    return [key.kid for key in keys]


def nothing() -> None:
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


def remote(server: KeyServer, clock: Clock, tls: ssl.SSLContext | None = None) -> RemoteKeys:
    return RemoteKeys(server.url, ASYMMETRIC, nothing, clock=clock, tls=tls)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        pytest.param("http://issuer.example/keys", "must begin with https", id="http"),
        pytest.param("http://10.0.0.1/keys", "must begin with https", id="http-to-an-address"),
        pytest.param("http://localhost.evil/keys", "must begin with https", id="like-localhost"),
        pytest.param("https:///keys", "must name a host", id="no-host"),
        pytest.param("https://issuer.example:99999/", "Port out of range", id="port"),
    ],
)
def test_keys_come_from_nowhere_that_others_can_change_them(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        RemoteKeys(url, ASYMMETRIC, nothing)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/", "http://127.0.0.9:1/", "http://[::1]:1/", "HTTPS://a.example/"]
)
def test_loopback_hosts_need_no_tls(url: str) -> None:
    assert repr(RemoteKeys(url, ASYMMETRIC, nothing)) == "<RemoteKeys 0 keys>"


async def test_keys_are_fetched_by_https_from_whom_we_trust(clock: Clock) -> None:
    authority = trustme.CA()
    theirs = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(theirs)
    ours = ssl.create_default_context()
    authority.configure_trust(ours)

    async with KeyServer(key_set(FIRST), theirs) as server:
        trusted, stranger = remote(server, clock, ours), remote(server, clock)
        found = await names(trusted.current), await names(stranger.current)

    assert found == (["first"], "the request failed: ClientConnectorCertificateError")


async def test_callers_at_once_share_a_fetch(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        keys = remote(server, clock)
        found = await asyncio.gather(*(names(keys.current) for _ in range(20)))

    assert (found, server.fetches) == ([["first"]] * 20, 1)


async def test_fetch_that_takes_long_is_joined_by_who_comes_late(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        server.open.clear()
        keys = remote(server, clock)
        async with asyncio.TaskGroup() as group:
            early = group.create_task(names(keys.current))
            await server.arrived.wait()
            clock.now = 60
            late = group.create_task(names(keys.current))
            await asyncio.sleep(0)
            server.open.set()

    assert (early.result(), late.result(), server.fetches) == (["first"], ["first"], 1)


async def test_caller_who_leaves_leaves_the_fetch_to_the_others(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        server.open.clear()
        keys = remote(server, clock)
        async with asyncio.TaskGroup() as group:
            leaves, stays = (group.create_task(names(keys.current)) for _ in range(2))
            await server.arrived.wait()
            leaves.cancel()
            server.open.set()

    assert (stays.result(), server.fetches) == (["first"], 1)


@pytest.mark.parametrize(
    ("cache_control", "fresh_for_s"),
    [
        pytest.param("", 600, id="unsaid"),
        pytest.param("no-store", 600, id="no-store"),
        pytest.param("public, max-age=1200", 1200, id="said"),
        pytest.param("MAX-AGE=5", 60, id="too-short"),
        pytest.param("max-age=86400", 3600, id="too-long"),
        pytest.param("x-max-age=120", 600, id="another-directive"),
        pytest.param("max-age=soon", 600, id="no-number"),
        pytest.param("max-age=" + "9" * 5_000, 600, id="endless-number"),
    ],
)
async def test_set_is_fresh_for_as_long_as_its_server_says_within_bounds(
    clock: Clock, cache_control: str, fresh_for_s: float
) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        server.headers["Cache-Control"] = cache_control
        keys = remote(server, clock)
        counts = []
        for clock.now in (0, fresh_for_s - 0.1, fresh_for_s):
            await keys.current()
            await keys._answered()
            counts.append(server.fetches)
        await keys.close()

    assert counts == [1, 1, 2]


async def test_refresh_delays_nobody_and_takes_away_what_is_gone(clock: Clock) -> None:
    told: list[str] = []
    async with KeyServer(key_set(FIRST, SECOND)) as server:
        keys = RemoteKeys(server.url, ASYMMETRIC, lambda: told.append("changed"), clock=clock)
        before = await names(keys.current)
        server.body = key_set(SECOND)
        server.open.clear()
        clock.now = 600
        meanwhile = await names(keys.current)
        server.open.set()
        await keys._answered()
        after = await names(keys.current)

    assert (before, meanwhile, after) == (["first", "second"], ["first", "second"], ["second"])
    assert told == ["changed", "changed"]


async def test_after_a_silence_no_key_is_believed_before_it_was_asked_for(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST, SECOND)) as server:
        keys = remote(server, clock)
        await keys.current()
        server.body = key_set(SECOND)
        clock.now = 660

        found = await asyncio.gather(names(keys.current), names(keys.current))

    assert (list(found), server.fetches) == ([["second"], ["second"]], 2)


async def test_set_that_stays_the_same_is_no_change(clock: Clock) -> None:
    told: list[str] = []
    async with KeyServer(key_set(FIRST)) as server:
        keys = RemoteKeys(server.url, ASYMMETRIC, lambda: told.append("changed"), clock=clock)
        await keys.current()
        await keys.renewed()

    assert (told, server.fetches) == (["changed"], 2)


async def test_set_is_renewed_once_a_minute_at_most(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        keys = remote(server, clock)
        await keys.current()
        counts = []
        for clock.now in (1, 2, 60.9, 61):
            await asyncio.gather(*(keys.renewed() for _ in range(10)))
            counts.append(server.fetches)

    assert counts == [2, 2, 2, 3]


async def test_server_that_is_away_leaves_the_set_as_it_was_for_a_day(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        keys = remote(server, clock)
        await keys.current()
    found = []
    for clock.now in (700, 706, 86_399, 86_400):
        found.append(await names(keys.current))

    assert found == [["first"]] * 3 + ["the request failed: ClientConnectorError"]
    assert caplog.messages == [
        "the keys for tokens can't be fetched: the request failed: ClientConnectorError"
    ]


async def test_without_a_set_the_server_is_asked_again_every_few_seconds(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        server.status = 503
        keys = remote(server, clock)
        found, counts = [], []
        for clock.now, server.status in ((0, 503), (4.9, 200), (5, 200)):
            found.append(await names(keys.current))
            counts.append(server.fetches)

    assert found == ["the server answered 503", "the server answered 503", ["first"]]
    assert counts == [1, 1, 2]


@pytest.mark.parametrize(
    ("body", "status", "headers", "reason"),
    [
        pytest.param(
            b"",
            302,
            {"Location": "/keys"},
            "the server sends us elsewhere: jwks_url must be the last address",
            id="redirect",
        ),
        pytest.param(b"<html>", 200, {}, "expected a JWK set: this is no JSON", id="page"),
        pytest.param(b"[]", 200, {}, "expected a JWK set: an object with a list `keys`", id="list"),
        pytest.param(
            b" " * 1_048_577, 200, {}, "the answer is larger than 1048576 bytes", id="large"
        ),
        pytest.param(
            gzip.compress(key_set(FIRST)),
            200,
            {"Content-Encoding": "gzip"},
            "expected a JWK set: this is no JSON",
            id="compressed",
        ),
    ],
)
async def test_odd_answer_is_no_set(
    clock: Clock, body: bytes, status: int, headers: dict[str, str], reason: str
) -> None:
    async with KeyServer(body) as server:
        server.status, server.headers = status, headers
        keys = remote(server, clock)

        assert (await names(keys.current), server.fetches) == (reason, 1)


async def test_server_that_hangs_is_waited_for_so_long(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.admission.jwks._FETCH_TIMEOUT_S", 0.05)
    async with KeyServer() as server:
        server.open.clear()

        assert await names(remote(server, clock).current) == "no answer in 0.05 s"


async def test_set_without_a_key_takes_all_keys_away(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        keys = remote(server, clock)
        await keys.current()
        server.body = key_set()

        assert await names(keys.renewed) == []


async def test_who_waits_for_a_fetch_gets_it_when_all_is_closed(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        server.open.clear()
        keys = remote(server, clock)
        async with asyncio.TaskGroup() as group:
            waits = group.create_task(names(keys.current))
            await server.arrived.wait()
            closing = group.create_task(keys.close())
            await asyncio.sleep(0)
            server.open.set()

    assert (waits.result(), closing.done(), server.fetches) == (["first"], True, 1)


async def test_nothing_is_fetched_once_closed(clock: Clock) -> None:
    async with KeyServer(key_set(FIRST)) as server:
        keys = remote(server, clock)
        await keys.close()

        assert (await names(keys.current), server.fetches) == (
            "nobody fetches them any more",
            0,
        )
