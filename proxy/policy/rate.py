"""Rate: may one more call come now, and if not, when?

A token bucket, kept as GCRA does in its form of a leaky bucket (ITU-T I.371, annex A): how many
calls count at a moment, and each counts less as time goes by. Two numbers and not one moment, so
that the hundredth call of a hundred is let in whatever the clock shows: sums of spans round. Knows
nothing of clocks, or of what is limited.
"""

from typing import Final

from proxy.config.units import Rate

# Of a call. Whoever comes back exactly when told is not refused for a rounding; `SharedRates` uses
# the same.
ROUNDING: Final = 1e-6
_LEAST_PER_S: Final = 1e-9  # one in thirty years; whatever is divided by it stays a number


class Bucket:
    """One limit of one thing. `now` ascends; should it not, fewer calls are let in, never more.

    `most` calls may come at once, `per_s` in the long run.
    """

    __slots__ = ("_at", "_used", "most", "per_s")

    def __init__(self, rate: Rate) -> None:
        self._used = 0.0  # calls that count, at the moment `_at`
        self._at = 0.0
        self.configure(rate)

    def __repr__(self) -> str:
        return f"<Bucket {self._used:g} of {self.most:g} used, {self.per_s:g}/s>"

    def configure(self, rate: Rate) -> None:
        """A new rate keeps what was used; who used more than it allows has used it up."""
        self.most = max(rate.amount, 1.0)
        self.per_s = max(rate.amount / rate.span_s, _LEAST_PER_S)
        self._used = min(self._used, self.most)

    def wait_s(self, now: float) -> float:
        """0.0: a call may go now; else seconds until one may."""
        over = self._used - (now - self._at) * self.per_s + 1.0 - self.most
        return over / self.per_s if over > ROUNDING else 0.0

    def take(self, now: float) -> int:
        """A call goes, only after `wait_s` gave 0; so many more may come now."""
        used = self._used - (now - self._at) * self.per_s
        self._used = used = used + 1.0 if used > 0.0 else 1.0
        self._at = now
        return int(self.most - used + ROUNDING)

    def remaining(self, now: float) -> int:
        """Whole calls that may come now."""
        used = self._used - (now - self._at) * self.per_s
        free = self.most - used if used > 0.0 else self.most
        return int(free + ROUNDING) if free > 0.0 else 0

    def full_s(self, now: float) -> float:
        """0.0: as good as new; else seconds until it is, if nobody comes."""
        used = self._used - (now - self._at) * self.per_s
        return used / self.per_s if used > 0.0 else 0.0

    def used(self, now: float) -> float:
        """Calls that count now, as `assume` takes them."""
        return max(self._used - (now - self._at) * self.per_s, 0.0)

    def more_s(self, now: float) -> float:
        """Seconds until one call more may come than may now; only while it is not full."""
        return self.full_s(now) - (self.most - self.remaining(now) - 1.0) / self.per_s

    def assume(self, used: float, now: float) -> None:
        """So many calls count now, somebody else says."""
        self._used = min(used, self.most)
        self._at = now
