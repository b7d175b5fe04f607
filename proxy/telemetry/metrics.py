"""Counts of what happened, as plain integers; turned into samples when Prometheus asks.

Subscribes to records. Knows nothing of where numbers of the moment come from: `gauges` are asked.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from proxy.telemetry.record import ExchangeRecord

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CALLER_LEFT: Final = 499  # as nginx logs it: nobody was there to get a status


class Durations:
    """A histogram: how many calls took at most so long, and how long all took."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def cumulative(self) -> list[tuple[str, float]]:
        total, samples = 0, []
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), self.counts, strict=True):
            total += count
            samples.append((bound, float(total)))
        return samples


class Count:
    """A number that only grows."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0


class _Kind(NamedTuple):
    """Where exchanges that are alike in every label are counted."""

    durations: Durations
    counts: tuple[Count, ...]


class Gauge(NamedTuple):
    """A number of the moment: labels of each sample, and its value."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Callable[[], Iterable[tuple[tuple[str, ...], float]]]
    kind: type[GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily] = GaugeMetricFamily


class Metrics:
    """All series of this sidecar; a collector for prometheus_client."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, bytes, int], Durations] = {}
        self._calls: dict[tuple[str, str, str], Count] = {}
        self._rejected: dict[str, Count] = {}
        self._retries: dict[tuple[str, str], Count] = {}
        # What one kind of exchange counts into: found with one look-up instead of three.
        self._kinds: dict[tuple[str, str, str, bytes, int, str], _Kind] = {}
        self._gauges: list[Gauge] = []

    def add(self, gauge: Gauge) -> None:
        self._gauges.append(gauge)

    def observe(self, record: ExchangeRecord) -> None:
        """Count one exchange."""
        key = (
            record.route,
            record.server,
            record.tool,
            record.head.method,
            record.status,
            record.code,
        )
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._kind_of(record)
        duration_s = record.finished_at - record.started_at
        durations = kind.durations
        durations.counts[bisect_left(BUCKETS_S, duration_s)] += 1
        durations.sum_s += duration_s
        for count in kind.counts:
            count.total += 1
        for reason in record.retries:
            self._retries.setdefault((record.server, reason), Count()).total += 1

    def _kind_of(self, record: ExchangeRecord) -> "_Kind":
        status = record.status or _CALLER_LEFT
        durations = self._durations.setdefault(
            (record.route, record.head.method, status), Durations()
        )
        counts = []
        if record.server:
            call = (record.server, record.tool, record.outcome)
            counts.append(self._calls.setdefault(call, Count()))
        if record.code:
            counts.append(self._rejected.setdefault(record.code, Count()))
        return _Kind(durations, tuple(counts))

    def forget(self, gone: Callable[[str, str], bool]) -> None:
        """Drop the series of servers and tools that are no more."""
        self._calls = {call: n for call, n in self._calls.items() if not gone(call[0], call[1])}
        self._retries = {made: n for made, n in self._retries.items() if not gone(made[0], "")}
        self._kinds.clear()

    # --- the scrape ---

    def registry(self) -> CollectorRegistry:
        """What `prometheus_client` writes out: our series and the process's."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        return registry

    def collect(self) -> Iterator[Metric]:
        yield self._collect_durations()
        calls = CounterMetricFamily(
            "toolproxy_calls", "Calls by outcome.", labels=("server", "tool", "outcome")
        )
        for labels, count in self._calls.items():
            calls.add_metric(labels, count.total)
        yield calls
        rejected = CounterMetricFamily(
            "toolproxy_rejected", "Calls answered by the sidecar itself.", labels=("code",)
        )
        for code, count in self._rejected.items():
            rejected.add_metric((code,), count.total)
        yield rejected
        retries = CounterMetricFamily(
            "toolproxy_retries", "Attempts after the first.", labels=("server", "reason")
        )
        for made, count in self._retries.items():
            retries.add_metric(made, count.total)
        yield retries
        for gauge in self._gauges:
            yield _family(gauge)

    def _collect_durations(self) -> Metric:
        family = HistogramMetricFamily(
            "http_server_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            labels=("route", "method", "status"),
        )
        for (route, method, status), durations in self._durations.items():
            family.add_metric(
                (route, method.decode(), str(status)), durations.cumulative(), durations.sum_s
            )
        return family


def _family(gauge: Gauge) -> Metric:
    if issubclass(gauge.kind, InfoMetricFamily):
        info = InfoMetricFamily(gauge.name, gauge.help)
        for values, _ in gauge.samples():
            info.add_metric((), dict(zip(gauge.labels, values, strict=True)))
        return info
    family = gauge.kind(gauge.name, gauge.help, labels=gauge.labels)
    for values, number in gauge.samples():
        family.add_metric(values, number)
    return family
