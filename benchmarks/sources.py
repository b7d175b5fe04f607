"""What a promise is made of: its words, its bar, and where its figure comes from.

A figure is a ratio of two loads (`ratio`), something of our own under a load (`own`), or a moment
of its own (`moment`).
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, le, lt
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.figures import Figure, Measurements, Spread
from benchmarks.peers.peer import Peer
from benchmarks.processes import OTHER_CORES, on_cores

_SIGNS: Final[dict[str, Callable[[float, float], bool]]] = {"≤": le, "<": lt, "≥": ge}


class Bar(NamedTuple):
    """What a figure must not cross."""

    sign: str
    bound: float
    unit: str = ""

    def met(self, value: float) -> bool:
        return _SIGNS[self.sign](value, self.bound)

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:.3g} {self.unit}".rstrip()


class Evidence(NamedTuple):
    """What a figure is made of: the loads, and the build of ours that is looked at."""

    measured: Measurements
    ours: Peer
    home: Path  # its code


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a figure comes from."""

    figure: Callable[[Evidence], Spread]
    cases: tuple[str, ...] = ()  # the loads that it needs
    beside: tuple[Peer, ...] = ()  # the peers that must take part in them
    of_a_build: bool = False  # another one for each build of ours


class Promise(NamedTuple):
    """One line of the table; without a bar it informs and promises nothing."""

    words: str
    source: Source
    bar: Bar | None = None
    digits: int = 2


def ratio(case: str, figure: Figure, to: Peer, *, of: Peer | None = None) -> Source:
    """Ours (or another's), divided by another proxy's in the same rounds."""
    return Source(
        figure=lambda it: it.measured.ratio(case, figure, (of or it.ours).key, to.key),
        cases=(case,),
        beside=(to, of) if of else (to,),
        of_a_build=of is None,
    )


def pairwise(case: str, figure: Figure, to: Peer, of: Peer) -> Source:
    """The same of two that nearly agree, in short turns beside each other."""
    return Source(
        figure=lambda it: it.measured.pairwise(case, figure, of.key, to.key),
        cases=(case,),
        beside=(to, of),
    )


def more(case: str, figure: Figure, of: Peer, than: Peer) -> Source:
    """By how much this one's is more than that one's in the same rounds."""
    return Source(
        figure=lambda it: it.measured.difference(case, figure, of.key, than.key),
        cases=(case,),
        beside=(of, than),
    )


def of_one(figure: Figure, case: str, peer: Peer) -> Source:
    """The median of this one's, whatever build of ours is looked at."""
    return Source(
        figure=lambda it: it.measured.spread(case, peer.key, figure), cases=(case,), beside=(peer,)
    )


def worst_of(figure: Figure, case: str, *peers: Peer) -> Source:
    """The highest of these, as above."""
    return Source(
        figure=lambda it: Spread.worst_of(
            value for peer in peers for value in it.measured.values(case, peer.key, figure)
        ),
        cases=(case,),
        beside=peers,
    )


def own(figure: Figure, *cases: str) -> Source:
    """The median of ours."""
    return Source(
        figure=lambda it: Spread.of(_of_ours(it, figure, cases)), cases=cases, of_a_build=True
    )


def own_worst(figure: Figure, *cases: str) -> Source:
    """The highest of ours."""
    return Source(
        figure=lambda it: Spread.worst_of(_of_ours(it, figure, cases)),
        cases=cases,
        of_a_build=True,
    )


def moment(measure: Callable[[Path, Path], list[float]], *, scale: float = 1) -> Source:
    """The longest of several spans, measured when the loads are over."""

    def figure(it: Evidence) -> Spread:
        with tempfile.TemporaryDirectory() as name, on_cores(OTHER_CORES):
            return Spread.worst_of(each * scale for each in measure(it.home, Path(name)))

    return Source(figure=figure)


def _of_ours(it: Evidence, figure: Figure, cases: tuple[str, ...]) -> list[float]:
    return [v for case in cases for v in it.measured.values(case, it.ours.key, figure)]
