"""The generator: carries out a plan from the first line opened to the last answer.

There is no timer for each call: one tick serves all of them.
"""

import asyncio
import gc
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.load.crew import Crew
from benchmarks.load.dial import Dialer, tls_context
from benchmarks.load.figures import Call, Ending, Figures, Recorder, Row
from benchmarks.load.pace import NS, ClosedPace, OpenPace, Pace
from benchmarks.load.plan import Plan

_OPEN_TICK_S: Final = 0.001
_CLOSED_TICK_S: Final = 0.01  # begins only what joins, and who could not connect
_SWEEP_NS: Final = NS // 10
_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_ABANDONS: Final = 2
_SCHEDSTAT: Final = Path("/proc/self/schedstat")


async def generate(
    plan: Plan, on_row: Callable[[Row], None], on_call: Callable[[Call], None] | None = None
) -> Figures:
    """Open every line, make the calls, wait for their answers; `UnreachableError`.

    `on_row` is given each second as it is over, `on_call` each measured call. SIGINT and SIGTERM
    end the load early.
    """
    tls = tls_context(plan.authorities, insecure=plan.insecure) if plan.target.tls else None
    crew = Crew(plan, Dialer(plan.target, tls, plan.timeout_s))
    # A collection that went through all that was imported would stall the load for 20 ms.
    gc.collect()
    gc.freeze()
    try:
        await crew.open_lines()
        return await _Course(plan, crew, on_row, on_call).run()
    finally:
        crew.dismiss()
        gc.unfreeze()


class _Cpu(NamedTuple):
    """What this process has had of the CPU, and how long it was ready to run and not let."""

    used_s: float
    starved_s: float

    @classmethod
    def now(cls) -> "_Cpu":
        # Of the main thread alone, which is the one that counts. Linux only.
        starved_ns = _SCHEDSTAT.read_text().split()[1] if _SCHEDSTAT.exists() else 0
        return cls(time.process_time(), int(starved_ns) / NS)


class _Course:
    """A load in its course. After one `stop` no call begins, after two no answer is awaited."""

    def __init__(
        self,
        plan: Plan,
        crew: Crew,
        on_row: Callable[[Row], None],
        on_call: Callable[[Call], None] | None,
    ) -> None:
        self._crew = crew
        self._on_row = on_row
        self._tick_s = _CLOSED_TICK_S if plan.rate_per_s is None else _OPEN_TICK_S
        start_ns = time.monotonic_ns()
        self._from_ns = start_ns + int(plan.warmup_s * NS)
        self._sweep_ns = start_ns
        self._pace = _pace(plan, start_ns)
        self._recorder = Recorder(self._from_ns, self._pace.end_ns, on_call)
        self._stops = 0

    async def run(self) -> Figures:
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self.stop)
        self._crew.begin(self._pace, self._recorder)
        await self._ticks_until(self._from_ns)
        from_cpu = _Cpu.now()
        await self._ticks_until(self._pace.end_ns)
        self._pace.stop(self._pace.end_ns)
        cpu = _Cpu.now()
        while not self._crew.idle and self._stops < _ABANDONS:
            await self._tick()
        return self._recorder.finish(
            Ending(
                end_ns=self._pace.end_ns,
                drained_ns=time.monotonic_ns(),
                used_cpu_s=cpu.used_s - from_cpu.used_s,
                starved_s=cpu.starved_s - from_cpu.starved_s,
                interrupted=self._stops > 0,
            ),
            self._pace.left(),
        )

    def stop(self) -> None:
        self._stops += 1
        self._pace.stop(time.monotonic_ns())

    async def _ticks_until(self, moment_ns: int) -> None:
        while await self._tick() < min(moment_ns, self._pace.end_ns):
            pass

    async def _tick(self) -> int:
        """Let a tick pass, then do what is due; the moment it is."""
        await asyncio.sleep(self._tick_s)
        now_ns = time.monotonic_ns()
        self._crew.tick(now_ns)
        if now_ns >= self._sweep_ns:
            # On a grid, so that a row begins and ends at a full second.
            self._sweep_ns = now_ns + _SWEEP_NS - (now_ns - self._from_ns) % _SWEEP_NS
            self._crew.sweep(now_ns)
            row = self._recorder.fold(now_ns)
            if row is not None:
                self._on_row(row)
        return now_ns


def _pace(plan: Plan, start_ns: int) -> Pace:
    end_ns = start_ns + int((plan.warmup_s + plan.duration_s) * NS)
    ramp_ns = int(plan.ramp_s * NS)
    if plan.rate_per_s is None:
        return ClosedPace(plan.connections, ramp_ns, start_ns, end_ns)
    return OpenPace(plan.rate_per_s, plan.connections, ramp_ns, start_ns, end_ns)
