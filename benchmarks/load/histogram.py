"""Latencies as counts: all that were seen, to three digits, in bounded memory.

The only module that knows `hdrh`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from hdrh.histogram import HdrHistogram

_LONGEST_US: Final = 86_400_000_000  # a day
_DIGITS: Final = 3
_EXACT_BITS: Final = 11  # three digits need 2000 steps in each power of two
_EXACT_US: Final = 1 << _EXACT_BITS
# The curve: from 20 % to all but one of a million, ten points for each nine.
_CURVE: Final = tuple(100 * (1 - 10 ** (-tenth / 10)) for tenth in range(1, 61))


def rounded(latencies_us: Iterable[int]) -> list[int]:
    """Each as the lowest that the histogram can't tell from it.

    So a second of latencies is a short `Counter`, which counts in C: 0.1 us each instead of the
    1.3 us that `record_value` takes, which would be a stall of the load that is being made.
    """
    return [
        each if each < _EXACT_US else each >> (cut := each.bit_length() - _EXACT_BITS) << cut
        for each in latencies_us
    ]


def percentiles_ms(counts: Mapping[int, int], *wanted: float) -> list[float | None]:
    """The least latency that so many per cent do not exceed, of each of `wanted`, which rise."""
    total = sum(counts.values())
    found: list[float | None] = []
    seen = 0
    for latency_us, count in sorted(counts.items()):
        seen += count
        while len(found) < len(wanted) and seen * 100 >= wanted[len(found)] * total:
            found.append(latency_us / 1000)
    return found or [None] * len(wanted)


class Histogram:
    """An HDR histogram of microseconds that answers in milliseconds; None while it is empty."""

    def __init__(self, counts: Counter[int]) -> None:
        self._hdr = HdrHistogram(1, _LONGEST_US, _DIGITS)
        for latency_us, count in counts.items():
            self._hdr.record_value(min(latency_us, _LONGEST_US), count)
        self.total: int = self._hdr.get_total_count()

    def __repr__(self) -> str:
        return f"<Histogram of {self.total}>"

    def at_ms(self, percent: float) -> float | None:
        return self._hdr.get_value_at_percentile(percent) / 1000 if self.total else None

    @property
    def mean_ms(self) -> float | None:
        return self._hdr.get_mean_value() / 1000 if self.total else None

    def curve(self) -> list[tuple[float, float]]:
        """Per cent and milliseconds, as far as there are calls enough to tell."""
        told = [each for each in _CURVE if (100 - each) * self.total >= 100]  # noqa: PLR2004 - per cent
        values_us: dict[float, int] = self._hdr.get_percentile_to_value_dict(told)
        return [(each, values_us[each] / 1000) for each in told if each in values_us]

    def encoded(self) -> str:
        """HdrHistogram's own compressed form, which its tools plot, add and compare."""
        text: bytes = self._hdr.encode()
        return text.decode()
