"""Verdicts: which loads do the promises need, and is each of them kept?"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from benchmarks.cases import CASES
from benchmarks.dropin.cases import CASES as DROP_IN_CASES
from benchmarks.figures import Spread
from benchmarks.peers.peer import Peer
from benchmarks.processes import UnusableError
from benchmarks.replicas.cases import CASES as SCENES
from benchmarks.rounds import Plan
from benchmarks.selection import Field
from benchmarks.sources import Evidence, Promise
from benchmarks.sse.cases import CASES as FAN_OUTS
from benchmarks.tables import table

LOADS: Final = (*CASES, *DROP_IN_CASES, *SCENES, *FAN_OUTS)  # that promises may be about


class Verdict(NamedTuple):
    """A promise with what was measured, or why nothing was."""

    promise: Promise
    measured: Spread | None
    why: str = ""

    @property
    def kept(self) -> bool:
        """What has no bar cannot be missed; what has one and is not measured is not kept."""
        bar = self.promise.bar
        return bar is None or (self.measured is not None and bar.met(self.measured.value))

    @property
    def word(self) -> str:
        if self.measured is None:
            return f"NOT MEASURED: {self.why}"
        if self.promise.bar is None:
            return "for information"
        return "kept" if self.kept else "MISSED"


def needed(promises: Sequence[Promise], field: Field, builds: Sequence[Peer]) -> Plan:
    """The cases that the promises are about, each with those that take part for their sake."""
    plan = []
    for case in LOADS:
        sources = [each.source for each in promises if case.key in each.source.cases]
        wanted = {peer for source in sources for peer in source.beside}
        if any(source.of_a_build for source in sources):
            wanted.update(builds)
        if peers := [peer for peer in case.peers if peer in wanted & field.versions.keys()]:
            plan.append((case, peers))
    return plan


def judge(promise: Promise, field: Field, evidence: Evidence) -> Verdict:
    absent = [peer.title for peer in promise.source.beside if peer not in field.versions]
    if absent:
        return Verdict(promise, None, f"{' and '.join(absent)} is left out")
    try:
        return Verdict(promise, promise.source.figure(evidence))
    except (ArithmeticError, OSError, UnusableError, ValueError) as error:
        return Verdict(promise, None, " ".join(str(error).split()))


def verdict_table(verdicts: Iterable[Verdict]) -> Iterator[str]:
    return table(
        ("promise", "bar", "measured", "verdict"), ([*_cells(verdict)] for verdict in verdicts)
    )


def as_rows(build: Peer, verdicts: Iterable[Verdict]) -> list[dict[str, object]]:
    """The same for programs."""
    return [
        {
            "promise": each.promise.words,
            "build": build.key,
            "bar": str(each.promise.bar) if each.promise.bar else None,
            "measured": each.measured._asdict() if each.measured else None,
            "verdict": each.word,
        }
        for each in verdicts
    ]


def _cells(verdict: Verdict) -> Iterator[str]:
    promise, measured = verdict.promise, verdict.measured
    yield promise.words
    yield str(promise.bar) if promise.bar else ""
    yield measured.shown(promise.digits) if measured else ""
    yield verdict.word
