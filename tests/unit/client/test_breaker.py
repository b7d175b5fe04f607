"""A server that keeps failing is left alone for a while; the others are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.client import breaker as module
from proxy.client.breaker import Breaker, Breakers, CircuitBreakerConfig, State
from proxy.client.errors import CircuitBreakerError
from tests.support.client_clock import HandClock

CONFIG = CircuitBreakerConfig(failure_threshold=3, timeout_seconds=30, success_threshold=2)


def tripped(clock: HandClock) -> Breakers:
    breakers = Breakers(CONFIG, clock)
    for _ in range(3):
        breakers.begin("a").fail()
    return breakers


def test_failures_in_a_row_open_it() -> None:
    breakers = tripped(HandClock())

    with pytest.raises(CircuitBreakerError) as caught:
        breakers.begin("a")

    assert (str(caught.value), caught.value.retry_after_s) == (
        "The circuit of a is open after failures; try again in 30 s",
        30.0,
    )


def test_one_servers_circuit_is_not_anothers() -> None:
    tripped(HandClock()).begin("b").succeed()


def test_success_between_failures_keeps_it_closed() -> None:
    breakers = Breakers(CONFIG, HandClock())
    for _ in range(5):
        breakers.begin("a").fail()
        breakers.begin("a").fail()
        breakers.begin("a").succeed()

    assert breakers.of("a").state is State.CLOSED


@pytest.mark.parametrize(("after_s", "admits"), [(29.9, False), (30.0, True)])
def test_trial_is_let_through_when_it_has_cooled_down(after_s: float, *, admits: bool) -> None:
    clock = HandClock()
    breakers = tripped(clock)

    assert breakers.of("a").admits(clock() + after_s) is admits


def test_one_trial_at_a_time() -> None:
    clock = HandClock()
    breakers = tripped(clock)
    clock.advance(30)
    breakers.begin("a")

    with pytest.raises(CircuitBreakerError):
        breakers.begin("a")


def test_trials_close_it() -> None:
    clock = HandClock()
    breakers = tripped(clock)
    clock.advance(30)
    breakers.begin("a").succeed()
    after_one = breakers.of("a").state
    breakers.begin("a").succeed()

    assert (after_one, breakers.of("a").state) == (State.HALF_OPEN, State.CLOSED)


def test_failed_trial_opens_it_for_as_long_again() -> None:
    clock = HandClock()
    breakers = tripped(clock)
    clock.advance(30)
    breakers.begin("a").fail()

    assert breakers.of("a").retry_after_s(clock()) == 30


def test_caller_that_leaves_gives_the_trial_back() -> None:
    clock = HandClock()
    breakers = tripped(clock)
    clock.advance(30)
    breakers.begin("a").abandon()

    assert breakers.of("a").admits(clock())


def test_answer_from_before_the_trip_proves_nothing() -> None:
    clock = HandClock()
    breakers = Breakers(CONFIG, clock)
    early = breakers.begin("a")
    for _ in range(3):
        breakers.begin("a").fail()
    clock.advance(30)
    breakers.begin("a")
    early.succeed()

    assert repr(breakers.of("a")) == "<Breaker HALF_OPEN failures=3>"
    assert not breakers.of("a").admits(clock())


OUTCOMES = st.lists(st.sampled_from(["succeed", "fail", "abandon", "wait"]), max_size=60)


@given(OUTCOMES)
def test_any_order_of_outcomes_leaves_it_sound(outcomes: list[str]) -> None:
    clock = HandClock()
    circuit = Breaker(CONFIG)
    in_a_row = 0
    for outcome in outcomes:
        if outcome == "wait":
            clock.advance(30)
        elif circuit.admits(clock()):
            was_closed = circuit.state is State.CLOSED
            ticket = circuit.begin()
            circuit.fail(ticket, clock()) if outcome == "fail" else getattr(circuit, outcome)(
                ticket
            )
            in_a_row = {"fail": in_a_row + 1, "succeed": 0}.get(outcome, in_a_row)
            if was_closed:
                assert (circuit.state is State.OPEN) == (outcome == "fail" and in_a_row >= 3)
        else:
            assert circuit.state is State.OPEN
            assert circuit.retry_after_s(clock()) > 0

    assert circuit.total_calls >= circuit.total_failures + circuit.total_successes
    assert circuit.admits(clock() + 30)


def test_view_adds_up_and_shows_the_worst() -> None:
    breakers = tripped(HandClock())
    breakers.begin("b").succeed()
    view = breakers.view()

    assert {
        key: view[key] for key in ("state", "failure_count", "total_calls", "failure_rate")
    } == {
        "state": "open",
        "failure_count": 3,
        "total_calls": 4,
        "failure_rate": 0.75,
    }
    assert list(view["per_server"]) == ["a", "b"]  # type: ignore[call-overload]  # a dictionary


def test_new_view_is_the_guides() -> None:
    view = Breakers(CONFIG, HandClock()).view()

    assert (view["state"], view["total_calls"], view["failure_rate"]) == ("closed", 0, 0.0)


def test_names_without_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KEPT", 3)
    breakers = Breakers(CONFIG, HandClock())
    for number in range(10):
        breakers.begin(str(number)).succeed()

    assert repr(breakers) == "<Breakers 3>"


@pytest.mark.parametrize(
    "keys", [{"failure_threshold": 0}, {"success_threshold": 0}, {"timeout_seconds": -1}]
)
def test_thresholds_that_make_no_sense_are_refused(keys: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        CircuitBreakerConfig(**keys)
