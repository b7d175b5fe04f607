"""Counts of what happened, as plain integers; turned into samples when Prometheus asks.

Subscribes to records. Knows nothing of where numbers of the moment come from: `gauges` are asked.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

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
from prometheus_client.samples import Exemplar, Timestamp

from proxy.telemetry.record import Calendar, ExchangeRecord
from proxy.wire.trace import Trace

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SAMPLES: Final = 150  # at a time: a millisecond or two
_HISTOGRAMS: Final = 8
_BOUNDS: Final = (*(str(float(bound)) for bound in BUCKETS_S), "+Inf")
_CALLER_LEFT: Final = 499  # as nginx logs it: nobody was there to get a status


class Durations:
    """A histogram: how many took at most so long, and how long all took.

    Of each bucket the latest is remembered as an example: its trace, how long it took, and when.
    """

    __slots__ = ("counts", "examples", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.examples: list[tuple[Trace, float, float] | None] = [None] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def cumulative(self, began_at: float) -> list[Any]:
        """Its buckets; `began_at` is the wall clock's time at nought of the monotonic one."""
        total, samples = 0, []
        for bound, count, example in zip(_BOUNDS, self.counts, self.examples, strict=True):
            total += count
            samples.append((bound, float(total), _exemplar(example, began_at)))
        return samples


def _exemplar(example: tuple[Trace, float, float] | None, began_at: float) -> Exemplar | None:
    if example is None:
        return None
    trace, seconds, at = example
    return Exemplar({"trace_id": trace.w3c_id.decode()}, seconds, Timestamp(began_at + at, 0))


class Count:
    """A number that only grows."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0


KeyT = TypeVar("KeyT")
ValueT = TypeVar("ValueT")


def _nothing_is(server: str, tool: str) -> bool:
    del server, tool
    return False


class _Kind(NamedTuple):
    """Where exchanges that are alike in every label are counted."""

    durations: Durations
    upstream: Durations | None
    counts: tuple[Count, ...]


class Gauge(NamedTuple):
    """A number of the moment: labels of each sample, and its value."""

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Callable[[], Iterable[tuple[tuple[str, ...], float]]]
    kind: type[GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily] = GaugeMetricFamily


class Metrics:
    """All series of this sidecar."""

    def __init__(self) -> None:
        self._durations: dict[tuple[str, str, int], Durations] = {}
        self._upstreams: dict[str, Durations] = {}
        self._calls: dict[tuple[str, str, str], Count] = {}
        self._rejected: dict[str, Count] = {}
        self._retries: dict[tuple[str, str], Count] = {}
        # What one kind of exchange counts into: found with one look-up instead of three.
        self._kinds: dict[tuple[str, str, str, bytes, int, str], _Kind] = {}
        self._gauges: list[Gauge] = []
        self._gone: Callable[[str, str], bool] = _nothing_is
        self._calendar = Calendar()
        self._process = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)

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
            record.outcome,
        )
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._kind_of(record)
        duration_s = record.finished_at - record.started_at
        durations = kind.durations
        bucket = bisect_left(BUCKETS_S, duration_s)
        durations.counts[bucket] += 1
        durations.examples[bucket] = (record.trace, duration_s, record.finished_at)
        durations.sum_s += duration_s
        upstream = kind.upstream
        if upstream is not None and record.answered_at > record.sent_at:
            upstream_s = record.answered_at - record.sent_at
            upstream.counts[bisect_left(BUCKETS_S, upstream_s)] += 1
            upstream.sum_s += upstream_s
        for count in kind.counts:
            count.total += 1
        for reason in record.retries if kind.upstream is not None else ():
            self._retries.setdefault((record.server, reason), Count()).total += 1

    def _kind_of(self, record: ExchangeRecord) -> "_Kind":
        status = record.status or _CALLER_LEFT
        method = record.head.method.decode() or "_OTHER"
        durations = self._durations.setdefault((record.route, method, status), Durations())
        upstream = None
        counts = []
        if record.server and not self._gone(record.server, record.tool):
            call = (record.server, record.tool, record.outcome)
            counts.append(self._calls.setdefault(call, Count()))
            upstream = self._upstreams.setdefault(record.server, Durations())
        if record.code:
            counts.append(self._rejected.setdefault(record.code, Count()))
        return _Kind(durations, upstream, tuple(counts))

    def forget(self, gone: Callable[[str, str], bool]) -> None:
        """Drop the series of servers and tools that are no more, and begin no new ones.

        Calls that are under way may end later.
        """
        self._gone = gone
        self._calls = {call: n for call, n in self._calls.items() if not gone(call[0], call[1])}
        self._upstreams = {name: it for name, it in self._upstreams.items() if not gone(name, "")}
        self._retries = {made: n for made, n in self._retries.items() if not gone(made[0], "")}
        self._kinds.clear()

    # --- the scrape ---

    def pieces(self) -> Iterator[Metric]:
        """All series, some of a family at a time: 10 000 tools at once would hold up calls."""
        began_at = self._calendar.began_at
        for some in _some(self._durations, _HISTOGRAMS):
            family = HistogramMetricFamily(
                "http_server_request_duration_seconds",
                "Time from a request's head to the end of its answer.",
                labels=("route", "method", "status"),
            )
            for (route, method, status), took in some:
                family.add_metric(
                    (route, method, str(status)), took.cumulative(began_at), took.sum_s
                )
            yield family
        for each in _some(self._upstreams, _HISTOGRAMS):
            family = HistogramMetricFamily(
                "toolproxy_upstream_request_duration_seconds",
                "Time from a request sent to an upstream to the head of its answer.",
                labels=("server",),
            )
            for server, took in each:
                family.add_metric((server,), took.cumulative(began_at), took.sum_s)
            yield family
        yield from _counted(
            "toolproxy_calls", "Calls by outcome.", ("server", "tool", "outcome"), self._calls
        )
        yield from _counted(
            "toolproxy_rejected", "Calls answered by the sidecar itself.", ("code",), self._rejected
        )
        yield from _counted(
            "toolproxy_retries", "Attempts after the first.", ("server", "reason"), self._retries
        )
        for gauge in self._gauges:
            yield from _families(gauge)
        yield from self._process.collect()


def _counted(
    name: str, text: str, labels: tuple[str, ...], counts: dict[Any, Count]
) -> Iterator[Metric]:
    for some in _some(counts, _SAMPLES):
        family = CounterMetricFamily(name, text, labels=labels)
        for values, count in some:
            family.add_metric((values,) if isinstance(values, str) else values, count.total)
        yield family


def _some(series: dict[KeyT, ValueT], size: int) -> Iterator[list[tuple[KeyT, ValueT]]]:
    """Items by and by, and an empty list where there are none: a family is named even so."""
    items = list(series.items())
    for start in range(0, max(len(items), 1), size):
        yield items[start : start + size]


def _families(gauge: Gauge) -> Iterator[Metric]:
    samples = iter(gauge.samples())
    while True:
        family = gauge.kind(gauge.name, gauge.help, labels=gauge.labels)
        some = list(islice(samples, _SAMPLES))
        for values, number in some:
            if isinstance(family, InfoMetricFamily):
                named = dict(zip(gauge.labels, values, strict=True))
                family = InfoMetricFamily(gauge.name, gauge.help, value=named)
            else:
                family.add_metric(values, number)
        yield family
        if len(some) < _SAMPLES:
            return
