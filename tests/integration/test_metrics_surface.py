"""Metrics as Prometheus gets them: every name of the contract, valid, bounded, and true."""

import random
import string
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.reports import sample, samples
from tests.support.scripts import answers, answers_at_once, echo, holds, in_turn
from tests.support.sidecar import NEVER_OPENS, Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
W3C_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
OPEN_METRICS: Final = b"Accept: application/openmetrics-text; version=1.0.0"
SLOWEST_S: Final = 0.2  # ten times the 20 ms that a scrape may hold up a call
LABELS: Final = {
    "http_server_request_duration_seconds_bucket": {"route", "method", "status", "le"},
    "toolproxy_calls_total": {"server", "tool", "outcome"},
    "toolproxy_upstream_request_duration_seconds_bucket": {"server", "le"},
    "toolproxy_upstream_connections": {"server", "state"},
    "toolproxy_upstream_connects_total": {"server", "result"},
    "toolproxy_retries_total": {"server", "reason"},
    "toolproxy_endpoint_health": {"server", "endpoint"},
    "toolproxy_circuit_state": {"server"},
    "toolproxy_queue_depth": {"server"},
    "toolproxy_rejected_total": {"code"},
    "toolproxy_registry_generation_info": {
        "generation",
        "sha256",
        "version",
        "signed_by",
        "pinned",
    },
    "toolproxy_registry_reloads_total": {"result"},
    "toolproxy_sse_subscribers": set(),
    "toolproxy_events_dropped_total": {"where"},
    "toolproxy_event_loop_lag_seconds": set(),
    "toolproxy_open_connections": set(),
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
}
BUCKETS: Final = "0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1.0 2.5 5.0 10.0 30.0 +Inf"

read_open_metrics: Callable[[str], Iterable[Metric]]
read_open_metrics = openmetrics.text_string_to_metric_families


