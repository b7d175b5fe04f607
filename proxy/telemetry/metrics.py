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

from proxy.telemetry.counted import BUCKETS_S, Count, Counted, Durations, Gone
from proxy.telemetry.elsewhere import Elsewhere, Labels, Part, Together
from proxy.telemetry.record import Calendar, ExchangeRecord

_SAMPLES: Final = 150  # at a time: a millisecond or two
_HISTOGRAMS: Final = 8
_SERIES: Final = 300  # handed over at a time: likewise
_BY_SERVER: Final = ("server",)
_OF_THE_PLATFORM: Final = "python_"
_SINCE: Final = "process_start_time_seconds"
_CALLER_LEFT: Final = 499  # as nginx logs it: nobody was there to get a status


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
    samples: Callable[[], Iterable[tuple[Labels, float]]]
    kind: type[GaugeMetricFamily | CounterMetricFamily | InfoMetricFamily] = GaugeMetricFamily
    together: Together = "sum"  # of several processes


class Metrics:
    """All series of this sidecar."""

    def __init__(self) -> None:
        self.elsewhere = Elsewhere()
        self._counted = Counted()
        # What one kind of exchange counts into: found with one look-up instead of three.
        self._kinds: dict[tuple[str, str, str, bytes, int, str], _Kind] = {}
        self._gauges: list[Gauge] = []
        self._gone: Gone = _nothing_is
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
            self._counted.retries.setdefault((record.server, reason), Count()).total += 1

    def _kind_of(self, record: ExchangeRecord) -> "_Kind":
        counted, status = self._counted, record.status or _CALLER_LEFT
        method = record.head.method.decode() or "_OTHER"
        durations = counted.durations.setdefault((record.route, method, status), Durations())
        upstream = None
        counts = []
        if record.server and not self._gone(record.server, record.tool):
            call = (record.server, record.tool, record.outcome)
            counts.append(counted.calls.setdefault(call, Count()))
            upstream = counted.upstreams.setdefault(record.server, Durations())
        if record.code:
            counts.append(counted.rejected.setdefault(record.code, Count()))
        return _Kind(durations, upstream, tuple(counts))

    def forget(self, gone: Gone) -> None:
        """Drop the series of servers and tools that are no more, and begin no new ones.

        Calls that are under way may end later.
        """
        self._gone = gone
        self._counted.forget(gone)
        self._kinds.clear()

    # --- several processes ---

    def hand_over(self) -> Iterator[Counted]:
        """All that was counted, some series at a time; here it begins at nought again."""
        counted, self._counted = self._counted, Counted()
        self._kinds.clear()
        yield from counted.pieces(_SERIES)

    def absorb(self, counted: Counted) -> None:
        """It was counted elsewhere."""
        counted.forget(self._gone)
        self._counted.add(counted)

    def part(self) -> Iterator[Part]:
        """Numbers of the moment, for others to put together with theirs; some at a time."""
        for gauge in self._gauges:
            numbers = {labels: number for labels, number in gauge.samples() if number}
            said = {gauge.name: numbers}
            yield Part({}, said) if gauge.kind is CounterMetricFamily else Part(said, {})
        for family in self._process.collect():
            if not family.name.startswith(_OF_THE_PLATFORM):
                said = {each.name: {(): each.value} for each in family.samples}
                yield Part({}, said) if family.type == "counter" else Part(said, {})

    # --- the scrape ---

    def pieces(self) -> Iterator[Metric]:
        """All series, some of a family at a time: 10 000 tools at once would hold up calls."""
        counted, began_at = self._counted, self._calendar.began_at
        for some in _some(counted.durations, _HISTOGRAMS):
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
        for each in _some(counted.upstreams, _HISTOGRAMS):
            family = HistogramMetricFamily(
                "toolproxy_upstream_request_duration_seconds",
                "Time from a request sent to an upstream to the head of its answer.",
                labels=("server",),
            )
            for server, took in each:
                family.add_metric((server,), took.cumulative(began_at), took.sum_s)
            yield family
        yield from _counted(
            "toolproxy_calls", "Calls by outcome.", ("server", "tool", "outcome"), counted.calls
        )
        yield from _counted(
            "toolproxy_rejected",
            "Calls answered by the sidecar itself.",
            ("code",),
            counted.rejected,
        )
        yield from _counted(
            "toolproxy_retries", "Attempts after the first.", ("server", "reason"), counted.retries
        )
        for gauge in self._gauges:
            yield from _families(gauge, self._of_all(gauge))
        for used in self._process.collect():
            yield _of_all_processes(used, self.elsewhere)

    def _of_all(self, gauge: Gauge) -> Iterable[tuple[Labels, float]]:
        """Ours, and those of others; but what is no more is said of nobody."""
        samples = self.elsewhere.with_ours(gauge.name, gauge.together, gauge.samples())
        if gauge.labels[:1] != _BY_SERVER or not self.elsewhere.is_there:
            return samples
        return (each for each in samples if not self._gone(each[0][0], ""))


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


def _of_all_processes(family: Metric, elsewhere: Elsewhere) -> Metric:
    """Used up together; there since the oldest of them."""
    if elsewhere.is_there and not family.name.startswith(_OF_THE_PLATFORM):
        family.samples = [
            each._replace(
                value=min(each.value, elsewhere.least(each.name))
                if each.name == _SINCE
                else each.value + elsewhere.number(each.name)
            )
            for each in family.samples
        ]
    return family


def _families(gauge: Gauge, numbers: Iterable[tuple[Labels, float]]) -> Iterator[Metric]:
    samples = iter(numbers)
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
