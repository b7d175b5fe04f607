"""Every promise with a figure: one row each, with its bar and where its figure comes from.

Adding a promise is adding a row; a new kind of load is a row of `cases`.
"""

from typing import Final

from benchmarks.dropin.cases import HANDSHAKE_CPU, MESSAGE_CPU
from benchmarks.dropin.together import calls_miscounted, events_missed, rate_missed_percent
from benchmarks.dropin.upheavals import (
    back_seconds,
    bystanders_hurt,
    refused_by_upgrade,
    sockets_dropped,
)
from benchmarks.figures import (
    BODY_GROWTH,
    BODY_RATE,
    CPU,
    FAILED,
    IDLE,
    P50,
    P99,
    PER_CONNECTION,
    START,
)
from benchmarks.generations import compare_and_store_seconds
from benchmarks.moments import leaving_seconds, reload_seconds
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.envoy import LEAST_REQUEST as ENVOY_LEAST
from benchmarks.peers.fastapi_httpx import FASTAPI
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.toolproxy import JOURNAL, KEYED, MANY_ROUTES, MANY_TOOLS, TEN_TOOLS
from benchmarks.replicas.course import FAILED_AFTER, P99_AFTER
from benchmarks.replicas.peers import EWMA, LEAST
from benchmarks.sources import (
    Bar,
    Promise,
    moment,
    more,
    of_one,
    own,
    own_worst,
    pairwise,
    ratio,
    worst_of,
)
from benchmarks.sse.figures import (
    CALL_RISE,
    CPU_DELIVERY,
    DELAY_P99,
    DELAY_RISE,
    GROWTH,
    LOST,
    PER_SUBSCRIBER,
)
from benchmarks.sse.peers import NCHAN
from benchmarks.stall import changing_stall_seconds, stall_seconds

_LOADS: Final = ("small", "alone", "vary", "real", "realvary", "one", "up", "down", "fresh")
_LOADS_OF_NGINX: Final = ("route", "websocket", "websocket16k", "tls", "handshakes", "workers")
_SLOW: Final = "one of three replicas slow (200 ms), from 1 s after the change"
_FAN_OUT: Final = "500 subscribers, 200 events/s"
_LIVE: Final = "a changed registry is live, slowest of four ways of changing it"

