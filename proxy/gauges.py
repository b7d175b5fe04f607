"""Numbers of the moment: what a scrape asks of the door, the pools and the registry."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

from proxy.data_plane.door import Door
from proxy.data_plane.pool import Pool, Pools
from proxy.registry.live import LiveRegistry
from proxy.telemetry.metrics import Gauge


def gauges(door: Door, pools: Pools, registry: LiveRegistry) -> Iterator[Gauge]:
    """All of them; each is asked anew at every scrape."""
    yield Gauge(
        "toolproxy_open_connections", "Callers' connections.", (), lambda: [((), door.connections)]
    )
    yield Gauge(
        "toolproxy_upstream_connections",
        "Connections to upstreams.",
        ("server", "state"),
        lambda: _sums(pools, lambda it: {"idle": it.idle, "busy": it.busy, "queued": it.queued}),
    )
    yield Gauge(
        "toolproxy_upstream_connects",
        "Connects to upstreams, by how they went.",
        ("server", "result"),
        lambda: _sums(pools, lambda it: {"success": it.connects, "failure": it.connect_failures}),
        CounterMetricFamily,
    )
    yield Gauge(
        "toolproxy_endpoint_health",
        "1 while an endpoint may be used.",
        ("server", "endpoint"),
        lambda: (
            ((each.namespace, each.address.url), each.health.usable)
            for each in registry.current.endpoints()
        ),
    )
    yield Gauge(
        "toolproxy_registry_reloads",
        "Registry texts by what became of them.",
        ("result",),
        lambda: [((result,), count) for result, count in registry.reloads.items()],
        CounterMetricFamily,
    )
    yield Gauge(
        "toolproxy_registry_generation",
        "The registry in force.",
        ("generation", "sha256"),
        lambda: [((str(registry.current.generation), registry.current.identity), 1)],
        InfoMetricFamily,
    )


def _sums(
    pools: Pools, numbers: Callable[[Pool], dict[str, int]]
) -> Iterable[tuple[tuple[str, ...], float]]:
    """Numbers of all pools of a server, added up."""
    sums: Counter[tuple[str, ...]] = Counter()
    for pool in pools:
        for word, number in numbers(pool).items():
            sums[pool.endpoint.namespace, word] += number
    return sums.items()
