"""Facts about names that move: when they are asked for, by whom, and who waits for that."""

import asyncio

import pytest

from proxy.registry import names
from tests.support.clusters import NAME, urls
from tests.support.naming import Registry, Resolver, until

# --- when they are asked for ---


async def test_failed_call_has_its_name_asked_for_again(
    resolver: Resolver, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_EVERY_S", 3600.0)
    monkeypatch.setattr(names, "_APART_S", 0.002)
    resolver.says["svc"] = ("10.0.0.1",)
    cluster = registry.says(NAME)
    await until(lambda: registry.moves > 0 or cluster.endpoints[0].ip != "")

    registry.names.doubted(cluster.endpoints[0])

    await until(lambda: len(resolver.asked) == 2)


async def test_failed_calls_have_a_name_asked_for_no_more_often_than_may_be(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says["svc"] = ("10.0.0.1",)
    cluster = registry.says(NAME)
    began = asyncio.get_running_loop().time()
    moments: list[float] = []

    while len(moments) < 3:
        registry.names.doubted(cluster.endpoints[0])
        await asyncio.sleep(0.001)
        if len(resolver.asked) > len(moments):
            moments.append(asyncio.get_running_loop().time() - began)

    assert (moments[1] > 0.45, moments[2] > 0.95) == (True, True)


async def test_failed_call_at_an_address_that_is_no_name_asks_nobody(
    resolver: Resolver, registry: Registry
) -> None:
    cluster = registry.says("endpoints: ['http://10.0.0.1']")

    registry.names.doubted(cluster.endpoints[0])

    await asyncio.sleep(0)
    assert (resolver.asked, repr(registry.names)) == ([], "<Names 0>")


async def test_look_ups_at_once_are_one(resolver: Resolver, registry: Registry) -> None:
    resolver.says["svc"] = ("10.0.0.1",)
    resolver.hanging = {"svc"}
    registry.says(NAME)
    calls = [asyncio.get_running_loop().create_task(registry.names.resolve("svc")) for _ in "123"]
    await until(lambda: len(resolver.asked) == 1)

    resolver.released.set()

    assert (await asyncio.gather(*calls), resolver.asked) == ([("10.0.0.1",)] * 3, ["svc"])


async def test_caller_that_gives_up_does_not_end_the_look_up_of_others(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says["svc"] = ("10.0.0.1",)
    resolver.hanging = {"svc"}
    leaves, stays = (
        asyncio.get_running_loop().create_task(registry.names.resolve("svc")) for _ in "12"
    )
    await until(lambda: len(resolver.asked) == 1)

    leaves.cancel()
    await asyncio.sleep(0)
    resolver.released.set()

    assert (await stays, leaves.cancelled()) == (("10.0.0.1",), True)


async def test_name_that_hangs_delays_no_other(resolver: Resolver, registry: Registry) -> None:
    resolver.hanging = {"slow"}
    resolver.says["svc"] = ("10.0.0.1",)
    registry.says("endpoints: ['http://slow']")
    await until(lambda: resolver.asked == ["slow"])

    cluster = registry.says("endpoints: ['http://slow', 'http://svc']")

    await until(lambda: urls(cluster) == ["http://slow:80", "http://10.0.0.1:80"])


async def test_calls_to_a_name_without_an_answer_do_not_ask_each_time(
    resolver: Resolver, registry: Registry
) -> None:
    registry.says(NAME)
    for _ in range(20):
        with pytest.raises(OSError, match="not known"):
            await registry.names.resolve("svc")

    assert len(resolver.asked) < 10


# --- the registry changes ---


async def test_name_that_is_not_in_the_registry_any_more_is_asked_for_no_more(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says.update(svc=("10.0.0.1",), other=("10.0.0.9",))
    registry.says(NAME)
    await until(lambda: registry.moves > 0 or bool(resolver.asked))

    cluster = registry.says("endpoints: ['http://other']")

    await until(lambda: urls(cluster) == ["http://10.0.0.9:80"])
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    assert (repr(registry.names), len(tasks)) == ("<Names 1>", 1)


async def test_new_server_of_a_known_name_gets_its_answer_soon(
    resolver: Resolver, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "_EVERY_S", 3600.0)
    monkeypatch.setattr(names, "_APART_S", 0.002)
    resolver.says["svc"] = ("10.0.0.1",)
    one = registry.says(NAME)
    await until(lambda: one.endpoints[0].ip != "")

    registry.says(NAME, "- {namespace: p, name: p, endpoints: ['http://svc:8']}\n")

    other = registry.current.servers[b"p"].cluster
    await until(lambda: urls(other) == ["http://10.0.0.1:8"])


async def test_end_waits_for_no_resolver(resolver: Resolver) -> None:
    registry = Registry()
    resolver.hanging = {"svc"}
    registry.says(NAME)
    await until(lambda: resolver.asked == ["svc"])

    async with asyncio.timeout(5):
        await registry.names.stop()

    assert repr(registry.names) == "<Names 0>"
