"""Verdicts: gates, and who was the limit."""

import pytest

from benchmarks.load.figures import Fault, Figures, Lateness
from benchmarks.load.gates import Gate
from benchmarks.load.verdict import Limit, judged, limited_by
from tests.benchmarks.load.made import figures, plan

ALL_FAIL = figures([503] * 10, latency_ms=0.1)


@pytest.mark.parametrize(
    ("made", "gate", "met"),
    [
        pytest.param(figures(latency_ms=5), Gate("p99", 6), True, id="quick"),
        pytest.param(figures(latency_ms=5), Gate("p50", 4), False, id="slow"),
        pytest.param(ALL_FAIL, Gate("p99", 6), False, id="quick-refusals"),
        pytest.param(figures(), Gate("errors", 0), True, id="no-errors"),
        pytest.param(figures(faults=[Fault.RESET]), Gate("errors", 0.9), False, id="an-error"),
        pytest.param(figures(), Gate("min_rate", 50), True, id="as-many-as-asked"),
        pytest.param(ALL_FAIL, Gate("min_rate", 1), False, id="errors-are-no-rate"),
        pytest.param(figures([]), Gate("errors", 100), False, id="no-calls"),
    ],
)
def test_gate_is_judged_by_its_figure(made: Figures, gate: Gate, *, met: bool) -> None:
    (verdict,) = judged((gate,), made)

    assert verdict.met is met


@pytest.mark.parametrize(
    ("made", "limit"),
    [
        pytest.param(figures(), None, id="held"),
        pytest.param(figures(cpu_share=0.95), Limit.GENERATOR, id="busy"),
        pytest.param(
            figures(cpu_share=0.7, starved_share=0.22), Limit.GENERATOR, id="busy-machine"
        ),
        pytest.param(figures(starved_share=0.3), Limit.GENERATOR, id="starved"),
        pytest.param(figures(lateness=Lateness(overslept=2)), Limit.GENERATOR, id="overslept"),
        pytest.param(
            figures(lateness=Lateness(overslept=2, waited=3)),
            Limit.TARGET,
            id="waited-more-than-overslept",
        ),
        pytest.param(figures(lateness=Lateness(overslept=1, waited=1)), None, id="rarely-late"),
        pytest.param(figures(lateness=Lateness(unsent=5)), Limit.TARGET, id="unsent"),
        pytest.param(figures([200] * 9 + [503]), Limit.TARGET, id="errors"),
    ],
)
def test_open_loop_was_limited_by_whoever_made_calls_late(
    made: Figures, limit: Limit | None
) -> None:
    assert limited_by(plan(rate_per_s=50.0), made) is limit


@pytest.mark.parametrize(
    ("made", "limit"),
    [(figures(), Limit.TARGET), (figures(cpu_share=0.95), Limit.GENERATOR)],
    ids=["idle-generator", "busy-generator"],
)
def test_closed_loop_always_has_a_limit(made: Figures, limit: Limit) -> None:
    assert limited_by(plan(), made) is limit
