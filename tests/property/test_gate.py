"""Whoever comes, waits, gives up or leaves, in whatever order: no permit is lost, nobody starves.

A waiter that was cancelled says so only later, as a task does: until then it is in the line.
"""

from concurrent.futures import Future

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.policy.limits import Full, Gate

WHICH = st.integers(0, 9)
Waiter = Future[None]


class GateMachine(RuleBasedStateMachine):
    """A gate beside lists of those who are inside, waiting and about to say that they left."""

    def __init__(self) -> None:
        super().__init__()
        self.limits = (1, 3, 9)
        self.gate = Gate(*self.limits)
        self.inside = 0  # those that entered at once, or have seen that they were told
        self.waiting: list[Waiter] = []  # in order of arrival, those told in the meantime too
        self.leaving: list[Waiter] = []  # cancelled, and have not stepped out

    def told(self) -> list[bool]:
        return [waiter.done() for waiter in self.waiting]

    @rule()
    def arrive(self) -> None:
        most_busy, most_pending, most_requests = self.limits
        busy, queued = self.gate.busy, self.gate.queued
        if self.gate.try_enter():
            assert busy < min(most_busy, most_requests)
            assert all(self.told())
            self.inside += 1
            return
        full = self.gate.full()
        assert (full is Full.REQUESTS) is (busy + queued >= most_requests)
        if full is None:
            assert queued < most_pending
            self.waiting.append(Future())
            self.gate.line_up(self.waiting[-1])
        elif full is Full.PENDING:
            assert queued >= most_pending

    @precondition(lambda self: self.inside)
    @rule()
    def leave(self) -> None:
        self.inside -= 1
        self.gate.leave()

    @precondition(lambda self: any(self.told()))
    @rule()
    def see_that_one_was_told(self) -> None:
        self.inside += 1
        self.waiting.pop(0)

    @precondition(lambda self: any(self.told()))
    @rule()
    def give_up_in_the_moment_of_being_told(self) -> None:
        self.waiting.pop(0)
        self.gate.leave()

    @precondition(lambda self: not all(self.told()))
    @rule(which=WHICH)
    def step_out(self, which: int) -> None:
        """Its time to wait is over."""
        self.gate.step_out(self.take(which))

    @precondition(lambda self: not all(self.told()))
    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """Its task will say so in a moment; the line may have moved on by then."""
        waiter = self.take(which)
        waiter.cancel()
        self.leaving.append(waiter)

    def take(self, which: int) -> Waiter:
        untold = [waiter for waiter in self.waiting if not waiter.done()]
        waiter = untold[which % len(untold)]
        self.waiting.remove(waiter)
        return waiter

    @precondition(lambda self: self.leaving)
    @rule(which=WHICH)
    def step_out_after_all(self, which: int) -> None:
        self.gate.step_out(self.leaving.pop(which % len(self.leaving)))

    @rule(limits=st.tuples(st.integers(1, 4), st.integers(0, 4), st.integers(1, 9)))
    def configure(self, limits: tuple[int, int, int]) -> None:
        self.limits = limits
        self.gate.configure(*limits)

    @invariant()
    def every_permit_is_somebodys(self) -> None:
        assert self.gate.busy == self.inside + sum(self.told())

    @invariant()
    def who_came_first_is_told_first(self) -> None:
        assert self.told() == sorted(self.told(), reverse=True)

    @invariant()
    def nobody_waits_while_a_permit_is_free(self) -> None:
        most_busy, _, most_requests = self.limits

        assert all(self.told()) or self.gate.busy >= min(most_busy, most_requests)

    def teardown(self) -> None:
        """Once all who are inside leave, everybody has had a turn, and the gate is as new."""
        for _ in range(self.inside + len(self.waiting)):
            self.gate.leave()
        for waiter in self.leaving:
            self.gate.step_out(waiter)

        assert all(self.told())
        assert repr(self.gate) == "<Gate 0 busy, 0 queued>"


TestGate = GateMachine.TestCase
TestGate.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
