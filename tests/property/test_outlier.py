"""Whatever calls meet and however time passes, ejection never takes out too many, or for ever."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.policy.outlier import Outlier, is_panic, may_eject
from proxy.registry.model import Outlier as Rules

WHICH = st.integers(0, 9)
RULES = st.builds(
    Rules,
    consecutive_errors=st.integers(1, 2),
    base_ejection_s=st.sampled_from([1.0, 30.0]),
    max_ejection_s=st.sampled_from([10.0, 300.0]),
    max_ejected=st.floats(0, 1),
)


class OutlierMachine(RuleBasedStateMachine):
    """A few endpoints, put out and taken back as a cluster does; probes take some out as well."""

    def __init__(self) -> None:
        super().__init__()
        self.config = Rules()
        self.endpoints = [Outlier()]
        self.down: set[int] = set()  # by their probes
        self.now = 1.0

    @initialize(many=st.integers(1, 10), rules=RULES)
    def begin(self, many: int, rules: Rules) -> None:
        self.config = rules
        self.endpoints = [Outlier() for _ in range(many)]

    def ejected(self) -> int:
        return sum(each.ejected for each in self.endpoints)

    def usable(self) -> list[Outlier]:
        return [
            each
            for number, each in enumerate(self.endpoints)
            if number not in self.down and not each.ejected
        ]

    @precondition(lambda self: self.usable())
    @rule(which=WHICH)
    def fail(self, which: int) -> None:
        usable, total = self.usable(), len(self.endpoints)
        each = usable[which % len(usable)]
        each.fail()
        if each.suspicious(self.config) and may_eject(
            self.config, total, len(usable), self.ejected()
        ):
            each.eject(self.config, "failed", self.now)
            assert self.usable()
            assert not is_panic(total, len(self.usable()))
            assert self.ejected() <= max(1, total * self.config.max_ejected)

    @rule(which=WHICH)
    def succeed(self, which: int) -> None:
        self.endpoints[which % len(self.endpoints)].succeed()

    @rule(which=WHICH)
    def probe(self, which: int) -> None:
        self.down ^= {which % len(self.endpoints)}

    @rule(for_s=st.sampled_from([0.1, 1.0, 9.0, 31.0, 299.0]))
    def pass_time(self, for_s: float) -> None:
        self.now += for_s
        for each in self.endpoints:
            if each.is_over(self.now):
                each.take_back(self.now)

    @invariant()
    def who_is_out_comes_back_within_the_longest_ejection(self) -> None:
        longest_s = max(self.config.base_ejection_s, self.config.max_ejection_s)

        for each in self.endpoints:
            assert each.is_over(each.since + longest_s) is each.ejected
            assert not each.is_over(each.since + self.config.base_ejection_s * 0.999)

    @invariant()
    def who_is_out_is_not_suspected_again(self) -> None:
        assert not any(each.ejected and each.suspicious(self.config) for each in self.endpoints)


TestOutlier = OutlierMachine.TestCase
TestOutlier.settings = settings(deadline=None, max_examples=100, stateful_step_count=40)


@settings(deadline=None, max_examples=200)
@given(st.integers(2, 50), st.floats(0, 1))
def test_one_may_go_of_two_or_more(total: int, max_ejected: float) -> None:
    assert may_eject(Rules(max_ejected=max_ejected), total, total, 0)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 50), st.integers(0, 50), st.floats(0, 1))
def test_the_last_never_goes(total: int, ejected: int, max_ejected: float) -> None:
    assert not may_eject(Rules(max_ejected=max_ejected), total, 1, ejected)
