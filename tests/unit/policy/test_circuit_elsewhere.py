"""Facts about circuits of one server in several processes: each does what another has done."""

import pytest

from proxy.policy.circuit import Circuit, Standing, State
from tests.support.circuits import DEFAULTS, fail, new, on_trial, tripped

CLOSED, OPEN, HALF_OPEN = State


def recovered() -> Circuit:
    circuit, first = on_trial()
    circuit.succeed(first)
    circuit.succeed(circuit.begin(DEFAULTS.open_for_s))
    return circuit


@pytest.mark.parametrize(
    "another",
    [tripped(at=5.0), on_trial()[0], recovered()],
    ids=["open", "half-open", "closed"],
)
@pytest.mark.parametrize(
    "one", [new, tripped, lambda: on_trial()[0]], ids=["closed", "open", "half-open"]
)
def test_it_takes_the_other_ones_state(one: object, another: Circuit) -> None:
    assert callable(one)
    circuit: Circuit = one()

    circuit.stand(another.standing)

    assert (circuit.state, circuit.closed) == (another.state, another.closed)


def test_it_stays_open_as_long_as_the_other_one() -> None:
    circuit = new()

    circuit.stand(tripped(at=5.0).standing)

    open_until = 5.0 + DEFAULTS.open_for_s
    assert [circuit.admits(open_until - 0.1), circuit.admits(open_until)] == [False, True]


def test_to_be_told_again_changes_nothing() -> None:
    circuit = tripped(at=5.0)
    before = circuit.state_changes, circuit.failure_count

    circuit.stand(circuit.standing)

    assert (circuit.state_changes, circuit.failure_count) == before


def test_a_later_trip_is_not_forgotten_for_an_earlier_one() -> None:
    circuit = tripped(at=50.0)

    circuit.stand(Standing(OPEN, 5.0, 1, 1.0))

    assert not circuit.admits(50.0 + DEFAULTS.open_for_s - 0.1)


def test_a_call_that_was_sent_before_proves_nothing_after() -> None:
    circuit = new()
    ticket = circuit.begin(0.0)
    circuit.stand(tripped().standing)

    circuit.succeed(ticket)

    assert circuit.state is OPEN


def test_failures_of_all_are_in_a_row() -> None:
    circuit = new()
    fail(circuit, DEFAULTS.failures - 1)

    circuit.blame(7.0, partly_well=False)

    assert (circuit.state, circuit.last_failure_at, circuit.total_failures) == (
        OPEN,
        7.0,
        DEFAULTS.failures - 1,
    )


def test_failures_elsewhere_do_not_trip_what_is_partly_well() -> None:
    circuit = new()

    for _ in range(2 * DEFAULTS.failures):
        circuit.blame(7.0, partly_well=True)

    assert (circuit.state, circuit.failure_count) == (CLOSED, 2 * DEFAULTS.failures)


@pytest.mark.parametrize("circuit", [tripped(), on_trial()[0]], ids=["open", "half-open"])
def test_what_is_not_closed_is_not_blamed(circuit: Circuit) -> None:
    before = circuit.state, circuit.failure_count

    circuit.blame(7.0, partly_well=False)

    assert (circuit.state, circuit.failure_count) == before


def test_a_success_elsewhere_ends_the_row() -> None:
    circuit = new()
    fail(circuit, DEFAULTS.failures - 1)

    circuit.clear()
    circuit.blame(7.0, partly_well=False)

    assert (circuit.state, circuit.failure_count) == (CLOSED, 1)
