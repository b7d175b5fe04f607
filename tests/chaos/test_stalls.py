"""Stalls that are no upstream's fault: our own loop's, and those of callers."""

import contextlib
import signal
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.caller import Caller
from tests.support.chaos_callers import CALL, call
from tests.support.chaos_process import ANSWERS, HOLDS, floods, sends, waits
from tests.support.chaos_scene import StartUpstreams, replicas
from tests.support.chaos_state import nothing_left_over, servers_of, state_of
from tests.support.hardening_bystander import Bystander
from tests.support.messages import message, post
from tests.support.sidecar import Sidecar
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

MIB: Final = 1 << 20
STALLS: Final = 4
STALL_S: Final = 1.2
BETWEEN_S: Final = 0.1
# Nearly always a probe is under way, none outlasts a stall, and each has ten times what it takes.
PROBED: Final = {"interval": "50ms", "fast_interval": "50ms", "timeout": "1s"}
PROBE_TAKES_S: Final = 0.1
CALLERS: Final = 10
LARGE_BYTES: Final = 64 * MIB
MOST_EACH_BYTES: Final = MIB
BROKEN: Final = CALL.replace("o.", "large.")
HALF_A_REQUEST: Final = message(
    b"POST " + BROKEN.encode() + b" HTTP/1.1", b"Host: a", b"Content-Length: 1000", body=b"half"
)


@pytest.mark.slow
def test_stall_of_our_own_marks_no_endpoint_down(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    upstreams = start_upstreams(3)
    for upstream in upstreams:
        upstream.plays(waits(PROBE_TAKES_S), ANSWERS, to="/health")
    sidecar = start_sidecar(replicas(upstreams, health={**PROBED, "unhealthy_after": 2}))

    with nothing_left_over(sidecar):
        for _ in range(STALLS):
            sidecar.signal(signal.SIGSTOP)
            time.sleep(STALL_S)
            sidecar.signal(signal.SIGCONT)
            time.sleep(BETWEEN_S)

    assert _verdicts(sidecar) == {"healthy"}
    assert not sidecar.said("unreachable|ejected")


@pytest.mark.slow
def test_stalled_reader_holds_only_its_own_buffers_and_is_no_failure_of_the_upstream(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    large, well = start_upstreams(2)
    head = message(b"HTTP/1.1 200 OK", b"Content-Length: %d" % LARGE_BYTES)
    large.plays(sends(head), floods(LARGE_BYTES))
    sidecar = start_sidecar(
        replicas([large], namespace="large", idle_timeout="1s"), replicas([well])
    )

    with nothing_left_over(sidecar):
        sidecar.forget_peak()
        resident_bytes = sidecar.resident_bytes()
        with _stalled(sidecar, post(BROKEN)), Bystander(sidecar) as bystander:
            assert eventually(lambda: len(large.seen.calls) == CALLERS)
            assert eventually(lambda: not large.seen.open_connections)
        each_bytes = (sidecar.peak_bytes() - resident_bytes) / CALLERS

    print(f"{each_bytes / 1024:.0f} KiB for each stalled reader")  # noqa: T201 - a figure
    assert each_bytes < MOST_EACH_BYTES
    assert _failures(sidecar) == 0
    bystander.assert_undisturbed()


@pytest.mark.slow
def test_caller_that_stops_half_way_is_no_failure_of_the_upstream(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar
) -> None:
    large, well = start_upstreams(2)
    sidecar = start_sidecar(replicas([large], namespace="large", timeout="500ms"), replicas([well]))

    with nothing_left_over(sidecar):
        with _stalled(sidecar, HALF_A_REQUEST) as callers, Bystander(sidecar) as bystander:
            told = [caller.answer().status for caller in callers]
        assert eventually(lambda: not large.seen.open_connections)

    assert told == [408] * CALLERS
    assert _failures(sidecar) == 0
    bystander.assert_undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("resets", [False, True], ids=["leaves", "resets"])
def test_caller_that_goes_takes_its_call_along_and_is_no_failure_of_the_upstream(
    start_upstreams: StartUpstreams, start_sidecar: StartSidecar, *, resets: bool
) -> None:
    large, well = start_upstreams(2)
    large.plays(HOLDS, ANSWERS)
    sidecar = start_sidecar(replicas([large], namespace="large"), replicas([well]))

    with nothing_left_over(sidecar):
        with _stalled(sidecar, post(BROKEN)) as callers, Bystander(sidecar) as bystander:
            assert eventually(lambda: len(large.seen.calls) == CALLERS)
            for caller in callers:
                caller.reset() if resets else caller.leave()
            assert eventually(lambda: not large.seen.open_connections)
        large.releases()
        assert call(sidecar, BROKEN).said == "200"

    assert _failures(sidecar) == 0
    bystander.assert_undisturbed()


@contextlib.contextmanager
def _stalled(sidecar: Sidecar, octets: bytes) -> Iterator[list[Caller]]:
    """Callers that have sent these bytes, and do nothing more by themselves."""
    with contextlib.ExitStack() as stack:
        callers = []
        for _ in range(CALLERS):
            caller = stack.enter_context(sidecar.caller(receive_buffer_bytes=4096))
            caller.send(octets)
            callers.append(caller)
        yield callers


def _verdicts(sidecar: Sidecar) -> set[str]:
    return {endpoint.status for endpoint in state_of(sidecar).endpoints}


def _failures(sidecar: Sidecar) -> int:
    """What is held against any server or endpoint."""
    servers = servers_of(sidecar)
    assert not any(endpoint.ejected for each in servers for endpoint in each.endpoints)
    return sum(each.circuit.total_failures + each.circuit.failure_count for each in servers)
