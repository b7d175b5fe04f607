"""Outlier ejection: do the answers of an endpoint's calls take it out for a while?

Knows results in a row, moments and shares. Knows nothing of probes, or of what an error was.
"""

from typing import Final, Protocol

_ROUNDING: Final = 1e-9  # 100 * 0.29 is a little less than 29


class Rules(Protocol):
    """What ejection is configured with (see `registry.model.Outlier`)."""

    @property
    def consecutive_errors(self) -> int: ...

    @property
    def base_ejection_s(self) -> float: ...

    @property
    def max_ejection_s(self) -> float: ...

    @property
    def max_ejected(self) -> float: ...


class Outlier:
    """One endpoint's errors in a row, and its ejections. Moments are the loop's, in seconds."""

    __slots__ = ("_back_at", "_times", "ejected", "ejections", "errors", "reason", "since", "well")

    def __init__(self) -> None:
        self.errors = 0  # in a row
        self.well = False  # did the last call that ended end well?
        self.ejected = False
        self.ejections = 0  # ever
        self.reason = ""
        self.since = 0.0  # of the ejection
        self._times = 0  # ejections that still weigh on the next
        self._back_at = 0.0

    def __repr__(self) -> str:
        return f"<Outlier errors={self.errors} ejected={self.ejected}>"

    def succeed(self) -> None:
        """A call was answered, and the answer is no sign of trouble."""
        self.errors = 0
        self.well = True

    def fail(self) -> None:
        """A call failed by the endpoint's fault."""
        self.errors += 1
        self.well = False

    def suspicious(self, rules: Rules) -> bool:
        """Have there been so many errors in a row that it should go?"""
        return not self.ejected and self.errors >= rules.consecutive_errors

    def eject(self, rules: Rules, reason: str, now: float) -> None:
        """Out, for longer each time; a base ejection's time in use makes up for one."""
        if self._times:
            self._times -= min(int((now - self._back_at) / rules.base_ejection_s), self._times)
        self._times += 1
        self.ejections += 1
        self.ejected = True
        self.reason = reason
        self.since = now
        rest_s = rules.base_ejection_s * self._times
        self._back_at = now + min(rest_s, max(rules.max_ejection_s, rules.base_ejection_s))

    def is_over(self, now: float) -> bool:
        """Is it ejected, and has that lasted long enough?"""
        return self.ejected and now >= self._back_at

    def take_back(self, now: float) -> None:
        """In again: for time served, or because it is needed."""
        self.ejected = False
        self.errors = 0
        self._back_at = now


def may_eject(rules: Rules, total: int, usable: int, ejected: int) -> bool:
    """May one more of the `usable` go? Small clusters have their own rules.

    At most `max_ejected` of all may be out, but one when there are two or more; and not so many
    that it would be a panic, which takes all back: so never the last one.
    """
    most = max(1, int(total * rules.max_ejected + _ROUNDING))
    return ejected < most and not is_panic(total, usable - 1)


def is_panic(total: int, usable: int) -> bool:
    """Are so few left that ejections do more harm than the endpoints that they keep out?"""
    return 2 * usable < total
