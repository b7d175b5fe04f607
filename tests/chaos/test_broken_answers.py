"""Upstreams that refuse, reset, stop half-way or talk nonsense: who is told what, and how often."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pytest

from tests.support.chaos_callers import CALL, Load, call, said
from tests.support.chaos_process import (
    ANSWERS,
    CLOSES,
    HOLDS,
    RESETS,
    ReservedPort,
    Step,
    Upstream,
    answers,
    sends,
)
from tests.support.chaos_scene import NEVER_OPEN, StartUpstreams, replicas
from tests.support.chaos_sightings import times_seen
from tests.support.chaos_state import metric, nothing_left_over, state_of
from tests.support.hardening_bystander import Bystander
from tests.support.sidecar import Sidecar, registry
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

BROKEN: Final = CALL.replace("o.", "broken.")
ERRORS: Final = 5
CALLERS: Final = 9
HALF_A_HEAD: Final = sends(b"HTTP/1.1 200 OK\r\nContent-Le")
HALF_AN_ANSWER: Final = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
HALF_IN_CHUNKS: Final = sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
GARBAGE: Final = sends(b"\x00\xff no HTTP at all\r\n\r\n")
BAD_LENGTH: Final = sends(b"HTTP/1.1 200 OK\r\nContent-Length: some\r\n\r\n")


class Scene(NamedTuple):
    """A server that breaks, another that does not, and their sidecar."""

    upstream: Upstream
    sidecar: Sidecar


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("broken")
    ports = [ReservedPort(), ReservedPort()]
    broken, well = (
        Upstream(directory, name, port.number)
        for name, port in zip(("broken", "well"), ports, strict=True)
    )
    for upstream in (broken, well):
        upstream.comes_up()
    short = "500ms"
    breaking = replicas(
        [broken], namespace="broken", circuit=NEVER_OPEN, timeout=short, idle_timeout=short
    )
    sidecar = Sidecar(directory, registry(breaking, replicas([well])))
    yield Scene(broken, sidecar)
    sidecar.close()
    for upstream in (broken, well):
        upstream.close()
    for port in ports:
        port.give_up()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "told"),
    [
        pytest.param([RESETS], "502 upstream_closed", id="reset-before-the-answer"),
        pytest.param([CLOSES], "502 upstream_closed", id="closed-before-the-answer"),
        pytest.param([HOLDS], "504 upstream_timeout", id="silence"),
        pytest.param([HALF_A_HEAD, RESETS], "502 upstream_closed", id="reset-in-the-head"),
        pytest.param([HALF_A_HEAD, HOLDS], "504 upstream_timeout", id="silence-in-the-head"),
        pytest.param([HALF_AN_ANSWER, HOLDS, RESETS], "broken off", id="reset-in-the-body"),
        pytest.param([HALF_AN_ANSWER, HOLDS, CLOSES], "broken off", id="closed-in-the-body"),
        pytest.param([HALF_AN_ANSWER, HOLDS], "broken off", id="silence-in-the-body"),
        pytest.param([HALF_IN_CHUNKS, HOLDS, RESETS], "broken off", id="reset-between-chunks"),
        pytest.param([HALF_IN_CHUNKS, HOLDS, GARBAGE], "broken off", id="garbage-between-chunks"),
        pytest.param([GARBAGE], "502 upstream_protocol", id="garbage"),
        pytest.param([BAD_LENGTH], "502 upstream_protocol", id="bad-length"),
    ],
)
def test_broken_answer_is_told_to_its_caller_alone_and_counted_once(
    scene: Scene, steps: list[Step], told: str
) -> None:
    upstream, sidecar = scene
    upstream.plays(*steps)
    before = state_of(sidecar, "broken").circuit

    with nothing_left_over(sidecar), Bystander(sidecar) as bystander:
        outcome = call(sidecar, BROKEN, once_heard=upstream.releases)

    after = state_of(sidecar, "broken").circuit
    assert outcome.said == told
    assert [seen.call for seen in upstream.seen.calls].count(outcome.call) == 1
    assert eventually(lambda: not upstream.seen.open_connections)
    assert after.total_failures - before.total_failures == 1
    assert after.total_successes == before.total_successes
    bystander.assert_undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "told"),
    [
        pytest.param([RESETS], "502 upstream_closed", id="resets"),
        pytest.param([HALF_AN_ANSWER, CLOSES], "broken off", id="half-answers"),
        pytest.param([GARBAGE], "502 upstream_protocol", id="garbage"),
        pytest.param([answers(503)], "503", id="503"),
    ],
)
def test_endpoint_that_breaks_its_answers_is_ejected(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar, steps: list[Step], told: str
) -> None:
    upstreams = start_upstreams(3)
    broken = upstreams[0]
    sidecar = start_sidecar(replicas(upstreams, outlier={"consecutive_errors": ERRORS}))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        load.goes_on()  # the others do well, so the server as a whole does
        broken.plays(*steps)
        assert eventually(lambda: state_of(sidecar).endpoint(broken.url).ejected)
        load.goes_on()

    assert said(load.failures).keys() == {told}
    assert ERRORS <= len(load.failures) < ERRORS + CALLERS  # what was under way when it went
    assert {outcome.call for outcome in load.failures} <= times_seen([broken.seen]).keys()
    assert set(times_seen(each.seen for each in upstreams).values()) == {1}
    assert metric(sidecar, "toolproxy_endpoint_ejections_total", endpoint=broken.url) == 1
    assert state_of(sidecar).circuit.state == "closed"


@pytest.mark.slow
def test_ejected_endpoint_takes_traffic_again_when_its_time_is_over(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    broken = upstreams[0]
    outlier = {"consecutive_errors": ERRORS, "base_ejection": "1s"}
    sidecar = start_sidecar(replicas(upstreams, outlier=outlier))

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        load.goes_on()
        broken.plays(answers(503))
        assert eventually(lambda: state_of(sidecar).endpoint(broken.url).ejected)
        broken.plays(ANSWERS)
        back = load.is_served_by("a")

    assert back, load
    assert said(load.failures) == {"503": len(load.failures)}
    assert ERRORS <= len(load.failures) < ERRORS + CALLERS
    assert metric(sidecar, "toolproxy_endpoint_ejections_total", endpoint=broken.url) == 1


@pytest.mark.slow
def test_endpoint_that_was_never_there_fails_no_call(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    upstreams[0].dies()
    sidecar = start_sidecar(replicas(upstreams))

    with Load(sidecar, callers=CALLERS) as load:  # from the first moment on
        load.goes_on()
    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as later:
        later.goes_on()

    assert load.failures + later.failures == []
    assert state_of(sidecar).endpoint(upstreams[0].url).status == "unreachable"


@pytest.mark.slow
def test_endpoint_that_refuses_is_ejected_though_its_probes_succeed(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    deaf = upstreams[0]
    deaf.goes_down()
    elsewhere = f"{upstreams[1].url}/health"
    sidecar = start_sidecar(
        replicas(upstreams, health_url=elsewhere, outlier={"consecutive_errors": ERRORS})
    )

    with nothing_left_over(sidecar), Load(sidecar, callers=CALLERS) as load:
        assert eventually(lambda: state_of(sidecar).endpoint(deaf.url).ejected)
        load.goes_on()

    assert load.failures == []
    assert metric(sidecar, "toolproxy_retries_total", server="o", reason="connect") >= ERRORS
    assert state_of(sidecar).circuit.total_failures == 0
    assert deaf.seen.calls == []


@pytest.mark.slow
def test_refusal_of_the_only_endpoint_is_told(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(2)
    upstreams[0].dies()
    elsewhere = f"{upstreams[1].url}/health"
    sidecar = start_sidecar(
        replicas(upstreams[:1], health_url=elsewhere, circuit={"failures": ERRORS})
    )

    with nothing_left_over(sidecar):
        told = [call(sidecar).said for _ in range(ERRORS + 1)]

    assert told == ["502 connect_failed"] * ERRORS + ["503 circuit_open"]
