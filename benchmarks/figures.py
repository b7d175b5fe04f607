"""Figures: what is measured of a peer in a round, and what many rounds say together."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Self


class Figure(NamedTuple):
    """Something that is measured; `digits` after the point when it is shown."""

    key: str
    heading: str
    digits: int


CPU: Final = Figure("cpu_us_per_call", "CPU µs/call", 1)
CALLS: Final = Figure("calls_per_s", "calls/s", 0)
P50: Final = Figure("p50_ms", "p50 ms", 3)
P99: Final = Figure("p99_ms", "p99 ms", 2)
BODY_CPU: Final = Figure("cpu_ms_per_body", "CPU ms/body", 2)
BODY_RATE: Final = Figure("mb_per_s", "MB/s", 0)
BODY_GROWTH: Final = Figure("growth_mb", "memory + MB", 1)
START: Final = Figure("first_call_s", "start to first call s", 3)
IDLE: Final = Figure("idle_mb", "idle memory MB", 1)
PER_CONNECTION: Final = Figure("idle_connection_kib", "KiB/idle connection", 1)
FAILED: Final = Figure("failed", "failed calls", 0)


class Window(NamedTuple):
    """A short time of a load, by when its calls were due; without a good answer no latency."""

    at_s: float
    calls: int
    failed: int
    p50_ms: float | None
    p99_ms: float | None


class Round(NamedTuple):
    """What was measured, by the figure's key; and its course, where that matters.

    `trail` is as long as `course`, each with the calls of several windows up to this one.
    """

    figures: Mapping[str, float]
    course: Sequence[Window] = ()
    trail: Sequence[Window] = ()


class Spread(NamedTuple):
    """What several rounds say: mostly their median, and the lowest and the highest of them."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The median of them."""
        listed = sorted(values)
        return cls(statistics.median(listed), listed[0], listed[-1])

    @classmethod
    def worst_of(cls, values: Iterable[float]) -> Self:
        """The highest of them, where it is promised that none is higher."""
        listed = sorted(values)
        return cls(listed[-1], listed[0], listed[-1])

    def shown(self, digits: int) -> str:
        value, low, high = (f"{each:,.{digits}f}" for each in self)
        return value if low == high else f"{value} ({low} to {high})"


class Measurements:
    """Every round of every case on every peer, by their keys."""

    def __init__(self) -> None:
        self._rounds: defaultdict[tuple[str, str], list[Round]] = defaultdict(list)

    def __repr__(self) -> str:
        return f"<Measurements of {len(self._rounds)} pairs>"

    def add(self, case: str, peer: str, measured: Round) -> None:
        self._rounds[case, peer].append(measured)

    def peers(self, case: str) -> list[str]:
        return [peer for of, peer in self._rounds if of == case]

    def values(self, case: str, peer: str, figure: Figure) -> list[float]:
        return [each.figures[figure.key] for each in self._rounds[case, peer]]

    def spread(self, case: str, peer: str, figure: Figure) -> Spread:
        return Spread.of(self.values(case, peer, figure))

    def ratio(self, case: str, figure: Figure, peer: str, to: str) -> Spread:
        """The quotient of the medians; its spread is that of the rounds, each by itself."""
        ours, theirs = self.values(case, peer, figure), self.values(case, to, figure)
        by_round = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        return Spread(
            statistics.median(ours) / statistics.median(theirs), min(by_round), max(by_round)
        )

    def pairwise(self, case: str, figure: Figure, peer: str, to: str) -> Spread:
        """The median of the quotients of single turns: for peers that nearly agree, side by side.

        Where the machine's moods are larger than what is looked for, it wanders half as much.
        """
        ours, theirs = self.values(case, peer, figure), self.values(case, to, figure)
        return Spread.of(mine / other for mine, other in zip(ours, theirs, strict=True))

    def difference(self, case: str, figure: Figure, peer: str, to: str) -> Spread:
        """By how much it is more in the same round: moods of the machine that last cancel out."""
        ours, theirs = self.values(case, peer, figure), self.values(case, to, figure)
        return Spread.of(mine - other for mine, other in zip(ours, theirs, strict=True))

    def courses(self, case: str, peer: str) -> list[Sequence[Window]]:
        return [each.course for each in self._rounds[case, peer]]

    def trails(self, case: str, peer: str) -> list[Sequence[Window]]:
        return [each.trail for each in self._rounds[case, peer]]

    def failed(self) -> dict[tuple[str, str], int]:
        """The calls that failed, of those pairs where any did."""
        sums = {
            pair: int(sum(each.figures.get(FAILED.key, 0) for each in rounds))
            for pair, rounds in self._rounds.items()
        }
        return {pair: count for pair, count in sums.items() if count}

    def as_rows(self) -> list[dict[str, object]]:
        return [
            {"case": case, "peer": peer, "round": number, **each.figures}
            for (case, peer), rounds in self._rounds.items()
            for number, each in enumerate(rounds, start=1)
        ]