PROMISES: Final = (
    Promise(
        "CPU per small call, everything on, three endpoints ÷ nginx's",
        ratio("small", CPU, NGINX),
        Bar("≤", 1.5),
    ),
    Promise("CPU per small call ÷ Envoy's", ratio("small", CPU, ENVOY), Bar("≤", 0.5)),
    Promise(
        "CPU per small call ÷ FastAPI + httpx's",
        ratio("small", CPU, FASTAPI),
        Bar("≤", 1 / 30),
        digits=4,
    ),
    Promise("CPU per call, realistic head ÷ nginx's", ratio("real", CPU, NGINX), Bar("≤", 2.0)),
    Promise("p50 at one connection ÷ nginx's", ratio("one", P50, NGINX), Bar("≤", 1.6)),
    Promise("p99 at 32 connections ÷ nginx's", ratio("small", P99, NGINX), Bar("≤", 2.0)),
    Promise("rate of 10 MB bodies up ÷ nginx's", ratio("up", BODY_RATE, NGINX), Bar("≥", 0.7)),
    Promise("rate of 10 MB bodies down ÷ nginx's", ratio("down", BODY_RATE, NGINX), Bar("≥", 0.7)),
    Promise(
        "resident memory while they pass, worst round: +",
        own_worst(BODY_GROWTH, "up", "down"),
        Bar("<", 20, "MB"),
        digits=1,
    ),
    Promise("idle resident memory", own(IDLE, "fresh"), Bar("<", 60, "MB"), digits=1),
    Promise(
        "resident memory for each idle connection",
        own(PER_CONNECTION, "fresh"),
        Bar("<", 10, "KiB"),
        digits=1,
    ),
    Promise("first call served after the start", own(START, "fresh"), Bar("≤", 0.7, "s")),
    Promise(
        "CPU per call, 100 000 tools ÷ ten",
        ratio("tools", CPU, TEN_TOOLS, of=MANY_TOOLS),
        Bar("≤", 1.05),
        digits=3,
    ),
    Promise(
        "longest stall of the loop, reload of 100 000 tools",
        moment(stall_seconds, scale=1000),
        Bar("≤", 20, "ms"),
        digits=1,
    ),
    Promise(
        "longest stall of the loop, reload of 10 000 tools, all changed",
        moment(changing_stall_seconds, scale=1000),
        Bar("≤", 20, "ms"),
        digits=1,
    ),
    Promise(
        "10 000 changed tools, compared and stored",
        moment(compare_and_store_seconds),
        Bar("<", 1.0, "s"),
    ),
    Promise(f"p99 of least_request, {_SLOW}", of_one(P99_AFTER, "slow", LEAST), Bar("<", 10, "ms")),
    Promise(f"p99 of peak_ewma, {_SLOW}", of_one(P99_AFTER, "slow", EWMA), Bar("<", 10, "ms")),
    Promise(
        f"failed calls of either, worst round, {_SLOW}",
        worst_of(FAILED_AFTER, "slow", LEAST, EWMA),
        Bar("≤", 0),
    ),
    Promise(_LIVE, moment(reload_seconds), Bar("≤", 1.0, "s")),
    Promise("the upstream sees a caller leave", moment(leaving_seconds), Bar("≤", 0.1, "s"), 4),
    Promise(
        "calls that failed, worst round of all loads",
        own_worst(FAILED, *_LOADS, *_LOADS_OF_NGINX),
        Bar("≤", 0),
    ),
    Promise(
        "CPU per call with a journal: +",
        more("journal", CPU, JOURNAL, TEN_TOOLS),
        Bar("≤", 2, "µs"),
    ),
    Promise(
        "p99 at 32 connections with a journal: +",
        more("journal", P99, JOURNAL, TEN_TOOLS),
        Bar("<", 0.5, "ms"),
    ),
    Promise(
        "CPU per call with an API key and a rate limit: +",
        more("keyed", CPU, KEYED, TEN_TOOLS),
        Bar("≤", 3, "µs"),
    ),
    Promise(
        f"CPU per delivery of an event ÷ nginx + Nchan's, {_FAN_OUT}",
        ratio("fan500", CPU_DELIVERY, NCHAN),
        Bar("≤", 1.0),
    ),
    Promise(
        "events lost, twice or out of order at any subscriber, worst round of all fan-outs",
        own_worst(LOST, "fan500", "fan5000", "deaf"),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        f"p99 from a call to its event at a subscriber, {_FAN_OUT}",
        own(DELAY_P99, "fan500"),
        Bar("<", 50, "ms"),
        digits=1,
    ),
    Promise(
        f"p99 of the calls meanwhile, {_FAN_OUT}: +", own(CALL_RISE, "fan500"), Bar("<", 2, "ms")
    ),
    Promise(
        "resident memory for each of 5,000 idle subscribers",
        own(PER_SUBSCRIBER, "fan5000"),
        Bar("<", 20, "KiB"),
        digits=1,
    ),
    Promise(
        "resident memory for a subscriber who reads nothing, worst round: +",
        own_worst(GROWTH, "deaf"),
        Bar("<", 2, "MiB"),
    ),
    Promise(
        "p99 from a call to its event at the others meanwhile: +",
        own(DELAY_RISE, "deaf"),
        Bar("<", 5, "ms"),
    ),
    Promise("CPU per call through a route ÷ nginx's", ratio("route", CPU, NGINX), Bar("≤", 1.6)),
    Promise("CPU per call over TLS ÷ nginx's", ratio("tls", CPU, NGINX), Bar("≤", 2.0)),
    Promise(
        "CPU per WebSocket message of 32 bytes ÷ nginx's",
        ratio("websocket", MESSAGE_CPU, NGINX),
        Bar("≤", 1.5),
    ),
    Promise(
        "CPU per WebSocket message of 16 KiB ÷ nginx's",
        ratio("websocket16k", MESSAGE_CPU, NGINX),
        Bar("≤", 1.5),
    ),
    Promise(
        "CPU per call to a tool beside 1 000 routes ÷ none",
        pairwise("routes", CPU, TEN_TOOLS, of=MANY_ROUTES),
        Bar("≤", 1.02),
        digits=3,
    ),
    Promise("a killed worker is replaced, and calls on", moment(back_seconds), Bar("≤", 1.0, "s")),
    Promise(
        "calls that failed on connections of other workers meanwhile",
        moment(bystanders_hurt),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        "of 1 000 WebSockets over TLS, dropped by another certificate, routes and registry",
        moment(sockets_dropped),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        "calls that failed while a new sidecar took over",
        moment(refused_by_upgrade),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        "calls by which `/metrics` of two workers is wrong",
        moment(calls_miscounted),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        "events of two workers' calls that a subscriber misses or hears twice",
        moment(events_missed),
        Bar("≤", 0),
        digits=0,
    ),
    Promise(
        "a rate of 100/s admits, over two workers, more or less than that",
        moment(rate_missed_percent),
        Bar("≤", 10, "%"),
        digits=1,
    ),
    Promise(f"p99 of nginx, {_SLOW}, ms", of_one(P99_AFTER, "slow", NGINX)),
    Promise(f"p99 of Envoy's LEAST_REQUEST, {_SLOW}, ms", of_one(P99_AFTER, "slow", ENVOY_LEAST)),
    Promise("CPU per small call, one endpoint ÷ nginx's", ratio("alone", CPU, NGINX)),
    Promise(
        "CPU per TLS connection of one call ÷ nginx's", ratio("handshakes", HANDSHAKE_CPU, NGINX)
    ),
    Promise("CPU per small call, two workers ÷ nginx's", ratio("workers", CPU, NGINX)),
    Promise("CPU per small call, no head like another ÷ nginx's", ratio("vary", CPU, NGINX)),
    Promise(
        "CPU per call, realistic, no head like another ÷ nginx's", ratio("realvary", CPU, NGINX)
    ),
    Promise(
        "CPU per call, 100 000 tools ÷ ten, another tool each time",
        ratio("toolspread", CPU, TEN_TOOLS, of=MANY_TOOLS),
        digits=3,
    ),
    Promise(
        "CPU per delivery of an event ÷ nginx + Nchan's, 5,000 subscribers, 20 events/s",
        ratio("fan5000", CPU_DELIVERY, NCHAN),
    ),
    Promise(
        "p99 from a call to its event at a subscriber, 5,000 of them, 20 events/s, ms",
        own(DELAY_P99, "fan5000"),
        digits=1,
    ),
)
