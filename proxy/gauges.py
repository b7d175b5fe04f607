"""Numbers of the moment: what a scrape asks of the door, the pools and the registry."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, InfoMetricFamily

from proxy.data_plane.door import Door
from proxy.data_plane.pool import Pool, Pools
from proxy.generations.registrar import Registrar
from proxy.listening.serving import Listening
from proxy.policy.circuit import State
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.telemetry.elsewhere import ACTIVE, ENDED, HOW_CALLS_END, IN_FLIGHT
from proxy.telemetry.metrics import Gauge


class Told(Protocol):
    """What works beside calls (see `recording` and `reporting`)."""

    def dropped(self) -> Iterable[tuple[str, int]]: ...

    def state(self) -> Iterable[tuple[str, str]]: ...


def carried(door: Door, pools: Pools, registry: LiveRegistry, told: Told) -> Iterator[Gauge]:
    """What every process that carries calls has; each is asked anew at every scrape."""
    yield Gauge(
        "toolproxy_open_connections",
        "Callers' connections.",
        (),
        lambda: [((), door.connections)],
        together="theirs",  # who asks the office has come through a worker
    )
    yield Gauge(
        "toolproxy_tunnels_open",
        "WebSockets between callers and upstreams.",
        (),
        lambda: [((), door.plane.tunnels)],
    )
    yield Gauge(
        "toolproxy_event_loop_lag_seconds",
        "By how much the event loop was late at worst, in the last 15 to 30 s.",
        (),
        lambda: [((), door.plane.lags.seconds)],
        together="max",
    )
    yield Gauge(
        "toolproxy_upstream_connections",
        "Connections to upstreams.",
        ("server", "state"),
        lambda: _sums(pools, lambda it: {"idle": it.idle, "busy": it.busy}),
    )
    yield Gauge(
        "toolproxy_upstream_connects",
        "Connects to upstreams, by how they went.",
        ("server", "result"),
        lambda: _sums(pools, lambda it: {"success": it.connects, "failure": it.connect_failures}),
        CounterMetricFamily,
    )
    yield Gauge(
        "toolproxy_queue_depth",
        "Calls that wait for their turn.",
        ("server",),
        lambda: _each_cluster(registry, lambda it: it.queued),
    )
    yield Gauge(
        "toolproxy_events_dropped",
        "Events, lines and spans that were lost on the way to where.",
        ("where",),
        lambda: [((where,), number) for where, number in told.dropped()],
        CounterMetricFamily,
    )
    yield Gauge(
        "toolproxy_reporting_problem",
        "1 while something beside calls does not work; /readyz says what.",
        ("where",),
        lambda: [((where,), bool(said)) for where, said in told.state()],
        together="max",
    )


def figures(registry: LiveRegistry) -> Iterator[Gauge]:
    """What `/health` adds up of processes that carry calls; no metrics."""
    yield Gauge(
        IN_FLIGHT, "", ("server",), lambda: _each_cluster(registry, lambda it: it.gate.busy)
    )
    yield Gauge(
        ACTIVE, "", ("server", "endpoint"), lambda: _each_endpoint(registry, lambda it: it.active)
    )
    yield Gauge(ENDED, "", ("server", "how"), lambda: _ended(registry), CounterMetricFamily)


def known(
    registrar: Registrar, subscribers: Callable[[], int], listening: Listening
) -> Iterator[Gauge]:
    """What is known once in a sidecar, however many processes carry its calls."""
    registry = registrar.live
    yield Gauge(
        "toolproxy_certificate_expiry_timestamp_seconds",
        "When a listener's certificate ends, in seconds since 1970; by its file.",
        ("certificate",),
        lambda: [((name,), ends_at) for name, ends_at in listening.expiries()],
        together="ours",
    )
    yield Gauge(
        "toolproxy_sse_subscribers",
        "Listeners to event streams.",
        (),
        lambda: [((), subscribers())],
        together="ours",
    )
    yield Gauge(
        "toolproxy_endpoint_health",
        "1 while an endpoint may be used.",
        ("server", "endpoint"),
        lambda: _each_endpoint(registry, lambda it: it.usable),
        together="ours",
    )
    yield Gauge(
        "toolproxy_endpoint_ejections",
        "How often an endpoint was taken out for the answers that calls got.",
        ("server", "endpoint"),
        lambda: _each_endpoint(registry, lambda it: it.outlier.ejections),
        CounterMetricFamily,
        together="ours",
    )
    yield Gauge(
        "toolproxy_panics",
        "How often ejections were undone, since too few endpoints were left.",
        ("server",),
        lambda: _each_cluster(registry, lambda it: it.panics),
        CounterMetricFamily,
        together="ours",
    )
    yield Gauge(
        "toolproxy_circuit_state",
        "0 closed (calls go through), 1 half open (a few, on trial), 2 open.",
        ("server",),
        lambda: _each_cluster(registry, lambda it: _CIRCUIT_STATES[it.circuit.state]),
        together="ours",
    )
    yield Gauge(
        "toolproxy_circuit_changes",
        "Changes of a circuit's state.",
        ("server",),
        lambda: _each_cluster(registry, lambda it: it.circuit.state_changes),
        CounterMetricFamily,
        together="ours",
    )
    yield Gauge(
        "toolproxy_registry_reloads",
        "Registry texts by what became of them.",
        ("result",),
        lambda: [((result,), count) for result, count in registrar.reloads.items()],
        CounterMetricFamily,
        together="ours",
    )
    yield Gauge(
        "toolproxy_registry_generation",
        "The registry in force.",
        ("generation", "sha256", "version", "signed_by", "pinned"),
        lambda: [(_running(registrar), 1)],
        InfoMetricFamily,
        together="ours",
    )
    yield Gauge(
        "toolproxy_registry_problem",
        "1 while something is wrong with it; /registry says what.",
        ("what",),
        lambda: [
            (("text",), bool(registrar.rejection)),
            (("source",), bool(registrar.away)),
            (("store",), bool(registrar.archive.troubles)),
        ],
        together="ours",
    )


_CIRCUIT_STATES: Final = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}


def _running(registrar: Registrar) -> tuple[str, ...]:
    running, table = registrar.running, registrar.live.current
    envelope = running.signed and running.signed.envelope
    return (
        str(table.generation),
        running.identity,
        str(envelope.version) if envelope else "",
        envelope.key_id if envelope else "",
        "true" if running.pinned_against else "false",
    )


Samples = Iterator[tuple[tuple[str, ...], float]]


def _each_endpoint(registry: LiveRegistry, number: Callable[[Endpoint], float]) -> Samples:
    # Two names of one server may stand for one machine, and no series may come twice.
    numbers = {(it.namespace, it.url): number(it) for it in registry.current.endpoints()}
    yield from numbers.items()


def _each_cluster(registry: LiveRegistry, number: Callable[[Cluster], float]) -> Samples:
    for server in registry.current.servers.values():
        yield (server.spec.namespace,), number(server.cluster)


def _ended(registry: LiveRegistry) -> Samples:
    for server in registry.current.servers.values():
        circuit = server.cluster.circuit
        totals = circuit.total_failures, circuit.total_successes, circuit.abandoned
        for how, total in zip(HOW_CALLS_END, totals, strict=True):
            yield (server.spec.namespace, how), total


def _sums(
    pools: Pools, numbers: Callable[[Pool], dict[str, int]]
) -> Iterable[tuple[tuple[str, ...], float]]:
    """Numbers of all pools of a server, added up."""
    sums: Counter[tuple[str, ...]] = Counter()
    for pool in pools:
        for word, number in numbers(pool).items():
            sums[pool.endpoint.namespace, word] += number
    return sums.items()
