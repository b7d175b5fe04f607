"""What very many calls, aborts, refusals and reloads leave behind: nothing."""

import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import pytest

from tests.support import hardening_load as load
from tests.support.caller import Caller
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_holdings import assert_back, descriptors_of, settled_holdings
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, server
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

KIB: Final = 1 << 10
MIB: Final = 1 << 20
CALLS: Final = 100_000
ABORTS: Final = 10_000
FAILURES: Final = 1_000
RELOADS: Final = 1_000 if os.environ.get("TOOLPROXY_LONG") else 50  # each is a process: 0.1 s
# Garbage in cycles is collected seldom, by design (`sidecar._GC_THRESHOLD`): some MiB may wait for
# it at any moment. One small object left by each call would be 10 MiB, one connection by each
# abort 20.
MOST_GROWN_BYTES: Final = 8 * MIB
MOST_GROWN_BY_FAILURES_BYTES: Final = 16 * MIB
BEHIND: Final = b"x" * 400 * KIB
TRAILERS: Final = message(
    b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked", body=b"0\r\n"
)
SILENCE: Final = post("/tools/o.silence", body=b"x" * 100)
ABORTED: Final = (
    SILENCE,  # at any byte of it, and while its answer is waited for
    SILENCE + SILENCE,
    post("/tools/o.half"),  # in the middle of its answer
    get("/tools"),
    b"no HTTP\r\n\r\n",
)


@pytest.fixture(scope="module")
def upstream(loop_thread: LoopThread) -> Iterator[Server]:
    listening = loop_thread.run(load.answering())
    port = listening.sockets[0].getsockname()[1]
    room = {"max_connections": 1000, "max_requests": 1000}
    url = f"http://127.0.0.1:{port}"
    yield server("o", url, tools=load.TOOLS, limits=room, circuit=NEVER_OPENS)
    listening.close()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_calls_leave_nothing(
    upstream: Server, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    sidecar = start_sidecar(upstream)
    before = settled_holdings(sidecar)
    came = loop_thread.run(load.run(sidecar.port, CALLS // 10), timeout_s=60)
    resident_bytes = sidecar.resident_bytes()

    with Bystander(sidecar) as bystander:
        came += loop_thread.run(load.run(sidecar.port, CALLS), timeout_s=240)

    assert came == Counter({b"as expected": CALLS + CALLS // 10})
    assert _grown_bytes(sidecar, resident_bytes) < MOST_GROWN_BYTES
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
def test_aborts_leave_nothing(upstream: Server, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(upstream)
    before = settled_holdings(sidecar)
    _abort(sidecar, ABORTS // 10)
    resident_bytes = sidecar.resident_bytes()

    with Bystander(sidecar) as bystander:
        _abort(sidecar, ABORTS)

    assert _grown_bytes(sidecar, resident_bytes) < MOST_GROWN_BYTES
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
@pytest.mark.parametrize(
    "request_octets",
    [
        pytest.param(b"GET /" + BEHIND, id="line-without-end"),
        pytest.param(TRAILERS + b"no trailer\r\n" + BEHIND, id="bad-trailers"),
        pytest.param(post("/tools/o.garbage", b"Connection: close"), id="bad-answer"),
    ],
)
def test_what_was_refused_is_not_held(
    upstream: Server, start_sidecar: StartSidecar, request_octets: bytes
) -> None:
    """A refusal that keeps what it refused is paid for in memory, by us."""
    sidecar = start_sidecar(upstream)
    before = settled_holdings(sidecar)
    for _ in range(FAILURES // 10):
        sidecar.verdicts(request_octets)
    resident_bytes = sidecar.resident_bytes()

    with Bystander(sidecar) as bystander:
        for _ in range(FAILURES):
            sidecar.verdicts(request_octets)

    assert _grown_bytes(sidecar, resident_bytes) < MOST_GROWN_BY_FAILURES_BYTES
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_reloads_leave_nothing(upstream: Server, start_sidecar: StartSidecar) -> None:
    """Each with a process of its own; what changes with the text is in `test_leaks_inside`."""
    sidecar = start_sidecar(upstream)
    before = settled_holdings(sidecar)
    _reload(sidecar, RELOADS // 10)
    resident_bytes = sidecar.resident_bytes()

    with Bystander(sidecar) as bystander:
        _reload(sidecar, RELOADS)

    # Now, and not once the garbage collector has come by: it comes seldom.
    assert descriptors_of(sidecar) - before.descriptors < RELOADS / 10
    assert _grown_bytes(sidecar, resident_bytes) < MOST_GROWN_BYTES
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


def _abort(sidecar: Sidecar, times: int) -> None:
    """Requests that are sent in part or whole, and left; every second one with a reset."""
    for number in range(times):
        octets = ABORTED[number % len(ABORTED)]
        caller = sidecar.caller()
        caller.send(octets[: 1 + number % (2 * len(octets))])
        leave: Callable[[Caller], None] = Caller.leave if number % 2 else Caller.reset
        leave(caller)
        if number % 100 == 0:  # so that no queue of the kernel's is full
            sidecar.get("/livez")


def _reload(sidecar: Sidecar, times: int) -> None:
    for _ in range(times):
        following = f"generation {_generation(sidecar) + 1}:"
        sidecar.signal(signal.SIGHUP)
        assert eventually(partial(sidecar.said, following))


def _generation(sidecar: Sidecar) -> int:
    return int(re.findall(r"Registry generation (\d+):", sidecar.stderr)[-1])


def _grown_bytes(sidecar: Sidecar, before_bytes: int) -> int:
    grown_bytes = sidecar.resident_bytes() - before_bytes
    print(f"{grown_bytes / KIB:.0f} KiB more")  # noqa: T201 - a figure
    return grown_bytes
