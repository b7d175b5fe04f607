"""Circuit breakers: may this server be called now? One per server.

Know outcomes, thresholds and moments. Know nothing of calls: one that a retry made good is a
success here. A *closed* circuit lets calls through.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

from proxy.client.errors import CircuitBreakerError, Facts

GATEWAY: Final = "*"  # the circuit of lists and infos; no server can have this name
_MOST_KEPT: Final = 10_000  # a server's name is the caller's to choose


class State(Enum):
    """Whether calls go through; ordered from well to ill."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"  # one at a time, on trial
    OPEN = "open"


_ORDER: Final = list(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerConfig:
    """When a circuit opens, for how long, and what closes it again."""

    failure_threshold: int = 5  # in a row
    timeout_seconds: float = 30.0
    success_threshold: int = 2  # in a row, while half open

    def __post_init__(self) -> None:
        if self.failure_threshold < 1 or self.success_threshold < 1:
            raise ValueError("failure_threshold and success_threshold must be at least 1")
        if self.timeout_seconds < 0:
            raise ValueError("timeout_seconds must not be negative")


class Breaker:
    """One server's circuit. Moments are seconds of one monotonic clock.

    A call says `begin` and ends with one of `succeed`, `fail` and `abandon`, to which it gives the
    ticket that `begin` gave: an answer to a call from before the last change proves nothing.
    """

    def __init__(self, config: CircuitBreakerConfig) -> None:
        self.state = State.CLOSED
        self.failure_count = 0  # in a row
        self.success_count = 0  # in a row, while half open
        self.total_calls = 0
        self.total_failures = 0
        self.total_successes = 0
        self.state_changes = 0
        self.last_failure_time: str | None = None  # RFC 3339
        self._config = config
        self._opened_at = 0.0
        self._on_trial = False

    def __repr__(self) -> str:
        return f"<Breaker {self.state.name} failures={self.failure_count}>"

    def retry_after_s(self, now: float) -> float:
        """Seconds until an open circuit lets a call through on trial."""
        return max(0.0, self._opened_at + self._config.timeout_seconds - now)

    def admits(self, now: float) -> bool:
        """May a call go now? Asking changes nothing."""
        if self.state is State.OPEN:
            return self.retry_after_s(now) == 0
        return self.state is State.CLOSED or not self._on_trial

    def begin(self) -> int:
        """A call that was admitted goes; gives its ticket."""
        if self.state is State.OPEN:
            self._become(State.HALF_OPEN)
        self._on_trial = self.state is State.HALF_OPEN
        self.total_calls += 1
        return self.state_changes

    def spare(self) -> None:
        """Count a call that needed no answer of the server: it proves nothing."""
        self.total_calls += 1

    def succeed(self, ticket: int) -> None:
        self.total_successes += 1
        if ticket != self.state_changes:
            return
        self.failure_count = 0
        self._on_trial = False
        if self.state is State.HALF_OPEN:
            self.success_count += 1
            if self.success_count >= self._config.success_threshold:
                self._become(State.CLOSED)

    def fail(self, ticket: int, now: float) -> None:
        self.total_failures += 1
        self.last_failure_time = datetime.now(UTC).isoformat(timespec="milliseconds")
        if ticket != self.state_changes:
            return
        self.failure_count += 1
        tripped = self.failure_count >= self._config.failure_threshold
        if self.state is State.HALF_OPEN or tripped:
            self._opened_at = now
            self._become(State.OPEN)

    def abandon(self, ticket: int) -> None:
        """The caller left, or the end was no fault of the server."""
        if ticket == self.state_changes:
            self._on_trial = False

    def _become(self, state: State) -> None:
        self.state = state
        self.state_changes += 1
        self.success_count = 0
        self._on_trial = False

    def view(self) -> dict[str, object]:
        """The guide's dictionary."""
        return {
            "state": self.state.value,
            "failure_count": self.failure_count,
            "success_count": self.success_count,
            "total_calls": self.total_calls,
            "total_failures": self.total_failures,
            "total_successes": self.total_successes,
            "failure_rate": _rate(self.total_failures, self.total_calls),
            "state_changes": self.state_changes,
            "last_failure_time": self.last_failure_time,
        }


class Breakers:
    """A circuit for each server that was called, the least recently called forgotten first."""

    def __init__(self, config: CircuitBreakerConfig, clock: Callable[[], float]) -> None:
        self._config = config
        self._clock = clock
        self._kept: OrderedDict[str, Breaker] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Breakers {len(self._kept)}>"

    def of(self, server: str) -> Breaker:
        found = self._kept.setdefault(server, Breaker(self._config))
        self._kept.move_to_end(server)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return found

    def begin(self, server: str) -> "Trial":
        """A call goes to this server; raises `CircuitBreakerError` where none may."""
        breaker, now = self.of(server), self._clock()
        if not breaker.admits(now):
            raise _refusal(server, breaker.retry_after_s(now))
        return Trial(breaker, breaker.begin(), self._clock)

    def view(self) -> dict[str, object]:
        """All circuits as one, in the guide's shape, and each in `per_server`."""
        total = Breaker(self._config)
        for each in self._kept.values():
            _add(total, each)
        return {**total.view(), "per_server": dict(self._views())}

    def _views(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        return ((server, breaker.view()) for server, breaker in self._kept.items())


class Trial:
    """One call under way; says once how it ended."""

    def __init__(self, breaker: Breaker, ticket: int, clock: Callable[[], float]) -> None:
        self._breaker = breaker
        self._ticket = ticket
        self._clock = clock

    def succeed(self) -> None:
        self._breaker.succeed(self._ticket)

    def fail(self) -> None:
        self._breaker.fail(self._ticket, self._clock())

    def abandon(self) -> None:
        self._breaker.abandon(self._ticket)


def _refusal(server: str, retry_after_s: float) -> CircuitBreakerError:
    whose = "the gateway" if server == GATEWAY else server
    return CircuitBreakerError(
        f"The circuit of {whose} is open after failures; try again in {retry_after_s:.0f} s",
        Facts(retry_after_s=retry_after_s),
    )


def _add(total: Breaker, each: Breaker) -> None:
    """What is worst of all, and sums."""
    total.state = max(total.state, each.state, key=_ORDER.index)
    total.failure_count = max(total.failure_count, each.failure_count)
    total.success_count = max(total.success_count, each.success_count)
    total.total_calls += each.total_calls
    total.total_failures += each.total_failures
    total.total_successes += each.total_successes
    total.state_changes += each.state_changes
    moments = [total.last_failure_time, each.last_failure_time]
    total.last_failure_time = max(filter(None, moments), default=None)


def _rate(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