@pytest.fixture
def eventful(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    """A sidecar to which everything has happened."""
    origin = start_origin(
        in_turn(
            answers(ok()),
            answers(b"", close=True),
            answers_at_once(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", close=True),
            answers(b"nonsense\r\n\r\n", close=True),
            answers(ok()),
            answers_at_once(b"", close=True),
            echo,
        )
    )
    tools = ["call", {"name": "again", "idempotent": True}]
    sidecar = start_sidecar(
        server("o", origin.url, tools=tools, circuit=NEVER_OPENS, passthrough=True),
        server("down", "http://127.0.0.1:1"),
    )
    trace = b"traceparent: 00-" + W3C_ID.encode() + b"-00f067aa0ba902b7-01"
    for path in (CALL, CALL, CALL, CALL, CALL, "/tools/o.again", "/tools/down.call", "/tools/o.no"):
        sidecar.ask(post(path, trace))
    for request in (b"GARBAGE\r\n\r\n", get("/nowhere"), get("/servers/o/mcp"), get(CALL)):
        sidecar.ask(request)
    return sidecar


def test_both_formats_are_read_by_prometheus_s_own_parsers(eventful: Sidecar) -> None:
    plain = eventful.get("/metrics")
    other = eventful.ask(get("/metrics", OPEN_METRICS))

    names = [
        {family.name.removesuffix("_info") for family in families}
        for families in (
            text_string_to_metric_families(plain.body.decode()),
            read_open_metrics(other.body.decode()),
        )
    ]

    assert names[0] == names[1]
    assert (plain.value("content-type") or "").startswith("text/plain; version=")
    assert (other.value("content-type") or "").startswith("application/openmetrics-text; version=")
    assert other.body.endswith(b"# EOF\n")
    assert other.body.count(b"# EOF") == 1


def test_every_name_of_the_contract_is_there_with_its_labels(eventful: Sidecar) -> None:
    found: dict[str, set[str]] = {}
    for each in samples(eventful):
        found.setdefault(each.name, set(each.labels))
        assert found[each.name] == set(each.labels)

    assert {name: found.get(name) for name in LABELS} == LABELS


def test_no_series_is_told_twice(eventful: Sidecar) -> None:
    series = [(each.name, tuple(sorted(each.labels.items()))) for each in samples(eventful)]

    assert len(series) == len(set(series))


def test_buckets_are_those_of_the_contract(eventful: Sidecar) -> None:
    name = "http_server_request_duration_seconds_bucket"
    bounds = [
        each.labels["le"]
        for each in samples(eventful)
        if each.name == name
        and (each.labels["route"], each.labels["status"]) == ("/tools/{tool}", "200")
    ]

    assert bounds == BUCKETS.split()


def test_route_is_never_a_raw_path(eventful: Sidecar) -> None:
    eventful.get("/metrics")  # a scrape is not in itself, but in the next one

    routes = {each.labels["route"] for each in samples(eventful) if "route" in each.labels}

    assert routes == {"/tools/{tool}", "/servers/{ns}", "/metrics", "unmatched"}


def test_example_carries_the_w3c_trace_id(eventful: Sidecar) -> None:
    text = eventful.ask(get("/metrics", OPEN_METRICS)).body.decode()

    labels = [
        each.exemplar.labels
        for family in read_open_metrics(text)
        for each in family.samples
        if each.exemplar is not None
    ]

    assert {"trace_id": W3C_ID} in labels
    assert all(len("".join([*each, *each.values()])) <= 128 for each in labels)


def test_caller_s_own_name_for_a_trace_is_in_no_example(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))
    sidecar.ask(post(CALL, b"X-Chora-Trace-Id: " + b"w" * 200))

    text = sidecar.ask(get("/metrics", OPEN_METRICS)).body.decode()

    assert "# {" in text
    assert "www" not in text


def test_counts_are_the_calls_that_were_made(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(in_turn(*[answers(ok())] * 30, answers(b"", close=True)))
    sidecar = start_sidecar(server("o", origin.url, circuit=NEVER_OPENS, retry={"attempts": 1}))
    for _ in range(34):
        sidecar.ask(post(CALL))
    for _ in range(3):
        sidecar.ask(post("/tools/o.none"))

    def calls(outcome: str) -> float:
        return sample(sidecar, "toolproxy_calls_total", server="o", tool="call", outcome=outcome)

    def timed(status: str) -> float:
        return sample(
            sidecar,
            "http_server_request_duration_seconds_count",
            route="/tools/{tool}",
            method="POST",
            status=status,
        )

    rejected = sample(sidecar, "toolproxy_rejected_total", code="tool_not_found")
    upstream = sample(sidecar, "toolproxy_upstream_request_duration_seconds_count", server="o")
    assert (calls("success"), calls("upstream_closed"), rejected, upstream) == (30, 4, 3, 30)
    assert (timed("200"), timed("502"), timed("404")) == (30, 4, 3)


def test_refusal_by_the_control_plane_is_counted_too(eventful: Sidecar) -> None:
    eventful.get("/events?format=json&limit=0")

    codes = {each.labels["code"] for each in samples(eventful) if "code" in each.labels}

    assert sample(eventful, "toolproxy_rejected_total", code="bad_request") == 2, codes


def test_options_are_timed_too(eventful: Sidecar) -> None:
    eventful.ask(message(b"OPTIONS /tools/o.call HTTP/1.1", b"Host: a"))

    assert "OPTIONS" in {each.labels.get("method") for each in samples(eventful)}


def series_of(sidecar: Sidecar, namespace: str) -> set[str]:
    return {each.name for each in samples(sidecar) if each.labels.get("server") == namespace}


def test_removed_server_s_and_tool_s_series_are_gone_at_the_next_scrape(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(ok()))
    kept, gone = server("kept", origin.url), server("gone", origin.url)
    sidecar = start_sidecar(server("kept", origin.url, tools=["call", "old"]), gone)
    for path in ("/tools/kept.call", "/tools/kept.old", "/tools/gone.call"):
        sidecar.ask(post(path))
    assert "toolproxy_calls_total" in series_of(sidecar, "gone")

    sidecar.registry_path.write_text(registry(kept))
    assert eventually(lambda: sidecar.get("/readyz").json()["generation"] == 2)

    tools = {each.labels["tool"] for each in samples(sidecar) if "tool" in each.labels}
    assert (series_of(sidecar, "gone"), tools) == (set(), {"call"})
    assert (
        sample(sidecar, "toolproxy_calls_total", server="kept", tool="call", outcome="success") == 1
    )


def test_series_of_a_removed_server_do_not_come_back_with_its_last_call(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    sidecar = start_sidecar(server("kept", origin.url), server("gone", origin.url))
    with sidecar.caller() as caller:
        caller.send(post("/tools/gone.call"))
        assert eventually(lambda: origin.calls)
        sidecar.registry_path.write_text(registry(server("kept", origin.url)))
        assert eventually(lambda: sidecar.get("/readyz").json()["generation"] == 2)
        gate.open()
        assert caller.answer().status == 200

    assert series_of(sidecar, "gone") == set()


def test_callers_cannot_add_series(origin_of_all: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin_of_all.url, passthrough=True))
    chance = random.Random(7)  # noqa: S311 - no secret

    def word() -> str:
        return "".join(chance.choices(string.ascii_letters, k=8))

    def storm() -> int:
        for _ in range(60):
            sidecar.ask(post(f"/tools/o.{word()}"))
            sidecar.ask(post(f"/tools/{word()}.call"))
            sidecar.ask(get(f"/{word()}/{word()}?{word()}"))
            sidecar.ask(get(f"/servers/o/{word()}"))
            sidecar.ask(get(f"/events/{word()}/summary"))
            sidecar.ask(get(f"/api/v1/servers/{word()}/stream"))
            sidecar.ask(message(f"{word().upper()} /{word()} HTTP/1.1".encode(), b"Host: a"))
            sidecar.ask(message(f"{word()} {CALL} HTTP/1.1".encode(), b"Host: a"))
        return len(list(samples(sidecar)))

    storm()
    first, second = storm(), storm()

    assert second == first


@pytest.fixture
def origin_of_all(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok()))


def test_scrape_of_ten_thousand_tools_holds_up_no_call(
    origin_of_all: Origin, start_sidecar: StartSidecar
) -> None:
    tools = [f"t{number}" for number in range(10_000)]
    sidecar = start_sidecar(server("o", origin_of_all.url, tools=tools))
    with sidecar.caller() as caller:
        for tool in tools:
            caller.send(post(f"/tools/o.{tool}"))
            caller.answer()
    slowest_s = 0.0

    with ThreadPoolExecutor(2) as pool, sidecar.caller() as caller:
        scrapes = [pool.submit(sidecar.get, "/metrics") for _ in range(2)]
        while not all(each.done() for each in scrapes):
            began_at = time.monotonic()
            caller.send(post("/tools/o.t1"))
            caller.answer()
            slowest_s = max(slowest_s, time.monotonic() - began_at)

    print(f"slowest call beside two scrapes: {slowest_s * 1000:.1f} ms")  # noqa: T201
    assert [each.result().body.count(b"toolproxy_calls_total{") for each in scrapes] == [10_000] * 2
    assert all(list(text_string_to_metric_families(e.result().body.decode())) for e in scrapes)
    assert slowest_s < SLOWEST_S


def test_head_has_the_head_of_a_scrape_and_no_body(eventful: Sidecar) -> None:
    with eventful.caller() as caller:
        caller.send(message(b"HEAD /metrics HTTP/1.1", b"Host: a") + get("/livez"))

        head, next_one = caller.answer("HEAD"), caller.answer("GET")

    assert (head.status, next_one.json()) == (200, {"status": "alive"})
    assert head.value("content-type") == eventful.get("/metrics").value("content-type")
