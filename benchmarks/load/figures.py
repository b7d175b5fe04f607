"""Figures: what became of the calls, in total and per second.

The recorder is fed from the hot path, so it appends and counts later. Time is an argument.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Final, NamedTuple

from benchmarks.load.histogram import Histogram, percentiles_ms, rounded
from benchmarks.load.pace import NS

FIRST_ERROR: Final = 400
_MOST_ROWS: Final = 14_400  # every second of four hours; of a longer load, every few seconds
_BATCH: Final = 10_000


class Fault(StrEnum):
    """Every way for a call to end without an answer."""

    REFUSED = "refused"
    UNCONNECTED = "unconnected"
    TLS = "tls"
    RESET = "reset"
    CLOSED = "closed"
    TIMEOUT = "timeout"
    MALFORMED = "malformed"


class Call(NamedTuple):
    """One call that is over."""

    due_ns: int
    took_ns: int  # since it was due
    good: bool


class Row(NamedTuple):
    """One second of the load, by when calls ended; no latencies if none was answered."""

    at_s: float
    span_s: float
    calls: int
    errors: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


@dataclass(slots=True)
class Lateness:
    """Calls that were not sent when they were due.

    `waited`: no connection was free. `overslept`: one was, and the generator came late. `most`
    were due at one moment and unsent; `unsent` still were when the load ended.
    """

    waited: int = 0
    overslept: int = 0
    most: int = 0
    unsent: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All that was measured. `latency` counts from when a call was due, `service` from its send.

    Answered calls and those that timed out have a latency. So have the unsent, which are no calls
    yet: what they had waited by the end. Of the measured time, the generator ran for `cpu_share`;
    for `starved_share` it was ready to run, and others did.
    """

    measured_s: float
    latency: Histogram
    service: Histogram
    statuses: Counter[int]
    faults: Counter[Fault]
    examples: dict[Fault, str]
    rows: list[Row]
    lateness: Lateness
    cpu_share: float
    starved_share: float
    interrupted: bool

    @property
    def calls(self) -> int:
        return self.statuses.total() + self.faults.total()

    @property
    def errors(self) -> int:
        return errors_in(self.statuses) + self.faults.total()

    def answers_of(self, first_digit: int) -> int:
        """Answers whose status begins with this digit."""
        return sum(n for status, n in self.statuses.items() if status // 100 == first_digit)

    @property
    def error_percent(self) -> float:
        return 100 * self.errors / self.calls if self.calls else 0.0

    @property
    def rate_per_s(self) -> float:
        """Calls that were answered without an error, per second."""
        return (self.calls - self.errors) / self.measured_s if self.measured_s else 0.0


def errors_in(statuses: Counter[int]) -> int:
    return sum(count for status, count in statuses.items() if status >= FIRST_ERROR)


@dataclass(slots=True)
class _Counts:
    """What was counted in some time."""

    latencies: Counter[int] = field(default_factory=Counter)
    services: Counter[int] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[Fault] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        return self.statuses.total() + self.faults.total()

    def add(self, other: "_Counts") -> None:
        self.latencies.update(other.latencies)
        self.services.update(other.services)
        self.statuses.update(other.statuses)
        self.faults.update(other.faults)


class Ending(NamedTuple):
    """How a load ended: no call began after `end_ns`, the last was over at `drained_ns`."""

    end_ns: int
    drained_ns: int
    used_cpu_s: float
    starved_s: float
    interrupted: bool


class Recorder:
    """Takes down what becomes of each call that was due since `from_ns`; `on_call` is told it."""

    def __init__(
        self, from_ns: int, end_ns: int, on_call: Callable[[Call], None] | None = None
    ) -> None:
        self._on_call = on_call
        self._from_ns = from_ns
        self._end_ns = end_ns
        self._latencies: list[int] = []
        self._services: list[int] = []
        self._statuses: list[int] = []
        self._total = _Counts()
        self._now = _Counts()
        self._row_for_ns = max(NS, (end_ns - from_ns) // _MOST_ROWS)
        self._begin_row(from_ns)
        self.lateness = Lateness()
        self._examples: dict[Fault, str] = {}
        self._rows: list[Row] = []

    def on_time(self, due_ns: int, now_ns: int) -> int:
        """Since when a call counts that is sent as soon as it could be: now.

        But the last calls of the warm-up stay calls of the warm-up.
        """
        return due_ns if due_ns < self._from_ns else now_ns

    def answered(self, due_ns: int, sent_ns: int, now_ns: int, status: int) -> None:
        if due_ns >= self._from_ns:
            self._latencies.append((now_ns - due_ns) // 1000)
            self._services.append((now_ns - sent_ns) // 1000)
            self._statuses.append(status)
            if self._on_call is not None:
                self._on_call(Call(due_ns, now_ns - due_ns, status < FIRST_ERROR))

    def failed(self, due_ns: int, now_ns: int, fault: Fault, detail: str) -> None:
        if due_ns < self._from_ns:
            return
        if self._on_call is not None:
            self._on_call(Call(due_ns, now_ns - due_ns, good=False))
        self._now.faults[fault] += 1
        self._examples.setdefault(fault, detail)
        if fault is Fault.TIMEOUT:
            self._latencies.append((now_ns - due_ns) // 1000)

    def late(self, due_ns: int, *, waited: bool) -> None:
        if due_ns < self._from_ns:
            return
        if waited:
            self.lateness.waited += 1
        else:
            self.lateness.overslept += 1

    def behind(self, now_ns: int, calls: int) -> None:
        """So many calls are due by now and not sent."""
        if now_ns >= self._from_ns:
            self.lateness.most = max(self.lateness.most, calls)

    def fold(self, now_ns: int) -> Row | None:
        """Count what was appended; the row of the second that is over by now."""
        self._count()
        if now_ns < self._row_end_ns:
            return None
        # Rows begin on a grid, however late the clock was looked at.
        next_ns = now_ns - (now_ns - self._from_ns) % self._row_for_ns
        row = self._row(next_ns)
        self._rows.append(row)
        self._total.add(self._now)
        self._now = _Counts()
        self._begin_row(next_ns)
        return row

    def finish(self, ending: Ending, left: Iterable[int]) -> Figures:
        """The figures. `left`: since when calls were due that were not sent before the end."""
        self._count()
        if self._now.ended:
            self._rows.append(self._row(ending.drained_ns))
        total = self._total
        total.add(self._now)
        for batch in _batches(due_ns for due_ns in left if due_ns >= self._from_ns):
            self.lateness.unsent += len(batch)
            waited_us = ((ending.end_ns - due_ns) // 1000 for due_ns in batch)
            total.latencies.update(rounded(waited_us))
        measured_s = max(0, ending.end_ns - self._from_ns) / NS
        return Figures(
            measured_s=measured_s,
            latency=Histogram(total.latencies),
            service=Histogram(total.services),
            statuses=total.statuses,
            faults=total.faults,
            examples=self._examples,
            rows=self._rows,
            lateness=self.lateness,
            cpu_share=ending.used_cpu_s / measured_s if measured_s else 0.0,
            starved_share=ending.starved_s / measured_s if measured_s else 0.0,
            interrupted=ending.interrupted,
        )

    def _count(self) -> None:
        now = self._now
        now.latencies.update(rounded(self._latencies))
        now.services.update(rounded(self._services))
        now.statuses.update(self._statuses)
        self._latencies.clear()
        self._services.clear()
        self._statuses.clear()

    def _begin_row(self, at_ns: int) -> None:
        self._row_ns = at_ns
        self._row_end_ns = at_ns + self._row_for_ns
        if self._row_end_ns + self._row_for_ns // 2 > self._end_ns:
            # The last calls are answered a little after the end, and belong to the last row.
            self._row_end_ns += self._row_for_ns

    def _row(self, until_ns: int) -> Row:
        now = self._now
        return Row(
            (self._row_ns - self._from_ns) / NS,
            (until_ns - self._row_ns) / NS,
            now.ended,
            errors_in(now.statuses) + now.faults.total(),
            *percentiles_ms(now.latencies, 50, 90, 99),
        )


def _batches(moments: Iterator[int]) -> Iterator[list[int]]:
    """In lists of bounded length: a target that answers nothing leaves millions."""
    while batch := list(islice(moments, _BATCH)):
        yield batch
