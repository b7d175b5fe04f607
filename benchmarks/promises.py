"""Every promise with a figure: one row each, with its bar and where its figure comes from.

Adding a promise is adding a row. A figure is a ratio of two loads (`ratio`), something of our own
under a load (`own`), or a moment of its own (`moment`); a new kind of load is a row of `cases`.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, le, lt
from pathlib import Path
from typing import Final, NamedTuple

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
    Figure,
    Measurements,
    Spread,
)
from benchmarks.generations import compare_and_store_seconds
from benchmarks.moments import leaving_seconds, reload_seconds
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.envoy import LEAST_REQUEST as ENVOY_LEAST
from benchmarks.peers.fastapi_httpx import FASTAPI
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.peer import Peer
from benchmarks.peers.toolproxy import JOURNAL, KEYED, MANY_TOOLS, TEN_TOOLS
from benchmarks.processes import OTHER_CORES, on_cores
from benchmarks.replicas.course import FAILED_AFTER, P99_AFTER
from benchmarks.replicas.peers import EWMA, LEAST
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

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {"≤": le, "<": lt, "≥": ge}


class Bar(NamedTuple):
    """What a figure must not cross."""

    sign: str
    bound: float
    unit: str = ""

    def met(self, value: float) -> bool:
        return _SIGNS[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:.3g} {self.unit}".rstrip()


class Evidence(NamedTuple):
    """What a figure is made of: the loads, and the build of ours that is looked at."""

    measured: Measurements
    ours: Peer
    home: Path  # its code


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure comes from."""

    figure: Callable[[Evidence], Spread]
    cases: tuple[str, ...] = ()  # the loads that it needs
    beside: tuple[Peer, ...] = ()  # the peers that must take part in them
    of_a_build: bool = False  # another one for each build of ours


class Promise(NamedTuple):
    """One line of the table; without a bar it informs and promises nothing."""

    words: str
    source: Source
    bar: Bar | None = None
    digits: int = 2


def ratio(case: str, figure: Figure, to: Peer, *, of: Peer | None = None) -> Source:
    """Ours (or another's), divided by another proxy's in the same rounds."""
    return Source(
        figure=lambda it: it.measured.ratio(case, figure, (of or it.ours).key, to.key),
        cases=(case,),
        beside=(to, of) if of else (to,),
        of_a_build=of is None,
    )


def more(case: str, figure: Figure, of: Peer, than: Peer) -> Source:
    """By how much this one's is more than that one's in the same rounds."""
    return Source(
        figure=lambda it: it.measured.difference(case, figure, of.key, than.key),
        cases=(case,),
        beside=(of, than),
    )


def of_one(figure: Figure, case: str, peer: Peer) -> Source:
    """The median of this one's, whatever build of ours is looked at."""
    return Source(
        figure=lambda it: it.measured.spread(case, peer.key, figure), cases=(case,), beside=(peer,)
    )


def worst_of(figure: Figure, case: str, *peers: Peer) -> Source:
    """The highest of these, as above."""
    return Source(
        figure=lambda it: Spread.worst_of(
            value for peer in peers for value in it.measured.values(case, peer.key, figure)
        ),
        cases=(case,),
        beside=peers,
    )


def own(figure: Figure, *cases: str) -> Source:
    """The median of ours."""
    return Source(
        figure=lambda it: Spread.of(_of_ours(it, figure, cases)), cases=cases, of_a_build=True
    )


def own_worst(figure: Figure, *cases: str) -> Source:
    """The highest of ours."""
    return Source(
        figure=lambda it: Spread.worst_of(_of_ours(it, figure, cases)),
        cases=cases,
        of_a_build=True,
    )


def moment(measure: Callable[[Path, Path], list[float]], *, scale: float = 1) -> Source:
    """The longest of several spans, measured when the loads are over."""

    def figure(it: Evidence) -> Spread:
        with tempfile.TemporaryDirectory() as name, on_cores(OTHER_CORES):
            return Spread.worst_of(each * scale for each in measure(it.home, Path(name)))

    return Source(figure=figure)


def _of_ours(it: Evidence, figure: Figure, cases: tuple[str, ...]) -> list[float]:
    return [v for case in cases for v in it.measured.values(case, it.ours.key, figure)]


_LOADS: Final = ("small", "alone", "vary", "real", "realvary", "one", "up", "down", "fresh")
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
    Promise("calls that failed, worst round of all loads", own_worst(FAILED, *_LOADS), Bar("≤", 0)),
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
    Promise(f"p99 of nginx, {_SLOW}, ms", of_one(P99_AFTER, "slow", NGINX)),
    Promise(f"p99 of Envoy's LEAST_REQUEST, {_SLOW}, ms", of_one(P99_AFTER, "slow", ENVOY_LEAST)),
    Promise("CPU per small call, one endpoint ÷ nginx's", ratio("alone", CPU, NGINX)),
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
