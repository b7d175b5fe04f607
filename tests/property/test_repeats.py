"""Whoever calls, repeats, waits, leaves or fails, in whatever order: all of it adds up.

Each call is made once at a time, everybody who waits is told, and the memory keeps to its bounds.
"""

from concurrent.futures import Future

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.policy.repeats import Call, Kept, Mismatch, Repeats

KEEP_S = 10.0
MOST_BYTES = 6_000
MOST_EACH_BYTES = 2_000
MOST_RUNNING = 4
WHICH = st.integers(0, 9)
Name = tuple[bytes, bytes]


class RepeatsMachine(RuleBasedStateMachine):
    """A memory beside a plain table of the calls that run, and a list of the answers given."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.repeats = Repeats(
            most_each_bytes=MOST_EACH_BYTES,
            most_bytes=MOST_BYTES,
            keep_s=KEEP_S,
            most_running=MOST_RUNNING,
        )
        self.running: dict[Name, Call] = {}
        self.answers: dict[Name, tuple[Call, float]] = {}  # the last of each name that may be kept
        self.over: list[Call] = []
        self.waiting: list[tuple[Call, Future[None]]] = []

    @rule(
        scope=st.sampled_from([b"", b"a", b"ab", b"long" * 20]),
        key=st.sampled_from([b"", b"b", b"bb", b"long" * 20]),
        digest=st.sampled_from([b"1", b"1", b"2"]),
    )
    def begin(self, scope: bytes, key: bytes, digest: bytes) -> None:
        name = (scope, key)
        try:
            begun = self.repeats.begin(scope, key, digest, self.now)
        except Mismatch:
            known = self.running.get(name) or self.answers[name][0]
            assert known.digest != digest
            return
        if begun is None:
            # Four calls that run always fit, so nothing but their number is in the way.
            assert name not in self.running
            assert len(self.running) == MOST_RUNNING
        elif begun[1]:
            self.begun_first(name, begun[0])
        else:
            self.begun_again(name, begun[0], digest)

    def begun_first(self, name: Name, call: Call) -> None:
        assert name not in self.running
        assert len(self.running) < MOST_RUNNING
        assert call.running
        self.running[name] = call
        self.answers.pop(name, None)

    def begun_again(self, name: Name, call: Call, digest: bytes) -> None:
        assert call.digest == digest
        if call.running:
            assert self.running[name] is call
            waiter: Future[None] = Future()
            call.waiters.append(waiter)
            self.waiting.append((call, waiter))
        else:
            answered, at = self.answers[name]
            assert answered is call
            assert call.kept is not None
            assert self.now < at + KEEP_S

    @precondition(lambda self: self.running)
    @rule(which=WHICH, size=st.sampled_from([0, 10, 1_000, 2_000, 2_001]), keep=st.booleans())
    def finish(self, which: int, size: int, *, keep: bool) -> None:
        name, call = self.take(which)
        kept = Kept(b"", b"", b"x" * size, 200, {})
        self.repeats.finish(call, kept, self.now, keep=keep)
        assert call.kept is kept
        if keep and size <= MOST_EACH_BYTES:
            self.answers[name] = (call, self.now)

    @precondition(lambda self: self.running)
    @rule(which=WHICH)
    def finish_without_an_answer(self, which: int) -> None:
        _, call = self.take(which)
        self.repeats.finish(call, None, self.now)
        assert call.kept is None

    @precondition(lambda self: self.running)
    @rule(which=WHICH)
    def fail(self, which: int) -> None:
        _, call = self.take(which)
        self.repeats.fail(call)
        assert call.kept is None

    def take(self, which: int) -> tuple[Name, Call]:
        name = list(self.running)[which % len(self.running)]
        call = self.running.pop(name)
        self.over.append(call)
        return name, call

    @precondition(lambda self: self.over)
    @rule(which=WHICH)
    def end_again(self, which: int) -> None:
        """A late word of one that is over."""
        call = self.over[which % len(self.over)]
        kept, before = call.kept, repr(self.repeats)
        self.repeats.fail(call)
        assert (call.kept, repr(self.repeats)) == (kept, before)

    @precondition(lambda self: self.waiting)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        self.waiting.pop(which % len(self.waiting))[1].cancel()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0]))
    def let_time_pass(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def sweep(self) -> None:
        self.repeats.sweep(self.now)
        young = [name for name, (_, at) in self.answers.items() if self.now < at + KEEP_S]
        assert len(self.repeats._line) <= len(young)

    @invariant()
    def who_waits_is_told_when_it_is_over(self) -> None:
        assert all(waiter.done() is not call.running for call, waiter in self.waiting)

    @invariant()
    def what_is_held_is_what_is_there(self) -> None:
        repeats = self.repeats
        there = repeats._calls.values()
        assert repeats.held_bytes == sum(call.held_bytes for call in there) <= MOST_BYTES
        assert repeats.running == len(self.running)
        assert set(self.running.values()) == {call for call in there if call.running}
        assert list(repeats._line) == [call for call in repeats._line if not call.running]
        assert len(there) == len(repeats._line) + repeats.running

    @invariant()
    def oldest_is_out_first(self) -> None:
        """Of the answers that could be kept, those that are there are the newest."""
        ends = sorted(at for _, at in self.answers.values())
        there = [call.until - KEEP_S for call in self.repeats._line]
        assert there == sorted(there)
        assert not there or there == ends[-len(there) :]

    def teardown(self) -> None:
        """Once all are over and time has passed, everybody was told and nothing is held."""
        for call in self.running.values():
            self.repeats.fail(call)
        self.repeats.sweep(self.now + KEEP_S)

        assert all(waiter.done() for _, waiter in self.waiting)
        assert repr(self.repeats) == "<Repeats 0 running, 0 kept, 0 bytes>"


TestRepeats = RepeatsMachine.TestCase
TestRepeats.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)
