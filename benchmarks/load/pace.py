"""Pace: which call is due by now, and since when?

Knows rates and time. Knows nothing of connections or answers. Moments are nanoseconds of one clock.
"""

import math
from collections.abc import Iterator
from typing import Final, Protocol

NS: Final = 1_000_000_000


class Pace(Protocol):
    """What decides when calls begin. No call is due at or after `end_ns`."""

    end_ns: int

    def take(self, now_ns: int) -> int | None:
        """Take the next call if it is due by now: the moment since when it is."""

    def joined(self, now_ns: int) -> int:
        """How many connections take part by now."""

    def behind(self, now_ns: int) -> int:
        """How many calls are due by now that nobody has taken."""

    def left(self) -> Iterator[int]:
        """Since when each call is due that was to be taken before the end, and was not."""

    def stop(self, now_ns: int) -> None:
        """Give no more calls, and end now if that is before the end."""


class ClosedPace:
    """Whoever is free calls. Connections join one by one over the ramp."""

    def __init__(self, connections: int, ramp_ns: int, start_ns: int, end_ns: int) -> None:
        self._connections = connections
        self._ramp_ns = ramp_ns
        self._start_ns = start_ns
        self.end_ns = end_ns

    def take(self, now_ns: int) -> int | None:
        return now_ns if now_ns < self.end_ns else None

    def joined(self, now_ns: int) -> int:
        passed_ns = now_ns - self._start_ns
        if passed_ns >= self._ramp_ns:
            return self._connections
        return 1 + (self._connections - 1) * passed_ns // self._ramp_ns

    def behind(self, now_ns: int) -> int:
        del now_ns
        return 0

    def left(self) -> Iterator[int]:
        return iter(())

    def stop(self, now_ns: int) -> None:
        self.end_ns = min(self.end_ns, now_ns)


class OpenPace:
    """Calls are due at a rate, whatever became of the ones before. The rate rises over the ramp."""

    def __init__(
        self, rate_per_s: float, connections: int, ramp_ns: int, start_ns: int, end_ns: int
    ) -> None:
        self._rate_per_s = rate_per_s
        self._connections = connections
        self._ramp_s = ramp_ns / NS
        self._start_ns = start_ns
        self.end_ns = end_ns
        self._stopped = False
        self._taken = 0
        self._next_ns = start_ns

    def take(self, now_ns: int) -> int | None:
        due_ns = self._next_ns
        if due_ns > now_ns or due_ns >= self.end_ns or self._stopped:
            return None
        self._taken += 1
        self._next_ns = self._due_ns(self._taken)
        return due_ns

    def joined(self, now_ns: int) -> int:
        del now_ns
        return self._connections

    def behind(self, now_ns: int) -> int:
        if now_ns < self._next_ns:
            return 0
        return max(0, self._due_by(min(now_ns, self.end_ns)) - self._taken)

    def left(self) -> Iterator[int]:
        while self._next_ns < self.end_ns:
            yield self._next_ns
            self._taken += 1
            self._next_ns = self._due_ns(self._taken)

    def stop(self, now_ns: int) -> None:
        self._stopped = True
        self.end_ns = min(self.end_ns, now_ns)

    def _due_ns(self, number: int) -> int:
        """When call `number` is due: the inverse of the calls that are due by a moment."""
        if number < self._rate_per_s * self._ramp_s / 2:
            after_s = math.sqrt(2 * number * self._ramp_s / self._rate_per_s)
        else:
            after_s = self._ramp_s / 2 + number / self._rate_per_s
        return self._start_ns + int(after_s * NS)

    def _due_by(self, now_ns: int) -> int:
        passed_s = (now_ns - self._start_ns) / NS
        if passed_s < self._ramp_s:
            return int(self._rate_per_s * passed_s * passed_s / (2 * self._ramp_s)) + 1
        return int(self._rate_per_s * (passed_s - self._ramp_s / 2)) + 1
