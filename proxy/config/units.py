"""Durations, sizes and rates: what number does an operator mean by `250ms`, `64KiB`, `100/s`?

Knows units. Knows nothing of where a value stands or what it is for.
"""

import math
import re
from typing import Final, NamedTuple

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,18})(B|KiB|MiB|GiB)?", re.ASCII)
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)/(s|m|h)", re.ASCII)

_SPAN_S: Final = {"s": 1, "m": 60, "h": 3600}
_UNITS: Final = {1: "s", 60: "m", 3600: "h"}
_BYTES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


class Rate(NamedTuple):
    """So many in so much time; as many may come at once, when none came for so long."""

    amount: float
    span_s: int

    def __str__(self) -> str:
        return f"{self.amount:g}/{_UNITS[self.span_s]}"


def duration_s(value: object) -> float:
    """Seconds: a number as it is, or `250ms`, `30s`, `5m`, `1h`; ValueError for anything else."""
    if _is_number(value):
        return _finite(value, "a duration")
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration: seconds, or a number with ms, s, m or h, as in 30s")
    amount, unit = match.groups()
    if unit == "ms":
        return _finite(float(amount) / 1000, "a duration")
    return _finite(float(amount) * _SPAN_S[unit or "s"], "a duration")


def size_bytes(value: object) -> int:
    """Bytes: a whole number as it is, or `64KiB`, `10MiB`, `1GiB`; ValueError for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a size: bytes, or a whole number with KiB, MiB or GiB")
    amount, unit = match.groups()
    return int(amount) * _BYTES[unit or "B"]


def rate(value: object) -> Rate:
    """`100/s`, `100/m` or `100/h`; ValueError for anything else, and for a rate of nothing."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a rate: a number per s, m or h, as in 100/s")
    amount, unit = match.groups()
    if not 0 < float(amount) < math.inf:
        raise ValueError("a rate must be above 0")
    return Rate(float(amount), _SPAN_S[unit])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: object, what: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]  # only called with numbers
    except OverflowError:
        number = math.inf
    if not 0 <= number < math.inf:
        raise ValueError(f"{what} must be a finite number, and not negative")
    return number
