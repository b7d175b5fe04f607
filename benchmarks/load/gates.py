"""Gates: what must hold of a load, and does it?"""

from typing import Final, NamedTuple

# Name of the gate and its percentile.
PERCENTILES: Final = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}
ERRORS: Final = "errors"
MIN_RATE: Final = "min_rate"

_UNITS: Final = {ERRORS: "%", MIN_RATE: "calls/s"}


class Gate(NamedTuple):
    """One figure and its limit: the most ms or per cent, or the least calls/s."""

    name: str
    limit: float

    @property
    def unit(self) -> str:
        return _UNITS.get(self.name, "ms")

    def met_by(self, measured: float | None) -> bool:
        """Nothing measured meets no gate."""
        if measured is None:
            return False
        return measured >= self.limit if self.name == MIN_RATE else measured <= self.limit
