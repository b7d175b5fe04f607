"""What is asked of a load: how much, for how long, and what must hold.

Parsed once from what was written on the command line; a plan that exists can be carried out.
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load.gates import ERRORS, MIN_RATE, PERCENTILES, Gate
from benchmarks.load.request import PlanError, Request, Target, headers_of, octets_of
from proxy.config.units import duration_s, rate

# More than one process can do in any case.
_MOST_CALLS_PER_S: Final = 1_000_000
_MOST_CONNECTIONS: Final = 60_000
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)%?", re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One load. Without `rate_per_s` it is a closed loop: each connection calls when answered.

    The load rises over the first `ramp_s`; what was due in the first `warmup_s` is not measured.
    """

    target: Target
    request: Request
    rate_per_s: float | None = None
    connections: int = 32
    duration_s: float = 10.0
    ramp_s: float = 0.0
    warmup_s: float = 0.0
    timeout_s: float = 10.0
    gates: tuple[Gate, ...] = ()
    insecure: bool = False
    authorities: Path | None = None

    def __post_init__(self) -> None:
        if self.rate_per_s is not None and not 0 < self.rate_per_s <= _MOST_CALLS_PER_S:
            raise PlanError(f"--rate must be above 0 and at most {_MOST_CALLS_PER_S:,} calls/s")
        if not 1 <= self.connections <= _MOST_CONNECTIONS:
            raise PlanError(f"--connections must be between 1 and {_MOST_CONNECTIONS:,}")
        if not (self.duration_s and self.timeout_s):
            raise PlanError("--duration and --timeout must be above 0")
        if self.ramp_s > self.warmup_s + self.duration_s:
            raise PlanError("--ramp is longer than the whole load: warm-up and duration")

    @classmethod
    def of(cls, options: argparse.Namespace) -> "Plan":
        """The plan that these options ask for; `PlanError` if they can't be one."""
        target = Target.of(options.url, options.unix)
        body = octets_of(options.body, "--body")
        return cls(
            target=target,
            request=Request.of(target, options.method, headers_of(options.headers), body),
            rate_per_s=None if options.rate is None else _rate(options.rate),
            connections=_count(options.connections),
            duration_s=_span("--duration", options.duration),
            ramp_s=_span("--ramp", options.ramp),
            warmup_s=_span("--warmup", options.warmup),
            timeout_s=_span("--timeout", options.timeout),
            gates=tuple(_gates(options)),
            insecure=options.insecure,
            authorities=_readable("--cacert", options.cacert),
        )


def _gates(options: argparse.Namespace) -> list[Gate]:
    given = vars(options)
    gates = [
        Gate(name, _span(f"--{name}", given[name]) * 1000)
        for name in PERCENTILES
        if given[name] is not None
    ]
    if options.errors is not None:
        gates.append(Gate(ERRORS, percent("--errors", options.errors)))
    if options.min_rate is not None:
        gates.append(Gate(MIN_RATE, _rate(options.min_rate, "--min-rate")))
    return gates


def percent(flag: str, text: str) -> float:
    """Per cent from `0.1%` or `0.1`."""
    match = _PERCENT.fullmatch(text)
    if match is None or not 0 <= float(match[1]) <= 100:  # noqa: PLR2004 - per cent
        raise PlanError(f"{flag} {text}: expected per cent, as in 0.1%")
    return float(match[1])


def _span(flag: str, text: str) -> float:
    try:
        return duration_s(text)
    except ValueError as error:
        raise PlanError(f"{flag} {text}: {error}") from None


def _rate(text: str, flag: str = "--rate") -> float:
    try:
        if _NUMBER.fullmatch(text):
            return float(text)
        amount, span_s = rate(text)
        return amount / span_s
    except ValueError as error:
        raise PlanError(f"{flag} {text}: {error}") from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise PlanError(f"--connections {text}: expected a whole number")
    return int(text)


def _readable(flag: str, text: str | None) -> Path | None:
    if text is None:
        return None
    if not Path(text).is_file():
        raise PlanError(f"{flag} {text}: no such file")
    return Path(text)
