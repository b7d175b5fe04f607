"""Too few endpoints left: what calls have ejected is taken back, what probes have found is not."""

from typing import Final

import pytest

from tests.support.chaos_callers import Load, said
from tests.support.chaos_process import answers
from tests.support.chaos_scene import NEVER_OPEN, StartUpstreams, replicas
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

EJECTS: Final = {"consecutive_errors": 5, "base_ejection": "60s"}
CALLERS: Final = 3
CALLS: Final = 20


@pytest.mark.slow
def test_ejected_endpoint_is_taken_back_when_another_is_lost(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    dead, sick, well = upstreams
    sick.plays(answers(503))
    sidecar = start_sidecar(
        replicas(upstreams, balance="round_robin", outlier=EJECTS, circuit=NEVER_OPEN)
    )

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        assert eventually(lambda: state_of(sidecar).endpoint(sick.url).ejected)
        sick_calls = len(sick.seen.calls)
        load.goes_on(CALLS)
        while_ejected = len(sick.seen.calls) - sick_calls
        dead.dies()
        assert eventually(lambda: metric(sidecar, "toolproxy_panics_total", server="o") == 1)
        back = eventually(lambda: len(sick.seen.calls) > sick_calls + CALLS)
        load.goes_on(CALLS)

    state = state_of(sidecar)
    assert while_ejected < CALLERS
    assert back, load
    assert [state.endpoint(each.url).usable for each in (dead, sick, well)] == [False, True, True]
    assert said(load.failures)["503"] == len(sick.seen.calls)
    assert said(load.outcomes)["200"] > 2 * CALLS
