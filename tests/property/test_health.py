"""Whatever probes say, in whatever order, an endpoint's health stays sound."""

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.policy.health import Health, Verdict

RESULTS = st.lists(
    st.sampled_from([Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNREACHABLE]), max_size=30
)
AFTER = st.integers(1, 4)


@settings(deadline=None, max_examples=200)
@given(RESULTS, AFTER, AFTER)
def test_health_is_sound_after_any_results(
    results: list[Verdict], healthy_after: int, unhealthy_after: int
) -> None:
    health = Health()

    for at, result in enumerate(results, 1):
        before = (health.verdict, health.since)
        changed = health.probed(
            result,
            f"probe {at}",
            float(at),
            healthy_after=healthy_after,
            unhealthy_after=unhealthy_after,
        )
        assert changed is (health.verdict is not before[0])
        assert health.since == (float(at) if changed else before[1])
        assert health.usable is health.verdict.usable
        assert health.settled <= (health.verdict is Verdict.HEALTHY)
        if changed:
            assert health.verdict is result


@settings(deadline=None, max_examples=200)
@given(RESULTS, AFTER, AFTER)
def test_enough_results_of_one_kind_have_the_last_word(
    results: list[Verdict], healthy_after: int, unhealthy_after: int
) -> None:
    for last, needed in ((Verdict.HEALTHY, healthy_after), (Verdict.UNREACHABLE, unhealthy_after)):
        health = Health()
        for result in [*results, *[last] * needed]:
            health.probed(
                result, "", 1.0, healthy_after=healthy_after, unhealthy_after=unhealthy_after
            )
        assert health.verdict is last


@settings(deadline=None, max_examples=200)
@given(RESULTS, st.integers(2, 4))
def test_one_dissenting_result_never_turns_what_is_known(
    results: list[Verdict], needed: int
) -> None:
    health = Health()
    for result in [*results, *[Verdict.HEALTHY] * needed]:
        health.probed(result, "", 1.0, healthy_after=needed, unhealthy_after=needed)

    health.probed(Verdict.UNREACHABLE, "", 2.0, healthy_after=needed, unhealthy_after=needed)

    assert (health.usable, health.settled) == (True, False)
