"""What was counted, series by series: plain integers, which add up with those of others.

Knows how counts come together. Knows nothing of what is counted, nor of how it is shown.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol, TypeVar

from prometheus_client.samples import Exemplar, Timestamp

from proxy.wire.trace import Trace

BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_BOUNDS: Final = (*(str(float(bound)) for bound in BUCKETS_S), "+Inf")

Example = tuple[Trace, float, float]
Gone = Callable[[str, str], bool]  # is there no such server, or no such tool of it?


class Durations:
    """A histogram: how many took at most so long, and how long all took.

    Of each bucket the latest is remembered as an example: its trace, how long it took, and when.
    """

    __slots__ = ("counts", "examples", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_S) + 1)
        self.examples: list[Example | None] = [None] * (len(BUCKETS_S) + 1)
        self.sum_s = 0.0

    def cumulative(self, began_at: float) -> list[Any]:
        """Its buckets; `began_at` is the wall clock's time at nought of the monotonic one."""
        total, samples = 0, []
        for bound, count, example in zip(_BOUNDS, self.counts, self.examples, strict=True):
            total += count
            samples.append((bound, float(total), _exemplar(example, began_at)))
        return samples

    def __reduce__(self) -> tuple[Any, ...]:
        return _durations, (self.counts, self.examples, self.sum_s)

    def add(self, other: "Durations") -> None:
        self.counts = [sum(both) for both in zip(self.counts, other.counts, strict=True)]
        self.examples = [_newer(*both) for both in zip(self.examples, other.examples, strict=True)]
        self.sum_s += other.sum_s


class Count:
    """A number that only grows."""

    __slots__ = ("total",)

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def __reduce__(self) -> tuple[Any, ...]:
        return Count, (self.total,)

    def add(self, other: "Count") -> None:
        self.total += other.total


class Counted:
    """All series. Each of the tables is by its labels."""

    def __init__(self) -> None:
        self.durations: dict[tuple[str, str, int], Durations] = {}
        self.upstreams: dict[str, Durations] = {}
        self.calls: dict[tuple[str, str, str], Count] = {}
        self.rejected: dict[str, Count] = {}
        self.retries: dict[tuple[str, str], Count] = {}

    def __len__(self) -> int:
        return sum([len(table) for table in self.tables()])

    def __repr__(self) -> str:
        return f"<Counted {len(self)} series>"

    def add(self, other: "Counted") -> None:
        """Series for series; those of the other are the other's no more."""
        for table, more in zip(self.tables(), other.tables(), strict=True):
            _add(table, more)

    def forget(self, gone: Gone) -> None:
        """Drop the series of servers and tools that are no more."""
        self.calls = {call: n for call, n in self.calls.items() if not gone(call[0], call[1])}
        self.upstreams = {name: it for name, it in self.upstreams.items() if not gone(name, "")}
        self.retries = {made: n for made, n in self.retries.items() if not gone(made[0], "")}

    def pieces(self, most: int) -> "Iterator[Counted]":
        """The same in pieces of so many series."""
        for place, table in enumerate(self.tables()):
            series = list(table.items())
            for start in range(0, len(series), most):
                piece = Counted()
                piece.tables()[place].update(series[start : start + most])
                yield piece

    def __reduce__(self) -> tuple[Any, ...]:
        return _counted, self.tables()

    def tables(self) -> tuple[dict[Any, Any], ...]:
        return self.durations, self.upstreams, self.calls, self.rejected, self.retries


class _Adds(Protocol):
    def add(self, other: Any) -> None: ...


KeyT = TypeVar("KeyT")
AddsT = TypeVar("AddsT", bound=_Adds)


def _add(table: dict[KeyT, AddsT], more: dict[KeyT, AddsT]) -> None:
    for labels, number in more.items():
        known = table.get(labels)
        if known is None:
            table[labels] = number
        else:
            known.add(number)


# A compiled class has nothing that pickle could take it apart by.


def _durations(counts: list[int], examples: list[Example | None], sum_s: float) -> Durations:
    made = Durations()
    made.counts, made.examples, made.sum_s = counts, examples, sum_s
    return made


def _counted(*tables: dict[Any, Any]) -> Counted:
    made = Counted()
    for table, said in zip(made.tables(), tables, strict=True):
        table.update(said)
    return made


def _newer(one: Example | None, other: Example | None) -> Example | None:
    if one is None or other is None:
        return one or other
    return one if one[2] >= other[2] else other


def _exemplar(example: Example | None, began_at: float) -> Exemplar | None:
    if example is None:
        return None
    trace, seconds, at = example
    return Exemplar({"trace_id": trace.w3c_id.decode()}, seconds, Timestamp(began_at + at, 0))
