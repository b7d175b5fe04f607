"""Facts about the circuit breaker: what late answers prove, what it counts, and new settings."""

from collections.abc import Callable

import pytest

from proxy.policy.circuit import Circuit, State
from proxy.registry.model import CircuitConfig
from tests.support.circuits import DEFAULTS, fail, new, on_trial, shown, tripped

CLOSED, OPEN, HALF_OPEN = State


def opened() -> tuple[Circuit, int]:
    """Open, and the ticket of a call that was sent before the trip."""
    circuit = new()
    late = circuit.begin(0.0)
    fail(circuit, 5)
    return circuit, late


def trying() -> tuple[Circuit, int]:
    """The same with a trial on its way."""
    circuit, late = opened()
    circuit.begin(30.0)
    return circuit, late


def recovered() -> tuple[Circuit, int]:
    """The same once it has closed again and has failed twice since."""
    circuit, late = opened()
    for _ in range(2):
        circuit.succeed(circuit.begin(30.0))
    fail(circuit, 2, now=31.0)
    return circuit, late


@pytest.mark.parametrize("reached", [opened, trying, recovered])
@pytest.mark.parametrize(
    ("end", "counted"),
    [
        pytest.param(Circuit.succeed, (1, 0, 1), id="success"),
        pytest.param(lambda circuit, late: circuit.fail(late, 32.0), (1, 1, 0), id="failure"),
        pytest.param(Circuit.abandon, (1, 0, 0), id="caller-that-left"),
    ],
)
def test_late_answer_is_counted_and_proves_nothing(
    reached: Callable[[], tuple[Circuit, int]],
    end: Callable[[Circuit, int], None],
    counted: tuple[int, int, int],
) -> None:
    def proved() -> tuple[object, ...]:
        return (repr(circuit), circuit.success_count, circuit.admits(30.0), circuit.state_changes)

    def totals() -> tuple[int, int, int]:
        return (circuit.total_calls, circuit.total_failures, circuit.total_successes)

    circuit, late = reached()
    before, ended_before = proved(), totals()

    end(circuit, late)

    assert proved() == before
    assert tuple(now - then for now, then in zip(totals(), ended_before, strict=True)) == counted


def test_trial_of_an_earlier_period_proves_nothing_in_the_next() -> None:
    circuit, slow = on_trial(CircuitConfig(half_open_max=2))
    circuit.fail(circuit.begin(30.0), 30.0)
    circuit.begin(90.0)

    circuit.succeed(slow)

    assert (circuit.state, circuit.success_count) == (HALF_OPEN, 0)


def test_trial_that_comes_after_the_closing_success_proves_nothing() -> None:
    circuit, slow = on_trial(CircuitConfig(half_open_max=2, successes=1, failures=1))
    circuit.succeed(circuit.begin(30.0))

    circuit.fail(slow, 31.0)

    assert (circuit.state, circuit.failure_count) == (CLOSED, 0)


# --- figures ---


def test_nine_figures_tell_what_happened() -> None:
    circuit = new(CircuitConfig(failures=2))
    circuit.succeed(circuit.begin(1.0))
    fail(circuit, 2, now=2.0)
    circuit.succeed(circuit.begin(32.0))
    circuit.abandon(circuit.begin(33.0))

    assert shown(circuit)[:9] == (HALF_OPEN, 0, 1, 5, 2, 2, 0.5, 2, 2.0)


def test_call_that_has_not_ended_is_in_no_total() -> None:
    circuit = new()

    circuit.begin(0.0)

    assert circuit.total_calls == 0


# --- new settings ---


def closed_again() -> Circuit:
    circuit, ticket = on_trial(CircuitConfig(successes=1))
    circuit.succeed(ticket)
    circuit.configure(DEFAULTS)
    return circuit


def test_fewer_failures_trip_with_the_next_one() -> None:
    circuit = new()
    fail(circuit, 3)

    circuit.configure(CircuitConfig(failures=2))

    assert repr(circuit) == "<Circuit CLOSED failures=3>"
    fail(circuit)
    assert repr(circuit) == "<Circuit OPEN failures=4>"


@pytest.mark.parametrize(("open_for_s", "until"), [(10.0, 10.0), (90.0, 90.0)])
def test_new_back_off_holds_while_it_is_open(open_for_s: float, until: float) -> None:
    circuit = tripped()

    circuit.configure(CircuitConfig(open_for_s=open_for_s))

    assert (circuit.admits(until - 0.001), circuit.admits(until)) == (False, True)


def test_new_back_off_is_doubled_as_often_as_the_old_one() -> None:
    circuit, ticket = on_trial()
    circuit.fail(ticket, 30.0)

    circuit.configure(CircuitConfig(open_for_s=10.0))

    assert circuit.retry_after_s(30.0) == 20.0


def test_more_places_on_trial_are_there_at_once() -> None:
    circuit, _ = on_trial()

    circuit.configure(CircuitConfig(half_open_max=2))

    assert (circuit.admits(30.0), circuit.state) == (True, HALF_OPEN)


def test_fewer_successes_close_with_the_next_one() -> None:
    circuit, first = on_trial(CircuitConfig(successes=9))
    circuit.succeed(first)

    circuit.configure(CircuitConfig(successes=2))
    circuit.succeed(circuit.begin(30.0))

    assert circuit.state is CLOSED


def test_new_settings_change_nothing_that_was_learnt() -> None:
    circuit = closed_again()
    fail(circuit, 3, now=40.0)
    before = shown(circuit)

    circuit.configure(CircuitConfig(failures=9, open_for_s=1.0, successes=9, half_open_max=9))

    assert shown(circuit) == before
