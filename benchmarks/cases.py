"""The cases: what is asked of a peer in its turn, and what is measured meanwhile."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import wrk
from benchmarks.body_load import CONNECTIONS as BODY_CONNECTIONS
from benchmarks.body_load import load_bodies
from benchmarks.body_wire import BODY_BYTES
from benchmarks.figures import (
    BODY_CPU,
    BODY_GROWTH,
    BODY_RATE,
    CALLS,
    CPU,
    FAILED,
    IDLE,
    P50,
    P99,
    PER_CONNECTION,
    START,
    Figure,
    Round,
)
from benchmarks.fresh import CONNECTIONS as IDLE_CONNECTIONS
from benchmarks.fresh import measure_fresh
from benchmarks.peers.peer import PLAIN, Front, Peer, Running
from benchmarks.peers.table import PEERS, SIZES
from benchmarks.peers.toolproxy import JOURNAL, KEYED, TEN_TOOLS

MANY: Final = 32


class Upstream(Enum):
    """Which of `upstreams` stands behind the peer."""

    ANSWERS = "answers"
    ALONE = "alone"  # the same at one address
    BODIES = "bodies"
    SOCKETS = "sockets"  # WebSockets that say what they hear
    OWN = "own"  # none: the turn starts its own


class Turn(NamedTuple):
    """One peer's turn at a case."""

    peer: Peer
    upstream: Sequence[str]  # its addresses
    standing: Callable[[], Running]  # the one that runs all the time
    seconds: float
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of load, and the peers that it is for."""

    key: str
    title: str
    how: str
    figures: tuple[Figure, ...]
    measure: Callable[[Turn], Round]
    ratio: Figure | None  # what is shown as a multiple of `base`'s
    more: Figure | None = None  # what is shown by how much it is more than `base`'s
    base: str = "nginx"
    upstream: Upstream = Upstream.ANSWERS
    front: Front = PLAIN
    peers: tuple[Peer, ...] = PEERS
    kin: str = ""  # the case that this is another row of, which brings it along
    slices: int = 1  # each round is cut into so many: peers that nearly agree must be close in time
    warmed: bool = True  # by a turn that does not count
    quick: bool = True  # part of --quick


def load_small(script: str, turn: Turn, *, tool: str = "echo", connections: int = MANY) -> Round:
    """Calls of `bench.<tool>` by wrk for the time of the turn."""
    return load_path(script, turn, f"/tools/bench.{tool}", connections)


def load_path(script: str, turn: Turn, path: str, connections: int = MANY) -> Round:
    running = turn.standing()
    before_s = running.cpu_s()
    load = wrk.load_calls(
        running.url(path),
        script,
        connections=connections,
        seconds=turn.seconds,
        folder=turn.folder,
    )
    figures = {
        CPU.key: (running.cpu_s() - before_s) / max(load.calls, 1) * 1e6,
        CALLS.key: load.calls_per_s,
        P50.key: load.p50_ms,
        P99.key: load.p99_ms,
        FAILED.key: load.failed,
    }
    return Round(figures)


def _bodies(tool: str, turn: Turn) -> Round:
    running = turn.standing()
    running.forget_peak()
    before_s = running.cpu_s()
    load = load_bodies(running.port, tool, turn.seconds)
    figures = {
        BODY_RATE.key: load.bodies * BODY_BYTES / load.took_s / 1e6,
        BODY_CPU.key: (running.cpu_s() - before_s) / max(load.bodies, 1) * 1e3,
        BODY_GROWTH.key: (running.peak_bytes() - running.idle_bytes) / 1e6,
        FAILED.key: load.failed,
    }
    return Round(figures)


def _one_of_its_tools(turn: Turn) -> Round:
    return load_small(wrk.SMALL, turn, tool="t0000")


def _one_of_its_tools_with_a_key(turn: Turn) -> Round:
    return load_small(wrk.KEYED, turn, tool="t0000")


def _many_of_its_tools(turn: Turn) -> Round:
    few = turn.peer is TEN_TOOLS
    return load_small(wrk.one_after_the_other(10 if few else 1000), turn)


def _fresh(turn: Turn) -> Round:
    return measure_fresh(turn.peer, turn.folder / "fresh", turn.upstream)


OF_CALLS: Final = (CPU, CALLS, P50, P99)
_OF_BODIES: Final = (BODY_RATE, BODY_CPU, BODY_GROWTH)
SMALL: Final = "27-byte POST, 80-byte JSON answer"
_LARGE: Final = f"{BODY_BYTES / 1e6:g} MB of JSON, {BODY_CONNECTIONS} connections"

CASES: Final = (
    Case(
        key="small",
        title="Small call",
        how=f"{SMALL}, {MANY} connections; every head says the same",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL),
    ),
    Case(
        key="alone",
        title="Small call, one endpoint",
        how="the same, but the upstream has one address instead of three: without balancing",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL),
        upstream=Upstream.ALONE,
        quick=False,
    ),
    Case(
        key="vary",
        title="Small call, no head like another",
        how=f"{SMALL}, {MANY} connections; a field of its own in every request and answer",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.VARY, tool="vary"),
        quick=False,
    ),
    Case(
        key="real",
        title="Realistic head",
        how=f"12 request fields, 10 answer fields, 1.5 KB answer, {MANY} connections",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.REAL, tool="real"),
    ),
    Case(
        key="realvary",
        title="Realistic head, no head like another",
        how="the same, with ids of its own in every request and answer",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.REAL_VARY, tool="realvary"),
        quick=False,
    ),
    Case(
        key="one",
        title="One connection",
        how=f"{SMALL}, one connection",
        figures=OF_CALLS,
        ratio=P50,
        measure=partial(load_small, wrk.SMALL, connections=1),
    ),
    Case(
        key="up",
        title="10 MB up",
        how=f"calls with {_LARGE}",
        figures=_OF_BODIES,
        ratio=BODY_RATE,
        measure=partial(_bodies, "up"),
        upstream=Upstream.BODIES,
    ),
    Case(
        key="down",
        title="10 MB down",
        how=f"answers with {_LARGE}",
        figures=_OF_BODIES,
        ratio=BODY_RATE,
        measure=partial(_bodies, "down"),
        upstream=Upstream.BODIES,
    ),
    Case(
        key="tools",
        title="10 against 100 000 tools",
        how=f"{SMALL}, {MANY} connections, one and the same tool on both",
        figures=OF_CALLS,
        ratio=CPU,
        measure=_one_of_its_tools,
        peers=SIZES,
        base=TEN_TOOLS.key,
        quick=False,
    ),
    Case(
        key="toolspread",
        title="10 against 100 000 tools, another one each time",
        how=f"{SMALL}, {MANY} connections; ten tools in turn of the ten, 1 000 of the 100 000",
        figures=OF_CALLS,
        ratio=CPU,
        measure=_many_of_its_tools,
        peers=SIZES,
        base=TEN_TOOLS.key,
        quick=False,
    ),
    Case(
        key="journal",
        title="Events in the ring against a journal as well",
        how=f"{SMALL}, {MANY} connections, one and the same tool; the journal is a file",
        figures=OF_CALLS,
        ratio=None,
        more=CPU,
        measure=_one_of_its_tools,
        peers=(TEN_TOOLS, JOURNAL),
        base=TEN_TOOLS.key,
        quick=False,
    ),
    Case(
        key="keyed",
        title="Anybody's calls against those of a known key with a rate limit",
        how=f"{SMALL}, {MANY} connections, one and the same tool; all show the same key",
        figures=OF_CALLS,
        ratio=None,
        more=CPU,
        measure=_one_of_its_tools_with_a_key,
        peers=(TEN_TOOLS, KEYED),
        base=TEN_TOOLS.key,
        quick=False,
    ),
    Case(
        key="fresh",
        title=f"Start, and {IDLE_CONNECTIONS:,} idle connections",
        how="from the start of the process to its first answer; resident memory then; and what each"
        " of so many connections adds that have made one call and stay open",
        figures=(START, IDLE, PER_CONNECTION),
        ratio=None,
        measure=_fresh,
        warmed=False,
    ),
)
