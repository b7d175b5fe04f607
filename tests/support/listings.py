"""A registry that runs, made of what stands between the braces of its entries."""

from collections.abc import Callable

from proxy.config.settings import Settings
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import succeed
from proxy.registry.surroundings import Surroundings

RULES = LoadRules.of(Settings())


def live_registry(
    *servers: str, is_set: Callable[[str], bool] = lambda _: True, moment: float = 0.0
) -> LiveRegistry:
    registry = LiveRegistry(RULES, {})
    next_generation(registry, *servers, is_set=is_set, moment=moment)
    return registry


def next_generation(
    registry: LiveRegistry,
    *servers: str,
    is_set: Callable[[str], bool] = lambda _: True,
    moment: float = 0.0,
) -> None:
    """Swap, as a reload does."""
    entries = "".join(f"- {{{server}}}\n" for server in servers) or " []"
    loaded = load(f"servers:\n{entries}".encode(), "registry.yaml", RULES, {})
    assert len(loaded.servers) == len(servers), loaded.findings
    around = Surroundings(lambda _: "secret", is_set, registry, moment)
    *_, new = succeed(registry.current, loaded, around)
    registry._swap(new, loaded, 0.0)
