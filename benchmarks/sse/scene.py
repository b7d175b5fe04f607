"""A fan-out: a new server, calls without subscribers, then the same calls with them."""

import contextlib
import time
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import upstreams
from benchmarks.cases import Turn
from benchmarks.figures import FAILED, Round
from benchmarks.peers.peer import Running, running
from benchmarks.processes import OTHER_CORES, UnusableError
from benchmarks.sse import figures as of
from benchmarks.sse.calls import Made, make
from benchmarks.sse.ears import Account, Report
from benchmarks.sse.hall import Hall, deaf, opened
from benchmarks.sse.peers import Tongue, tongue_of

_WARM_UP_S: Final = 0.5
_SETTLES_S: Final = 0.5  # what subscribing leaves to be done
# More events than either server holds for those who come back: then they grow no more for it.
_FILL_PER_S: Final = 4000.0
_FILL_S: Final = 3.0
# At 200 events/s: first the kernel takes some, then the sidecar's queue of 1 000 runs over.
_RUNS_OVER_S: Final = 12.0
_KIB: Final = 1024


class Scene(NamedTuple):
    """So many subscribers, and so many events a second."""

    subscribers: int
    rate_per_s: float
    everything: bool = False  # no filter

    def tongue(self, turn: Turn) -> Tongue:
        tongue = tongue_of(turn.peer)
        path, _, _ = tongue.subscribe.partition("?")
        return tongue._replace(subscribe=path) if self.everything else tongue


class Course(NamedTuple):
    """Calls for some time, what became of their events, and what that cost the server."""

    made: Made
    report: Report
    account: Account
    cpu_s: float
    growth_bytes: int
    busy_percent: float

    @property
    def lost(self) -> int:
        return self.report.astray + self.account.at_odds


def fan_out(scene: Scene, turn: Turn) -> Round:
    """Cost, delay, memory."""
    tongue = scene.tongue(turn)
    with contextlib.ExitStack() as until:
        proxy = _started(turn, until)
        make(proxy.port, tongue, scene.rate_per_s, _WARM_UP_S)
        before_s = proxy.cpu_s()
        alone = make(proxy.port, tongue, scene.rate_per_s, turn.seconds)
        alone_s = proxy.cpu_s() - before_s
        before_bytes = proxy.resident_bytes()
        hall = until.enter_context(opened(proxy.port, tongue.subscribe))
        hall.seat(scene.subscribers)
        time.sleep(_SETTLES_S)
        idle_bytes = proxy.resident_bytes()
        _course(proxy, hall, tongue, scene.rate_per_s, _WARM_UP_S)
        course = _course(proxy, hall, tongue, scene.rate_per_s, turn.seconds)
    heard, said = course.report.heard, course.account
    return Round(
        {
            of.CPU_DELIVERY.key: course.cpu_s / heard * 1e6,
            of.CPU_FAN_OUT.key: (course.cpu_s - alone_s) / heard * 1e6,
            of.RATE.key: heard / said.span_s,
            of.LOST.key: course.lost,
            of.DELAY_P50.key: said.p50_ms,
            of.DELAY_P99.key: said.p99_ms,
            of.CALL_P99.key: course.made.p99_ms,
            of.CALL_RISE.key: course.made.p99_ms - alone.p99_ms,
            of.PER_SUBSCRIBER.key: (idle_bytes - before_bytes) / scene.subscribers / _KIB,
            of.EVENT.key: said.event_bytes,
            of.BUSY.key: course.busy_percent,
            FAILED.key: alone.failed + course.made.failed,
        }
    )


def beside_a_deaf_one(scene: Scene, turn: Turn) -> Round:
    """The same with one more subscriber, who reads nothing at all."""
    tongue = scene.tongue(turn)
    with contextlib.ExitStack() as until:
        proxy = _started(turn, until)
        make(proxy.port, tongue, _FILL_PER_S, _FILL_S)
        hall = until.enter_context(opened(proxy.port, tongue.subscribe))
        hall.seat(scene.subscribers)
        _course(proxy, hall, tongue, scene.rate_per_s, _WARM_UP_S)
        before = _course(proxy, hall, tongue, scene.rate_per_s, turn.seconds)
        until.enter_context(deaf(proxy.port, tongue.subscribe))
        seconds = max(turn.seconds, _RUNS_OVER_S)
        beside = _course(proxy, hall, tongue, scene.rate_per_s, seconds)
    return Round(
        {
            of.DELAY_BEFORE.key: before.account.p99_ms,
            of.DELAY_BESIDE.key: beside.account.p99_ms,
            of.DELAY_RISE.key: beside.account.p99_ms - before.account.p99_ms,
            of.GROWTH.key: beside.growth_bytes / _KIB / _KIB,
            of.LOST.key: beside.lost,
            FAILED.key: before.made.failed + beside.made.failed,
        }
    )


def _started(turn: Turn, until: contextlib.ExitStack) -> Running:
    """New for each turn: memory is that of subscribers, and not of what came before them."""
    folder = turn.folder / "upstream"
    folder.mkdir()
    upstream = until.enter_context(upstreams.answers(folder))
    return until.enter_context(running(turn.peer, turn.folder / "proxy", upstream))


def _course(
    proxy: Running, hall: Hall, tongue: Tongue, rate_per_s: float, seconds: float
) -> Course:
    """From the first call to the last delivery."""
    hall.begin()
    proxy.forget_peak()
    before_bytes = proxy.resident_bytes()
    before_s, before = proxy.cpu_s(), _Ticks.now()
    made = make(proxy.port, tongue, rate_per_s, seconds)
    report = hall.hear_out(made.events)
    cpu_s, ticks = proxy.cpu_s() - before_s, _Ticks.now()
    if not report.heard:
        raise UnusableError(f"no event has reached any subscriber: {report.problem}")
    return Course(
        made=made,
        report=report,
        account=hall.account(),
        cpu_s=cpu_s,
        growth_bytes=proxy.peak_bytes() - before_bytes,
        busy_percent=ticks.busy_percent(before),
    )


class _Ticks(NamedTuple):
    """What the core of load, subscribers and upstream has done since the machine's start."""

    idle: int
    total: int

    @classmethod
    def now(cls) -> "_Ticks":
        name = f"cpu{min(OTHER_CORES)}"
        lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
        spent = next([int(each) for each in ticks[:8]] for head, *ticks in lines if head == name)
        return cls(idle=spent[3] + spent[4], total=sum(spent))

    def busy_percent(self, before: "_Ticks") -> float:
        total = self.total - before.total
        return 100 * (1 - (self.idle - before.idle) / total) if total else 0.0
