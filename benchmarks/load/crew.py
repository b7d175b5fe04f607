"""The crew: every caller, who of them is free, and who makes the call that is due.

A call that is due begins at once if a caller is free; else when one is, and counts since it was
due. Looks at the clock when it is told to, and whenever a call is over.
"""

import asyncio
import time
from collections import deque
from typing import Final

from benchmarks.load.caller import Caller
from benchmarks.load.dial import Dialer
from benchmarks.load.figures import Fault, Recorder
from benchmarks.load.pace import NS, Pace
from benchmarks.load.plan import Plan

_DIALS_AT_ONCE: Final = 64
# The clock is looked at every 1.1 ms: a call that was sent so soon, and waited for nobody, was on
# time, and counts since then. Else half a millisecond of each would be the generator's own.
_ON_TIME_NS: Final = 2_000_000


class Crew:
    """Callers that share one pace and one recorder."""

    def __init__(self, plan: Plan, dialer: Dialer) -> None:
        self._dialer = dialer
        self._timeout_ns = int(plan.timeout_s * NS)
        self._callers = [Caller(self, dialer, plan.request) for _ in range(plan.connections)]
        self._resting = deque(self._callers)  # until the pace lets them join
        self._free: deque[Caller] = deque()
        self._short = False  # has nobody been free since the last tick?
        self._pace: Pace
        self._recorder: Recorder

    def __repr__(self) -> str:
        return f"<Crew {len(self._free)} free of {len(self._callers)}>"

    async def open_lines(self) -> None:
        """Open the first line, or raise `UnreachableError`; then try to open the others.

        What can't be opened now is tried again by the call that needs it, and counts there.
        """
        await self._dialer.find(self._callers[0].new_line)
        turn = asyncio.Semaphore(_DIALS_AT_ONCE)

        async def dial(caller: Caller) -> None:
            async with turn:
                await caller.dial()

        await asyncio.gather(*(dial(caller) for caller in self._callers[1:]))

    def begin(self, pace: Pace, recorder: Recorder) -> None:
        self._pace = pace
        self._recorder = recorder

    @property
    def idle(self) -> bool:
        """Is no call out?"""
        return len(self._free) + len(self._resting) == len(self._callers)

    def tick(self, now_ns: int) -> None:
        """Begin what is due."""
        joined = len(self._callers) - len(self._resting)
        for _ in range(self._pace.joined(now_ns) - joined):
            self._free.append(self._resting.popleft())
        waited, self._short = self._short, False
        self._call_what_is_due(waited=waited)

    def sweep(self, now_ns: int) -> None:
        """Give up calls that have waited too long, and note how many wait to be sent."""
        for caller in self._callers:
            if caller.sent_ns and now_ns - caller.sent_ns > self._timeout_ns:
                caller.give_up()
        self._recorder.behind(now_ns, self._pace.behind(now_ns))

    def dismiss(self) -> None:
        """Close every line, whatever is on it."""
        for caller in self._callers:
            caller.hang_up()

    # --- for the callers ---

    def answered(self, caller: Caller, due_ns: int, sent_ns: int, status: int) -> None:
        self._recorder.answered(due_ns, sent_ns, time.monotonic_ns(), status)
        waited = not self._free
        self._free.append(caller)
        self._call_what_is_due(waited=waited)

    def failed(self, caller: Caller, due_ns: int, fault: Fault, detail: str) -> None:
        """Its next call waits for the tick, so that a target that is away is not stormed."""
        self._recorder.failed(due_ns, time.monotonic_ns(), fault, detail)
        self._free.append(caller)

    def _call_what_is_due(self, *, waited: bool) -> None:
        while self._free:
            now_ns = time.monotonic_ns()
            due_ns = self._pace.take(now_ns)
            if due_ns is None:
                return
            if now_ns - due_ns > _ON_TIME_NS:
                self._recorder.late(due_ns, waited=waited)
            elif not waited:
                due_ns = self._recorder.on_time(due_ns, now_ns)
            self._free.popleft().call(due_ns, now_ns)
        self._short = True
