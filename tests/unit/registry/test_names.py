"""Facts about names that move: what an answer changes, what is not used, what the system says."""

import socket

import pytest

from proxy.registry.names import look_up
from tests.support.clusters import NAME, urls
from tests.support.naming import Registry, Resolver, until

# --- what an answer changes ---


async def test_every_address_of_a_name_becomes_an_endpoint(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says["svc"] = ("10.0.0.1", "10.0.0.2")

    cluster = registry.says(NAME)

    await until(lambda: len(cluster.endpoints) == 2)
    assert (urls(cluster), registry.moves) == (["http://10.0.0.1:80", "http://10.0.0.2:80"], 1)


@pytest.mark.usefixtures("impatient")
async def test_addresses_that_are_gone_are_given_up(resolver: Resolver, registry: Registry) -> None:
    resolver.says["svc"] = ("10.0.0.1", "10.0.0.2")
    cluster = registry.says(NAME)
    await until(lambda: len(cluster.endpoints) == 2)
    stays = cluster.endpoints[1]

    resolver.says["svc"] = ("10.0.0.2", "10.0.0.3")

    await until(lambda: registry.moves == 2)
    assert (registry.gone, cluster.endpoints[0] is stays) == (["http://10.0.0.1:80"], True)


@pytest.mark.usefixtures("impatient")
async def test_answer_that_stays_moves_nothing(resolver: Resolver, registry: Registry) -> None:
    resolver.says["svc"] = ("10.0.0.1",)
    registry.says(NAME)

    await until(lambda: len(resolver.asked) > 9)

    assert registry.moves == 1


@pytest.mark.usefixtures("impatient")
async def test_failure_keeps_the_last_good_answer_and_is_logged_once(
    resolver: Resolver, registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    resolver.says["svc"] = ("10.0.0.1", "10.0.0.2")
    cluster = registry.says(NAME)
    await until(lambda: len(cluster.endpoints) == 2)

    resolver.says["svc"] = OSError(-3, "Temporary failure in name resolution")
    asked = len(resolver.asked)
    await until(lambda: len(resolver.asked) > asked + 5)

    assert (urls(cluster), registry.moves) == (["http://10.0.0.1:80", "http://10.0.0.2:80"], 1)
    assert caplog.text.count("svc can't be resolved: Temporary failure") == 1


@pytest.mark.usefixtures("impatient")
async def test_name_that_could_not_be_resolved_is_taken_up_when_it_can(
    resolver: Resolver, registry: Registry
) -> None:
    cluster = registry.says(NAME)
    await until(lambda: len(resolver.asked) > 2)
    before = urls(cluster)

    resolver.says["svc"] = ("10.0.0.1",)

    await until(lambda: registry.moves > 0 or urls(cluster) != before)
    assert (before, urls(cluster)) == (["http://svc:80"], ["http://10.0.0.1:80"])


async def test_name_of_two_servers_is_asked_for_once_and_answered_to_both(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says["svc"] = ("10.0.0.1", "10.0.0.2")

    one = registry.says(NAME, "- {namespace: p, name: p, endpoints: ['http://svc:8']}\n")
    other = registry.current.servers[b"p"].cluster

    await until(lambda: len(one.endpoints) == len(other.endpoints) == 2)
    assert (resolver.asked, urls(other)) == (
        ["svc"],
        ["http://10.0.0.1:8", "http://10.0.0.2:8"],
    )


# --- what may not be used ---


async def test_denied_addresses_are_never_used(resolver: Resolver, registry: Registry) -> None:
    registry.deny = ("169.254.0.0/16", "10.0.0.2/32")
    resolver.says["svc"] = ("10.0.0.1", "10.0.0.2", "169.254.1.1")

    cluster = registry.says(NAME)

    await until(lambda: registry.moves > 0 or cluster.endpoints[0].ip != "")
    assert urls(cluster) == ["http://10.0.0.1:80"]


async def test_name_that_stands_for_nothing_allowed_is_an_error(
    resolver: Resolver, registry: Registry
) -> None:
    registry.deny = ("10.0.0.0/8",)
    resolver.says["svc"] = ("10.0.0.1", "::ffff:10.0.0.2")

    with pytest.raises(PermissionError, match=r"upstreams\.deny"):
        await registry.names.resolve("svc")


@pytest.mark.usefixtures("impatient")
async def test_address_that_is_denied_later_is_used_no_more(
    resolver: Resolver, registry: Registry
) -> None:
    resolver.says["svc"] = ("10.0.0.1",)
    cluster = registry.says(NAME)
    await until(lambda: urls(cluster) == ["http://10.0.0.1:80"])

    registry.deny = ("10.0.0.0/8",)
    asked = len(resolver.asked)
    await until(lambda: len(resolver.asked) > asked + 5)

    assert "http://10.0.0.1:80" not in urls(cluster)


# --- the system's answer ---


def found(*ips: str) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    """What `getaddrinfo` gives for these addresses, in this order."""
    return [
        (socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0))
        for ip in ips
    ]


@pytest.mark.parametrize(
    ("answer", "ips"),
    [
        pytest.param(("10.0.0.2", "10.0.0.1"), ("10.0.0.1", "10.0.0.2"), id="order"),
        pytest.param(("10.0.0.1", "10.0.0.1"), ("10.0.0.1",), id="twice"),
        pytest.param(("10.0.0.1", "fd00::1"), ("10.0.0.1",), id="ipv4-first"),
        pytest.param(("fd00::2", "10.0.0.1", "fd00::1"), ("fd00::1", "fd00::2"), id="ipv6-first"),
    ],
)
def test_answer_is_of_one_family_and_its_order_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[str, ...], ips: tuple[str, ...]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found(*answer))

    assert look_up("svc") == ips


async def test_name_that_dns_could_not_know_is_an_error_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    registry = Registry()

    with pytest.raises(OSError, match="not a name"):
        await registry.names.resolve("x" * 70)

    await registry.names.stop()
