"""Circuit breaker: may this server be called now?

Knows outcomes, thresholds and moments. Knows nothing of endpoints, retries or requests: a call that
a retry made good is a success here. A *closed* circuit lets calls through.
"""

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple, Protocol

_MOST_OPEN_S: Final = 300.0
_JITTER: Final = 0.1  # at most so much less; the first back-off is `open_for` as configured
_MOST_DOUBLINGS: Final = 32


class State(Enum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"  # a few, on trial


class Event(Enum):
    """What can happen to a circuit."""

    TRIPPED = "tripped"  # failed too often in a row
    COOLED = "cooled"  # a call is wanted, and the back-off is over
    FAILED = "failed"  # a trial failed
    PROVED = "proved"  # enough trials succeeded


TRANSITIONS: Final = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.COOLED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.FAILED): State.OPEN,
    (State.HALF_OPEN, Event.PROVED): State.CLOSED,
    # A circuit that is closed has nothing to cool down, nobody on trial and nothing to prove.
    (State.CLOSED, Event.COOLED): State.CLOSED,
    (State.CLOSED, Event.FAILED): State.CLOSED,
    (State.CLOSED, Event.PROVED): State.CLOSED,
    # Sent before the trip, answered after it: too old to prove anything.
    (State.OPEN, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.FAILED): State.OPEN,
    (State.OPEN, Event.PROVED): State.OPEN,
    (State.HALF_OPEN, Event.TRIPPED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.COOLED): State.HALF_OPEN,
}


class Thresholds(Protocol):
    """What a circuit is configured with (see `registry.model.CircuitConfig`)."""

    @property
    def failures(self) -> int: ...

    @property
    def open_for_s(self) -> float: ...

    @property
    def successes(self) -> int: ...

    @property
    def half_open_max(self) -> int: ...


class Standing(NamedTuple):
    """How a circuit stands, for others of the same server: moments as there."""

    state: State
    opened_at: float
    trips: int
    stretch: float


class Circuit:
    """One server's circuit. Moments are the loop's, in seconds; `chance` gives [0, 1).

    A call asks `admits`, says `begin`, and ends with one of `succeed`, `fail` and `abandon`, to
    which it gives the ticket that `begin` gave. Tickets of another generation prove nothing.
    """

    def __init__(self, thresholds: Thresholds, chance: Callable[[], float]) -> None:
        self.state = State.CLOSED
        self.closed = True  # kept beside the state: it is asked once a call
        self.failure_count = 0  # in a row
        self.success_count = 0  # in a row, while half open
        self.total_failures = 0
        self.total_successes = 0
        self.abandoned = 0  # the caller left, or the end was no fault of the server
        self.state_changes = 0
        self.last_failure_at: float | None = None
        self._thresholds = thresholds
        self._chance = chance
        self.generation = 0  # grows with each change of state
        self._trials = 0  # calls of this half-open period that have not ended
        self._trips = 0  # in a row, without having closed between them
        self._stretch = 1.0  # the jitter of this back-off
        self._opened_at = 0.0

    def __repr__(self) -> str:
        return f"<Circuit {self.state.name} failures={self.failure_count}>"

    def configure(self, thresholds: Thresholds) -> None:
        """New thresholds hold at once, for a back-off that runs too; what was learnt stays."""
        self._thresholds = thresholds

    # --- questions ---

    @property
    def total_calls(self) -> int:
        """Calls that were let through and have ended."""
        return self.total_failures + self.total_successes + self.abandoned

    @property
    def failure_rate(self) -> float:
        """Failures as a share (0 to 1) of the calls that proved anything."""
        proved = self.total_failures + self.total_successes
        return self.total_failures / proved if proved else 0.0

    def admits(self, now: float) -> bool:
        """May a call go now? Asking changes nothing."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.OPEN:
            return now >= self._open_until
        return self._trials < self._thresholds.half_open_max

    def retry_after_s(self, now: float) -> float:
        """How long until a call may go, as far as is known; nought when one may now."""
        return max(self._open_until - now, 0.0) if self.state is State.OPEN else 0.0

    @property
    def _open_until(self) -> float:
        first_s = self._thresholds.open_for_s
        rest_s = first_s * 2.0 ** max(self._trips - 1, 0)
        return self._opened_at + min(rest_s, max(_MOST_OPEN_S, first_s)) * self._stretch

    # --- orders ---

    def begin(self, now: float) -> int:
        """A call goes, which `admits` allowed; its ticket."""
        if self.state is not State.CLOSED:
            if self.state is State.OPEN and now >= self._open_until:
                self._happen(Event.COOLED)
            self._trials += 1
        return self.generation

    def succeed(self, ticket: int) -> None:
        """The call was answered, and the answer is no sign of trouble."""
        self.total_successes += 1
        if ticket != self.generation:
            return
        self.failure_count = 0
        if self.state is State.HALF_OPEN:
            self._trials -= 1
            self.success_count += 1
            if self.success_count >= self._thresholds.successes:
                self._happen(Event.PROVED)

    def fail(self, ticket: int, now: float, *, partly_well: bool = False) -> None:
        """The call failed by the server's fault; it does not trip what is `partly_well`.

        When one of three endpoints dies, all calls on it fail in one moment, and in a row: that
        must not take the other two out.
        """
        self.total_failures += 1
        self.last_failure_at = now
        if ticket != self.generation:
            return
        self.failure_count += 1
        if self.state is State.HALF_OPEN:
            self._open(Event.FAILED, now)
        elif self.failure_count >= self._thresholds.failures and not partly_well:
            self._open(Event.TRIPPED, now)

    def abandon(self, ticket: int) -> None:
        """The call ended without proving anything: its place on trial is free again."""
        self.abandoned += 1
        if ticket == self.generation and self.state is State.HALF_OPEN:
            self._trials -= 1

    # --- others of the same server, in other processes ---

    @property
    def standing(self) -> Standing:
        return Standing(self.state, self._opened_at, self._trips, self._stretch)

    def stand(self, standing: Standing) -> None:
        """Another one has changed its state, and so has this one."""
        self._opened_at = max(self._opened_at, standing.opened_at)
        self._trips = standing.trips
        self._stretch = standing.stretch
        if standing.state is not self.state:
            self._turn(standing.state)
            self.failure_count = 0

    def blame(self, now: float, *, partly_well: bool) -> None:
        """A call of another one failed; what that means to one that is not closed, it tells."""
        if not self.closed:
            return
        self.last_failure_at = now
        self.failure_count += 1
        if self.failure_count >= self._thresholds.failures and not partly_well:
            self._open(Event.TRIPPED, now)

    def clear(self) -> None:
        """A call of another one succeeded: failures are no longer in a row."""
        self.failure_count = 0

    def _open(self, event: Event, now: float) -> None:
        self._happen(event)
        self._opened_at = now
        self._stretch = 1 - _JITTER * self._chance() if self._trips else 1.0
        self._trips = min(self._trips + 1, _MOST_DOUBLINGS)

    def _happen(self, event: Event) -> None:
        self._turn(TRANSITIONS[self.state, event])

    def _turn(self, state: State) -> None:
        self.state = state
        self.closed = self.state is State.CLOSED
        self.state_changes += 1
        self.generation += 1
        self._trials = 0
        self.success_count = 0
        if self.closed:
            self._trips = 0
