"""The calls that make events: on a schedule, and each says when it was sent."""

import asyncio
import time
from typing import Final, NamedTuple

import uvloop

from benchmarks.load.generator import generate
from benchmarks.load.plan import Plan
from benchmarks.load.request import Request, Target, UnreachableError
from benchmarks.processes import UnusableError
from benchmarks.sse.ears import STAMP
from benchmarks.sse.peers import Tongue

CONNECTIONS: Final = 16
_TIMEOUT_S: Final = 5.0
_NO_STAMP: Final = STAMP.format(0).encode()


class Stamped(Request):
    """A request that carries the moment at which its bytes were asked for: when it was sent."""

    @property
    def octets(self) -> bytes:
        stamp = STAMP.format(time.monotonic_ns()).encode()
        return super().octets.replace(_NO_STAMP, stamp)


class Made(NamedTuple):
    """The calls of one course."""

    events: int  # one for each call that was sent
    failed: int
    p99_ms: float  # since they were due; calls that were never sent count with what they waited


def make(port: int, tongue: Tongue, rate_per_s: float, seconds: float) -> Made:
    """Calls at a rate, for so long; those under way then are waited for."""
    target = Target.of(f"http://127.0.0.1:{port}{tongue.produce}")
    plan = Plan(
        target=target,
        request=Stamped.of(target, "POST", [*tongue.headers], tongue.body),
        rate_per_s=rate_per_s,
        connections=CONNECTIONS,
        duration_s=seconds,
        timeout_s=_TIMEOUT_S,
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            made = runner.run(generate(plan, lambda _: None))
    except UnreachableError as error:
        raise UnusableError(str(error)) from None
    if made.interrupted:
        raise KeyboardInterrupt
    return Made(made.calls, made.errors, made.latency.at_ms(99) or 0.0)
