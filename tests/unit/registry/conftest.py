"""A registry whose names are followed, and the resolver that it asks."""

from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.registry import names
from tests.support.naming import Registry, Resolver


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver()
    monkeypatch.setattr(names, "look_up", resolver)
    yield resolver
    resolver.released.set()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are asked for all the time."""
    monkeypatch.setattr(names, "_EVERY_S", 0.004)
    monkeypatch.setattr(names, "_APART_S", 0.002)


@pytest.fixture
async def registry(resolver: Resolver) -> AsyncIterator[Registry]:
    registry = Registry()
    yield registry
    resolver.released.set()
    await registry.names.stop()
