"""A scene: three replicas, a proxy before them, calls at a rate, and one replica that goes bad.

All share all cores: what is measured here is time, not cost.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.cases import Turn
from benchmarks.figures import Round
from benchmarks.load.figures import Call
from benchmarks.load.generator import generate
from benchmarks.load.plan import Plan
from benchmarks.load.request import Request, Target, UnreachableError
from benchmarks.peers.peer import running
from benchmarks.processes import (
    ALL_CORES,
    LOOPBACK,
    Launch,
    UnusableError,
    free_port,
    listening,
    on_cores,
)
from benchmarks.replicas.course import FAILED_AFTER, OVERSLEPT, SETTLES_S, TRAIL, figures, windows
from benchmarks.upstreams import addresses

CONNECTIONS: Final = 512
BEFORE_S: Final = 1.0
_WARM_UP_S: Final = 0.5
_TIMEOUT_S: Final = 5.0
_BODY: Final = b'{"filter":"namespace:n8n"}\n'
_JSON: Final = (b"Content-Type", b"application/json")

Replica = subprocess.Popen[bytes]


def play(change: Callable[[Replica], None], rate_per_s: float, turn: Turn) -> Round:
    """Everything new for each turn: what a proxy has learnt of a replica must not count."""
    port = free_port()
    with contextlib.ExitStack() as until:
        until.enter_context(on_cores(ALL_CORES))
        first, *_ = [
            until.enter_context(replica(turn.folder / host, host, port)) for host in LOOPBACK
        ]
        upstream = addresses(LOOPBACK, port)
        proxy = until.enter_context(running(turn.peer, turn.folder / "proxy", upstream, ALL_CORES))
        plan = _plan(proxy.port, rate_per_s, BEFORE_S + SETTLES_S + turn.seconds)
        return _round(plan, partial(change, first))


def _round(plan: Plan, change: Callable[[], None]) -> Round:
    """The load, with the change in its course."""
    course = _Course(change)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            made = runner.run(generate(plan, lambda _: None, course.add))
    except UnreachableError as error:
        raise UnusableError(str(error)) from None
    if made.interrupted:
        raise KeyboardInterrupt
    calls, changed_ns = course.calls, course.changed_ns
    if not changed_ns:
        raise UnusableError("no call was over in time, even before a replica went bad")
    measured = figures(calls, changed_ns, plan.timeout_s * 1000)
    measured[FAILED_AFTER.key] += made.lateness.unsent
    measured[OVERSLEPT.key] = 100 * made.lateness.overslept / max(made.calls, 1)
    return Round(measured, windows(calls, changed_ns), windows(calls, changed_ns, TRAIL))


class _Course:
    """The calls of a load, and the change: so long after the first of them, however it began."""

    def __init__(self, change: Callable[[], None]) -> None:
        self._change = change
        self.calls: list[Call] = []
        self.changed_ns = 0

    def __repr__(self) -> str:
        return f"<_Course of {len(self.calls)} calls>"

    def add(self, call: Call) -> None:
        if not self.calls:
            asyncio.get_running_loop().call_later(BEFORE_S, self._change_now)
        self.calls.append(call)

    def _change_now(self) -> None:
        self.changed_ns = time.monotonic_ns()
        self._change()


def replica(folder: Path, host: str, port: int) -> contextlib.AbstractContextManager[Replica]:
    """One that answers, until the end of the block."""
    folder.mkdir()
    command = [sys.executable, "-m", "benchmarks.replicas.replica", host, str(port)]
    return listening(Launch(command), port, ALL_CORES, folder, host=host)


def _plan(port: int, rate_per_s: float, duration_s: float) -> Plan:
    target = Target.of(f"http://127.0.0.1:{port}/tools/bench.echo")
    return Plan(
        target=target,
        request=Request.of(target, "POST", [_JSON], _BODY),
        rate_per_s=rate_per_s,
        connections=CONNECTIONS,
        duration_s=duration_s,
        warmup_s=_WARM_UP_S,
        timeout_s=_TIMEOUT_S,
    )
