"""Whatever calls, time and new settings do to a circuit, in whatever order, it stays sound."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.policy.circuit import Circuit, State
from proxy.registry.model import CircuitConfig

MOST_OPEN_S = 300.0
JITTER = 0.1
ROUNDING_S = 1e-6

CONFIGS = st.builds(
    CircuitConfig,
    failures=st.integers(1, 3),
    open_for_s=st.sampled_from([1.0, 30.0, 400.0]),
    successes=st.integers(1, 3),
    half_open_max=st.integers(1, 3),
)
CHANCES = st.floats(0, 1, exclude_max=True)
# Where a call began is what its end is judged by: so far back in the list of those in flight.
WHICH = st.integers(0, 5)


class CircuitMachine(RuleBasedStateMachine):
    """A circuit beside what the contract says of it, in the plainest terms."""

    def __init__(self) -> None:
        super().__init__()
        self.config = CircuitConfig(failures=2)
        self.chance = 0.5
        self.circuit = Circuit(self.config, lambda: self.chance)
        self.now = 1.0
        self.period = 0  # grows whenever the state changes
        self.state = State.CLOSED
        self.in_a_row = 0  # failures or successes, whichever this state counts
        self.trips = 0
        self.opened_at = 0.0
        self.in_flight: list[tuple[int, int]] = []  # ticket, and the period that it is of
        self.ended = {"success": 0, "failure": 0, "abandoned": 0}

    def become(self, state: State) -> None:
        self.state, self.in_a_row = state, 0
        self.period += 1

    def open(self) -> None:
        self.become(State.OPEN)
        self.trips += 1
        self.opened_at = self.now

    def trials(self) -> int:
        return sum(period == self.period for _, period in self.in_flight)

    def take(self, which: int) -> tuple[int, bool]:
        """One call that ends: its ticket, and whether it proves anything."""
        ticket, period = self.in_flight.pop(which % len(self.in_flight))
        return ticket, period == self.period

    # --- what may happen ---

    @rule()
    def call(self) -> None:
        if not self.circuit.admits(self.now):
            return
        if self.state is State.OPEN:
            self.become(State.HALF_OPEN)
        self.in_flight.append((self.circuit.begin(self.now), self.period))
        if self.state is State.HALF_OPEN:
            assert self.trials() <= self.config.half_open_max

    @precondition(lambda self: self.in_flight)
    @rule(which=WHICH)
    def succeed(self, which: int) -> None:
        ticket, proves = self.take(which)
        self.ended["success"] += 1
        self.circuit.succeed(ticket)
        if proves and self.state is State.CLOSED:
            self.in_a_row = 0
        elif proves:
            self.in_a_row += 1
            if self.in_a_row >= self.config.successes:
                self.become(State.CLOSED)
                self.trips = 0

    @precondition(lambda self: self.in_flight)
    @rule(which=WHICH, chance=CHANCES, partly_well=st.booleans())
    def fail(self, which: int, chance: float, *, partly_well: bool) -> None:
        ticket, proves = self.take(which)
        self.ended["failure"] += 1
        self.chance = chance
        self.circuit.fail(ticket, self.now, partly_well=partly_well)
        if proves:
            self.in_a_row += 1
            enough = self.in_a_row >= self.config.failures and not partly_well
            if self.state is State.HALF_OPEN or enough:
                self.open()

    @precondition(lambda self: self.in_flight)
    @rule(which=WHICH)
    def abandon(self, which: int) -> None:
        ticket, _ = self.take(which)
        self.ended["abandoned"] += 1
        self.circuit.abandon(ticket)

    @rule(for_s=st.sampled_from([0.0, 0.5, 1.0, 29.0, 31.0, 290.0, 500.0]))
    def pass_time(self, for_s: float) -> None:
        self.now += for_s

    @rule(config=CONFIGS)
    def configure(self, config: CircuitConfig) -> None:
        self.config = config
        self.circuit.configure(config)

    # --- what holds ---

    @invariant()
    def state_is_the_one_that_the_contract_gives(self) -> None:
        circuit = self.circuit

        assert (circuit.state, circuit.closed, circuit.state_changes) == (
            self.state,
            self.state is State.CLOSED,
            self.period,
        )

    @invariant()
    def totals_add_up(self) -> None:
        circuit = self.circuit
        success, failure, abandoned = self.ended.values()

        assert (circuit.total_successes, circuit.total_failures) == (success, failure)
        assert circuit.total_calls == success + failure + abandoned
        assert circuit.failure_rate == (failure / (success + failure) if success + failure else 0)

    @invariant()
    def asking_gives_the_same_answer_twice(self) -> None:
        generation = self.circuit.generation

        assert self.circuit.admits(self.now) is self.circuit.admits(self.now)
        assert self.circuit.generation == generation

    @invariant()
    def calls_are_admitted_when_their_time_has_come_and_not_before(self) -> None:
        admits = self.circuit.admits(self.now)
        if self.state is State.CLOSED:
            assert admits
        elif self.state is State.HALF_OPEN:
            assert admits is (self.trials() < self.config.half_open_max)
        else:
            shortest_s, longest_s = self.back_off_s()
            open_for_s = self.now - self.opened_at
            assert admits <= (open_for_s >= shortest_s - ROUNDING_S)
            assert admits >= (open_for_s >= longest_s + ROUNDING_S)
            assert admits is (self.circuit.retry_after_s(self.now) == 0)

    def back_off_s(self) -> tuple[float, float]:
        """The bounds of the back-off that runs."""
        first_s = self.config.open_for_s
        doubled_s = first_s * 2.0 ** (self.trips - 1)
        most_s = max(MOST_OPEN_S, first_s)
        jitter = JITTER if self.trips > 1 else 0.0
        return min(doubled_s * (1 - jitter), most_s), min(doubled_s * (1 + jitter), most_s)

    def teardown(self) -> None:
        """No place on trial is ever lost: when all have ended and time has passed, one may go."""
        for ticket, _ in self.in_flight:
            self.circuit.abandon(ticket)

        assert self.circuit.admits(self.now + 1000.0)


TestCircuit = CircuitMachine.TestCase
TestCircuit.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
