"""Facts about the circuit breaker: what trips it, what it lets through, and what closes it."""

import itertools
from collections.abc import Callable

import pytest

from proxy.policy.circuit import TRANSITIONS, Circuit, Event, State
from proxy.registry.model import CircuitConfig
from tests.support.circuits import fail, new, on_trial, shown, tripped

CLOSED, OPEN, HALF_OPEN = State
ALMOST_ONE = 1 - 2**-53


# --- the table ---


def test_table_answers_every_state_and_event() -> None:
    assert set(TRANSITIONS) == set(itertools.product(State, Event))


def test_four_events_change_the_state() -> None:
    changes = {pair: to for pair, to in TRANSITIONS.items() if to is not pair[0]}

    assert changes == {
        (CLOSED, Event.TRIPPED): OPEN,
        (OPEN, Event.COOLED): HALF_OPEN,
        (HALF_OPEN, Event.FAILED): OPEN,
        (HALF_OPEN, Event.PROVED): CLOSED,
    }


# --- closed ---


def test_new_circuit_is_closed_and_knows_nothing() -> None:
    circuit = new()

    assert (repr(circuit), circuit.admits(0.0), circuit.retry_after_s(0.0)) == (
        "<Circuit CLOSED failures=0>",
        True,
        0.0,
    )
    assert shown(circuit) == (CLOSED, 0, 0, 0, 0, 0, 0.0, 0, None, 0, True)


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_circuit_trips_after_exactly_so_many_failures_in_a_row(failures: int) -> None:
    circuit = new(CircuitConfig(failures=failures))

    seen = []
    for _ in range(failures):
        seen.append(circuit.state)
        fail(circuit)

    assert (seen, circuit.state) == ([CLOSED] * failures, OPEN)


def test_success_between_starts_the_count_anew() -> None:
    circuit = new()

    fail(circuit, 4)
    circuit.succeed(circuit.begin(0.0))
    fail(circuit, 4)

    assert repr(circuit) == "<Circuit CLOSED failures=4>"


def test_caller_that_leaves_is_neither_failure_nor_success() -> None:
    circuit = new()

    fail(circuit, 4)
    circuit.abandon(circuit.begin(0.0))

    assert repr(circuit) == "<Circuit CLOSED failures=4>"
    fail(circuit)
    assert repr(circuit) == "<Circuit OPEN failures=5>"


def test_failures_of_what_is_partly_well_count_but_do_not_trip() -> None:
    circuit = new()

    for _ in range(9):
        circuit.fail(circuit.begin(0.0), 0.0, partly_well=True)

    assert repr(circuit) == "<Circuit CLOSED failures=9>"
    fail(circuit)
    assert repr(circuit) == "<Circuit OPEN failures=10>"


# --- open ---


@pytest.mark.parametrize(("now", "admits"), [(7.0, False), (36.999, False), (37.0, True)])
def test_open_circuit_admits_nothing_before_its_time(now: float, *, admits: bool) -> None:
    assert tripped(at=7.0).admits(now) is admits


@pytest.mark.parametrize(("now", "after_s"), [(7.0, 30.0), (12.5, 24.5), (37.0, 0.0), (99.0, 0.0)])
def test_open_circuit_says_when_to_come_back(now: float, after_s: float) -> None:
    assert tripped(at=7.0).retry_after_s(now) == after_s


def test_asking_changes_nothing() -> None:
    circuit = tripped()
    before = shown(circuit)

    answers = [circuit.admits(now) for now in (30.0, 30.0, 29.0, 30.0)]

    assert (answers, shown(circuit)) == ([True, True, False, True], before)
    assert (circuit.retry_after_s(29.0), shown(circuit)) == (1.0, before)


# --- half open ---


@pytest.mark.parametrize("most", [1, 3])
def test_so_many_are_on_trial_at_once(most: int) -> None:
    circuit = tripped(CircuitConfig(half_open_max=most))

    admitted = 0
    while circuit.admits(30.0):
        circuit.begin(30.0)
        admitted += 1

    assert (admitted, circuit.state, circuit.retry_after_s(30.0)) == (most, HALF_OPEN, 0.0)
    assert circuit.admits(1e9) is False


@pytest.mark.parametrize(
    ("end", "success_count"),
    [
        pytest.param(Circuit.succeed, 1, id="success"),
        pytest.param(Circuit.abandon, 0, id="caller-that-left"),
    ],
)
def test_place_on_trial_is_free_once_its_call_has_ended(
    end: Callable[[Circuit, int], None], success_count: int
) -> None:
    circuit, ticket = on_trial()

    end(circuit, ticket)

    assert (circuit.state, circuit.success_count, circuit.admits(30.0)) == (
        HALF_OPEN,
        success_count,
        True,
    )
    circuit.begin(30.0)
    assert circuit.admits(30.0) is False


def test_two_successes_close_it() -> None:
    circuit, first = on_trial()

    circuit.succeed(first)
    circuit.succeed(circuit.begin(30.0))

    assert (repr(circuit), circuit.closed) == ("<Circuit CLOSED failures=0>", True)


@pytest.mark.parametrize("partly_well", [False, True])
def test_one_failure_opens_it_again(*, partly_well: bool) -> None:
    circuit, first = on_trial()

    circuit.succeed(first)
    circuit.fail(circuit.begin(30.0), 31.0, partly_well=partly_well)

    assert (circuit.state, circuit.admits(60.0), circuit.success_count) == (OPEN, False, 0)


def test_successes_of_an_earlier_trial_period_do_not_add_up() -> None:
    circuit, first = on_trial()
    circuit.succeed(first)
    circuit.fail(circuit.begin(30.0), 30.0)

    circuit.succeed(circuit.begin(90.0))

    assert (circuit.state, circuit.success_count) == (HALF_OPEN, 1)


# --- the back-off ---


def back_offs_s(circuit: Circuit, trips: int) -> list[float]:
    """How long it stays open each time, with every trial a failure; it has tripped at 0."""
    now, found = 0.0, []
    for _ in range(trips):
        found.append(circuit.retry_after_s(now))
        now += found[-1]
        fail(circuit, now=now)
    return found


def test_back_off_doubles_up_to_five_minutes() -> None:
    assert back_offs_s(tripped(), 6) == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]


@pytest.mark.parametrize(
    ("chance", "back_offs"),
    [
        pytest.param(ALMOST_ONE, [30.0, 54.0, 108.0, 216.0, 270.0], id="shortest"),
        pytest.param(0.0, [30.0, 60.0, 120.0, 240.0, 300.0], id="longest"),
    ],
)
def test_back_off_is_jittered_but_for_the_first(chance: float, back_offs: list[float]) -> None:
    assert back_offs_s(tripped(chance=chance), 5) == pytest.approx(back_offs)


def test_back_off_stays_finite_however_often_it_fails() -> None:
    assert back_offs_s(tripped(), 2000)[-1] == 300.0


def test_back_off_configured_above_five_minutes_holds_and_does_not_double() -> None:
    assert back_offs_s(tripped(CircuitConfig(open_for_s=600.0)), 3) == [600.0] * 3


def test_back_off_starts_over_once_it_has_closed() -> None:
    circuit = tripped()
    back_offs_s(circuit, 3)
    circuit.configure(CircuitConfig(successes=1))
    circuit.succeed(circuit.begin(1000.0))

    fail(circuit, 5, now=1000.0)

    assert (circuit.state, circuit.retry_after_s(1000.0)) == (OPEN, 30.0)
