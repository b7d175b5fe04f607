"""Plans and figures that no load had to be made for."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from benchmarks.load.figures import Ending, Fault, Figures, Recorder
from benchmarks.load.pace import NS
from benchmarks.load.plan import Plan
from benchmarks.load.request import Request, Target

SECONDS = 2


def plan(**keys: Any) -> Plan:
    target = Target.of("http://a.example:8080/tools/x?y=1")
    request = Request.of(target, None, [], b"{}")
    return Plan(target=target, request=request, duration_s=SECONDS, **keys)


def figures(
    statuses: Iterable[int] = (200,) * 100,
    *,
    faults: Iterable[Fault] = (),
    latency_ms: float = 5.0,
    **others: Any,
) -> Figures:
    """Two seconds of a load in which every answer took as long; `others` as they are given."""
    recorder = Recorder(0, SECONDS * NS)
    for status in statuses:
        recorder.answered(0, 0, int(latency_ms * NS / 1000), status)
    recorder.fold(NS)
    for fault in faults:
        recorder.failed(NS, NS, fault, "a reason")
    ending = Ending(SECONDS * NS, SECONDS * NS, 0.1 * SECONDS, 0.0, interrupted=False)
    return replace(recorder.finish(ending, ()), **others)
