"""Facts about the gate: who goes now, who waits, in which order, and who is refused."""

from concurrent.futures import Future

import pytest

from proxy.policy.limits import Full, Gate

PLENTY = 1000


def crowded(gate: Gate, waiting: int) -> list[Future[None]]:
    """Those in a line behind a gate that has no permit left."""
    while gate.try_enter():
        pass
    waiters: list[Future[None]] = [Future() for _ in range(waiting)]
    for waiter in waiters:
        gate.line_up(waiter)
    return waiters


def told(waiters: list[Future[None]]) -> list[bool]:
    return [waiter.done() and not waiter.cancelled() for waiter in waiters]


def test_so_many_enter_at_once() -> None:
    gate = Gate(2, PLENTY, PLENTY)

    assert [gate.try_enter() for _ in range(3)] == [True, True, False]
    assert repr(gate) == "<Gate 2 busy, 0 queued>"


def test_permit_that_is_given_back_is_there_for_the_next() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    gate.try_enter()

    gate.leave()

    assert (gate.busy, gate.try_enter()) == (0, True)


def test_nobody_passes_those_who_wait() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    gate.line_up(Future())

    assert gate.try_enter() is False


def test_those_who_wait_are_told_in_order_of_arrival() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 3)

    seen = []
    for _ in range(3):
        gate.leave()
        seen.append(told(waiters))

    assert seen == [[True, False, False], [True, True, False], [True, True, True]]
    assert repr(gate) == "<Gate 1 busy, 0 queued>"


@pytest.mark.parametrize(
    ("limits", "queued", "reason"),
    [
        pytest.param((1, 2, PLENTY), 1, None, id="one-more-may-wait"),
        pytest.param((1, 2, PLENTY), 2, Full.PENDING, id="line-is-full"),
        pytest.param((1, 0, PLENTY), 0, Full.PENDING, id="no-line-at-all"),
        pytest.param((1, PLENTY, 4), 2, None, id="one-more-is-in-flight"),
        pytest.param((1, PLENTY, 4), 3, Full.REQUESTS, id="so-many-are-in-flight"),
        pytest.param((9, PLENTY, 4), 0, Full.REQUESTS, id="in-flight-counts-those-inside-too"),
        pytest.param((1, 2, 3), 2, Full.REQUESTS, id="both"),
    ],
)
def test_full_gate_says_why(limits: tuple[int, int, int], queued: int, reason: Full | None) -> None:
    gate = Gate(*limits)
    crowded(gate, queued)

    assert gate.full() is reason


def test_no_more_enter_than_may_be_in_flight() -> None:
    gate = Gate(9, PLENTY, 4)
    crowded(gate, 0)

    assert gate.busy == 4


def test_who_steps_out_leaves_its_place_to_those_behind() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 3)

    gate.step_out(waiters[0])
    gate.leave()

    assert (told(waiters), gate.queued) == ([False, True, False], 1)


def test_who_has_left_without_a_word_yet_is_passed_over() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 2)
    waiters[0].cancel()

    gate.leave()
    gate.step_out(waiters[0])

    assert (told(waiters), repr(gate)) == ([False, True], "<Gate 1 busy, 0 queued>")


def test_permit_is_free_when_all_who_waited_have_left() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    (waiter,) = crowded(gate, 1)
    waiter.cancel()

    gate.leave()

    assert (repr(gate), gate.try_enter()) == ("<Gate 0 busy, 0 queued>", True)


def test_who_was_told_and_leaves_makes_room_for_the_next() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 2)
    gate.leave()

    gate.leave()

    assert (told(waiters), gate.busy) == ([True, True], 1)


def test_more_permits_let_those_in_who_wait() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 3)

    gate.configure(3, PLENTY, PLENTY)

    assert (told(waiters), gate.busy) == ([True, True, False], 3)


def test_fewer_permits_throw_nobody_out_and_let_nobody_in() -> None:
    gate = Gate(3, PLENTY, PLENTY)
    waiters = crowded(gate, 1)

    gate.configure(1, PLENTY, PLENTY)

    seen = []
    for _ in range(3):
        gate.leave()
        seen.append((gate.busy, told(waiters)))
    assert seen == [(2, [False]), (1, [False]), (1, [True])]


def test_shorter_line_holds_from_the_next_call_on() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    crowded(gate, 3)

    gate.configure(1, 2, PLENTY)

    assert (gate.queued, gate.full()) == (3, Full.PENDING)


class _Lender:
    def __init__(self) -> None:
        self.asked = 0

    def wanted(self) -> None:
        self.asked += 1


def test_a_lender_is_told_of_each_who_waits() -> None:
    gate = Gate(0, PLENTY, PLENTY)
    gate.lender = lender = _Lender()

    crowded(gate, 2)

    assert lender.asked == 2


def test_who_is_pushed_in_comes_before_all_who_wait() -> None:
    gate = Gate(1, PLENTY, PLENTY)
    waiters = crowded(gate, 2)
    first: Future[None] = Future()
    gate.push_in(first)

    gate.leave()

    assert told([first, *waiters]) == [True, False, False]
