"""Facts about metrics: what one exchange adds, and what Prometheus reads."""

import math
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from proxy.telemetry.counted import BUCKETS_S, Durations
from proxy.telemetry.exposition import written
from proxy.telemetry.metrics import Gauge, Metrics
from tests.support.records import TRACE_ID, record

Labels = frozenset[tuple[str, str]]
openmetrics_families: Callable[[str], Iterable[Metric]]
openmetrics_families = openmetrics_parser.text_string_to_metric_families


def scraped(metrics: Metrics, name: str) -> dict[Labels, float]:
    """The samples of one name, as Prometheus's own parser reads what is written."""
    text = b"".join(written(metrics.pieces(), generate_latest)).decode()
    return {
        frozenset(sample.labels.items()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    }


def labels(**each: str) -> Labels:
    return frozenset(each.items())


@pytest.mark.parametrize(
    ("status", "code", "word"),
    [
        pytest.param(200, "", "success", id="success"),
        pytest.param(304, "", "success", id="not-modified"),
        pytest.param(399, "", "success", id="last-success"),
        pytest.param(400, "", "client_error", id="first-client-error"),
        pytest.param(499, "", "client_error", id="last-client-error"),
        pytest.param(500, "", "server_error", id="first-server-error"),
        pytest.param(0, "", "caller_left", id="caller-left"),
        pytest.param(503, "no_healthy_endpoint", "no_healthy_endpoint", id="error-of-ours"),
        pytest.param(200, "upstream_closed", "upstream_closed", id="broken-off"),
    ],
)
def test_outcome_is_one_word(status: int, code: str, word: str) -> None:
    assert record(status, code).outcome == word


@pytest.mark.parametrize(
    ("duration_s", "bucket"),
    [
        pytest.param(0.0, 0, id="no-time"),
        pytest.param(0.001, 0, id="exactly-a-bound"),
        pytest.param(0.0011, 1, id="just-above"),
        pytest.param(30, len(BUCKETS_S) - 1, id="last-bound"),
        pytest.param(31, len(BUCKETS_S), id="beyond-all"),
    ],
)
def test_duration_counts_in_the_bucket_that_it_fits(duration_s: float, bucket: int) -> None:
    metrics = Metrics()

    metrics.observe(record(duration_s=duration_s, started_at=0.0))

    (durations,) = metrics._counted.durations.values()
    assert (durations.counts.index(1), durations.sum_s) == (bucket, duration_s)


def test_buckets_are_cumulative_and_end_in_infinity() -> None:
    durations = Durations()
    for bucket in (1, 1, 11, 14):
        durations.counts[bucket] += 1

    cumulative = durations.cumulative(0.0)

    assert [count for _, count, _ in cumulative] == [0, *[2] * 10, 3, 3, 3, 4]
    assert cumulative[-1] == ("+Inf", 4.0, None)


def test_bounds_of_the_buckets_grow() -> None:
    assert list(BUCKETS_S) == sorted(set(BUCKETS_S))


def test_exchange_is_counted_by_server_tool_and_outcome() -> None:
    metrics = Metrics()
    for each in (record(), record(), record(500), record(tool="", server="p")):
        metrics.observe(each)

    assert scraped(metrics, "toolproxy_calls_total") == {
        labels(server="o", tool="call", outcome="success"): 2,
        labels(server="o", tool="call", outcome="server_error"): 1,
        labels(server="p", tool="", outcome="success"): 1,
    }


def test_exchange_is_timed_by_route_method_and_status() -> None:
    metrics = Metrics()
    for duration_s in (0.02, 0.03):
        metrics.observe(record(duration_s=duration_s))

    name = "http_server_request_duration_seconds"
    of_it = {"route": "/tools/{tool}", "method": "POST", "status": "200"}
    assert scraped(metrics, f"{name}_count") == {labels(**of_it): 2}
    assert math.isclose(scraped(metrics, f"{name}_sum")[labels(**of_it)], 0.05)
    assert [
        scraped(metrics, f"{name}_bucket")[labels(**of_it, le=le)]
        for le in ("0.01", "0.025", "0.05", "+Inf")
    ] == [0, 1, 2, 2]


def test_caller_that_left_counts_as_499() -> None:
    metrics = Metrics()

    metrics.observe(record(0))

    (found,) = scraped(metrics, "http_server_request_duration_seconds_count")
    assert ("status", "499") in found


def test_answer_of_our_own_counts_as_rejected() -> None:
    metrics = Metrics()
    for each in (record(429, "queue_full"), record(429, "queue_full"), record()):
        metrics.observe(each)

    assert scraped(metrics, "toolproxy_rejected_total") == {labels(code="queue_full"): 2}


def test_call_to_no_known_server_adds_no_series_of_its_own() -> None:
    metrics = Metrics()

    metrics.observe(record(404, "namespace_not_found", server="", tool=""))

    assert scraped(metrics, "toolproxy_calls_total") == {}


def test_series_of_what_is_gone_are_forgotten() -> None:
    metrics = Metrics()
    for each in (record(), record(tool="old"), record(server="p")):
        metrics.observe(each)

    metrics.forget(lambda server, tool: server == "p" or tool == "old")

    assert set(scraped(metrics, "toolproxy_calls_total")) == {
        labels(server="o", tool="call", outcome="success")
    }


def test_series_that_was_forgotten_begins_anew_and_the_others_go_on() -> None:
    metrics = Metrics()
    for each in (record(), record(tool="old"), record(429, "queue_full", tool="old")):
        metrics.observe(each)
    metrics.forget(lambda _, tool: tool == "old")
    metrics.observe(record(tool="old"))  # which was under way
    assert labels(server="o", tool="old", outcome="success") not in scraped(
        metrics, "toolproxy_calls_total"
    )
    metrics.forget(lambda *_: False)

    for each in (record(), record(tool="old"), record(429, "queue_full")):
        metrics.observe(each)

    assert scraped(metrics, "toolproxy_calls_total") == {
        labels(server="o", tool="call", outcome="success"): 2,
        labels(server="o", tool="old", outcome="success"): 1,
        labels(server="o", tool="call", outcome="queue_full"): 1,
    }
    assert scraped(metrics, "toolproxy_rejected_total") == {labels(code="queue_full"): 2}


def test_exchanges_that_differ_in_one_label_are_told_apart() -> None:
    metrics = Metrics()
    for each in (record(), record(server="p"), record(tool="other"), record(201)):
        metrics.observe(each)

    calls = scraped(metrics, "toolproxy_calls_total")
    timed = scraped(metrics, "http_server_request_duration_seconds_count")
    assert (sorted(calls.values()), sorted(timed.values())) == ([1, 1, 2], [1, 3])


def test_numbers_of_the_moment_are_asked_for_at_each_scrape() -> None:
    metrics = Metrics()
    open_now = iter([3.0, 4.0])
    metrics.add(Gauge("open", "Open.", ("of",), lambda: [(("a",), next(open_now))]))

    values = [scraped(metrics, "open") for _ in range(2)]

    assert values == [{labels(of="a"): 3.0}, {labels(of="a"): 4.0}]


def test_number_may_be_a_counter() -> None:
    metrics = Metrics()
    metrics.add(Gauge("reloads", "Reloads.", (), lambda: [((), 7)], CounterMetricFamily))

    assert scraped(metrics, "reloads_total") == {labels(): 7}


def test_number_may_be_a_fact() -> None:
    metrics = Metrics()
    metrics.add(
        Gauge("running", "Running.", ("generation",), lambda: [(("3",), 1)], InfoMetricFamily)
    )

    assert scraped(metrics, "running_info") == {labels(generation="3"): 1}


@pytest.mark.parametrize("name", ["process_cpu_seconds_total", "python_info"])
def test_process_is_seen_too(name: str) -> None:
    assert scraped(Metrics(), name)


def test_odd_names_are_written_so_that_they_are_read_back() -> None:
    metrics = Metrics()

    metrics.observe(record(tool='a"b\\c\nd'))

    (found,) = scraped(metrics, "toolproxy_calls_total")
    assert ("tool", 'a"b\\c\nd') in found


def test_record_knows_how_long_it_took() -> None:
    assert (repr(record(502, "upstream_closed")), record(duration_s=0.5).duration_s) == (
        "<ExchangeRecord /tools/{tool} 502 upstream_closed>",
        0.5,
    )


def test_open_metrics_carries_the_trace_of_the_latest_call_of_a_bucket() -> None:
    metrics = Metrics()
    for started_at in (5.0, 6.0):
        metrics.observe(record(started_at=started_at, trace_id="workflow-1"))

    text = b"".join(written(metrics.pieces(), openmetrics.generate_latest)).decode()

    examples = [
        (sample.labels["le"], sample.exemplar.labels, round(sample.exemplar.value, 3))
        for family in openmetrics_families(text)
        if family.name == "http_server_request_duration_seconds"
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert examples == [("0.025", {"trace_id": TRACE_ID}, 0.02)]


def test_family_of_many_series_is_written_in_pieces_and_named_once() -> None:
    metrics = Metrics()
    for number in range(1_000):
        metrics.observe(record(tool=f"tool-{number}"))

    pieces = list(written(metrics.pieces(), openmetrics.generate_latest))
    text = b"".join(pieces).decode()

    assert max(piece.count(b"\n") for piece in pieces) < 200
    assert text.count("# TYPE toolproxy_calls counter") == 1
    assert len(scraped(metrics, "toolproxy_calls_total")) == 1_000
    assert {family.name for family in openmetrics_families(text)} >= {"toolproxy_calls"}


def test_time_of_upstreams_is_counted_by_server() -> None:
    metrics = Metrics()
    asked = record(server="o")
    asked.sent_at, asked.answered_at = 5.0, 5.02
    never_answered = record(502, "upstream_closed", server="o")
    never_answered.sent_at = 5.0
    metrics.observe(asked)
    metrics.observe(never_answered)

    name = "toolproxy_upstream_request_duration_seconds"
    assert scraped(metrics, f"{name}_count") == {labels(server="o"): 1}
    metrics.forget(lambda server, _: server == "o")
    assert scraped(metrics, f"{name}_count") == {}
