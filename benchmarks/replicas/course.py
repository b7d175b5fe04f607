"""The course of a load in which something changes: latency and failures, before it and after.

Knows calls and moments. Knows nothing of proxies or of how the calls were made.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from benchmarks.figures import Figure, Window
from benchmarks.load.figures import Call
from benchmarks.load.pace import NS

WINDOW_S: Final = 0.1
TRAIL: Final = 5  # windows: enough calls that p99 is not the third worst of them
SETTLES_S: Final = 1.0  # after the change; from then on a proxy must have coped

P99_BEFORE: Final = Figure("p99_before_ms", "p99 ms before", 2)
P99_FIRST: Final = Figure("p99_first_ms", "p99 ms in the first second", 2)
P50_AFTER: Final = Figure("p50_after_ms", "p50 ms from 1 s on", 2)
P99_AFTER: Final = Figure("p99_after_ms", "**p99 ms from 1 s on**", 2)
FAILED_UNTIL: Final = Figure("failed_until", "failed until 1 s after", 0)
FAILED_AFTER: Final = Figure("failed_after", "**failed from 1 s on**", 0)
LONG_AFTER: Final = Figure("long_after_percent", "100 ms or more from 1 s on, %", 2)
CALLS_AFTER: Final = Figure("calls_after", "calls from 1 s on", 0)
OVERSLEPT: Final = Figure("overslept_percent", "sent late by the load itself, %", 2)

_WINDOW_NS: Final = round(WINDOW_S * NS)
_SETTLES_NS: Final = round(SETTLES_S * NS)
_LONG_NS: Final = NS // 10


def figures(calls: Iterable[Call], changed_ns: int, worst_ms: float) -> dict[str, float]:
    """Latencies are those of good answers; where there is none, as much as a caller waits."""
    parts: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        parts[_part(call.due_ns - changed_ns)].append(call)

    def at_ms(part: str, percent: float) -> float:
        found = percentile_ms(parts[part], percent)
        return worst_ms if found is None else found

    return {
        P99_BEFORE.key: at_ms("before", 99),
        P99_FIRST.key: at_ms("first", 99),
        P50_AFTER.key: at_ms("after", 50),
        P99_AFTER.key: at_ms("after", 99),
        # Those that were under way count here.
        FAILED_UNTIL.key: _failed(parts["before"]) + _failed(parts["first"]),
        FAILED_AFTER.key: _failed(parts["after"]),
        LONG_AFTER.key: _long_percent(parts["after"]),
        CALLS_AFTER.key: len(parts["after"]),
    }


def windows(calls: Iterable[Call], changed_ns: int, trail: int = 1) -> list[Window]:
    """Every 100 ms, by when calls were due; what is not whole at both ends is left out.

    Each has the calls of so many windows up to itself, as far as there are any before it.
    """
    parts: defaultdict[int, list[Call]] = defaultdict(list)
    for call in calls:
        parts[(call.due_ns - changed_ns) // _WINDOW_NS].append(call)
    first, last = min(parts) + 1, max(parts)

    def up_to(number: int) -> list[Call]:
        numbers = range(max(first, number + 1 - trail), number + 1)
        return [call for each in numbers for call in parts[each]]

    return [_window(number, up_to(number)) for number in range(first, last)]


def typical(courses: Iterable[Sequence[Window]]) -> list[Window]:
    """The median of each window over several rounds, as far as all of them went."""
    by_moment: defaultdict[float, list[Window]] = defaultdict(list)
    rounds = 0
    for course in courses:
        rounds += 1
        for window in course:
            by_moment[window.at_s].append(window)
    return [_median(each) for _, each in sorted(by_moment.items()) if len(each) == rounds]


def percentile_ms(calls: Iterable[Call], percent: float) -> float | None:
    """The least latency that so many per cent of the good answers do not exceed."""
    took_ns = sorted(call.took_ns for call in calls if call.good)
    if not took_ns:
        return None
    return took_ns[math.ceil(len(took_ns) * percent / 100) - 1] / 1e6


def _part(after_ns: int) -> str:
    if after_ns < 0:
        return "before"
    return "first" if after_ns < _SETTLES_NS else "after"


def _failed(calls: Iterable[Call]) -> int:
    return sum(not call.good for call in calls)


def _long_percent(calls: Sequence[Call]) -> float:
    """How near p99 is to showing the bad replica: it does from 1 % on."""
    return 100 * sum(call.took_ns >= _LONG_NS for call in calls) / max(len(calls), 1)


def _window(number: int, calls: Sequence[Call]) -> Window:
    return Window(
        at_s=round(number * WINDOW_S, 3),
        calls=len(calls),
        failed=_failed(calls),
        p50_ms=percentile_ms(calls, 50),
        p99_ms=percentile_ms(calls, 99),
    )


def _median(windows: Sequence[Window]) -> Window:
    def of(get: Callable[[Window], float | None]) -> float | None:
        known = [value for each in windows if (value := get(each)) is not None]
        return statistics.median(known) if known else None

    return Window(
        at_s=windows[0].at_s,
        calls=int(of(lambda each: each.calls) or 0),
        failed=int(of(lambda each: each.failed) or 0),
        p50_ms=of(lambda each: each.p50_ms),
        p99_ms=of(lambda each: each.p99_ms),
    )
