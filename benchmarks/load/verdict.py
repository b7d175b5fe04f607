"""Verdicts on a load: are its gates met, and who was the limit? Figures in, words out."""

from enum import StrEnum
from typing import Final, NamedTuple

from benchmarks.load.figures import Figures
from benchmarks.load.gates import ERRORS, MIN_RATE, PERCENTILES, Gate
from benchmarks.load.plan import Plan

_BUSY_SHARE: Final = 0.9  # of the time: beyond it, answers wait for the generator
_STARVED_SHARE: Final = 0.25  # of the time: beyond it, the figures are those of other processes
_LATE_SHARE: Final = 0.01  # of the calls: beyond it, lateness is what p99 shows
_HELD_SHARE: Final = 0.99  # of the rate asked


class Limit(StrEnum):
    """Who kept the load from being greater."""

    GENERATOR = "generator"
    TARGET = "target"


class Judged(NamedTuple):
    """A gate, what was measured for it, and whether that meets it."""

    gate: Gate
    measured: float | None
    met: bool


def judged(gates: tuple[Gate, ...], figures: Figures) -> list[Judged]:
    """Each gate's verdict. Where no call succeeded, a quick refusal is no good latency."""
    verdicts = []
    for gate in gates:
        measured = _measured(gate, figures)
        verdicts.append(Judged(gate, measured, gate.met_by(measured)))
    return verdicts


def limited_by(plan: Plan, figures: Figures) -> Limit | None:
    """Who was the limit; None where the rate was held."""
    late, most = figures.lateness, _LATE_SHARE * figures.calls
    busy = figures.cpu_share + figures.starved_share > _BUSY_SHARE
    starved = figures.starved_share > _STARVED_SHARE
    if busy or starved or late.overslept > max(most, late.waited):
        return Limit.GENERATOR
    good = figures.calls - figures.errors
    held = good >= _HELD_SHARE * (figures.calls + late.unsent) and late.waited <= most
    return None if held and plan.rate_per_s is not None else Limit.TARGET


def _measured(gate: Gate, figures: Figures) -> float | None:
    if gate.name == ERRORS:
        return figures.error_percent if figures.calls else None
    if gate.name == MIN_RATE:
        return figures.rate_per_s
    succeeded = figures.calls > figures.errors
    return figures.latency.at_ms(PERCENTILES[gate.name]) if succeeded else None
