"""Facts about since when a server is known, and its entry as it is."""

import pytest

from proxy.registry.live import LiveRegistry
from proxy.registry.snapshot import Since
from tests.support.listings import live_registry, next_generation

A = "namespace: a, name: host-a, port: 81, tools: [{name: t}]"
RESOLVED_ANEW = "inject_headers: {x-a: b}"


def since(registry: LiveRegistry) -> Since:
    return registry.current.servers[b"a"].since


def test_new_server_is_known_since_its_generation() -> None:
    registry = live_registry(A, moment=10.0)

    assert since(registry) == Since(10.0, 10.0)


@pytest.mark.parametrize(
    "entry", [A, f"{A}, {RESOLVED_ANEW}"], ids=["same-object", "resolved-anew"]
)
def test_same_entry_is_not_updated(entry: str) -> None:
    registry = live_registry(entry, moment=10.0)

    next_generation(registry, entry, moment=20.0)

    assert since(registry) == Since(10.0, 10.0)


@pytest.mark.parametrize("entry", [f"{A}, rate: 1/s", A.replace("81", "82")])
def test_other_entry_is_updated_and_stays_known(entry: str) -> None:
    registry = live_registry(A, moment=10.0)

    next_generation(registry, entry, moment=20.0)

    assert since(registry) == Since(10.0, 20.0)


def test_server_that_comes_back_is_new() -> None:
    registry = live_registry(A, moment=10.0)
    next_generation(registry, moment=20.0)

    next_generation(registry, A, moment=30.0)

    assert since(registry) == Since(30.0, 30.0)
