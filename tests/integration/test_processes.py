"""Several processes are one sidecar: who dies is replaced, who is told to stop has finished."""

import os
import re
import signal
import socket

import pytest

from tests.support import families
from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.scripts import holds
from tests.support.sidecar import NEVER_OPENS, STOP_WITHIN_S, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.steady_calls import steadily_called
from tests.support.waiting import eventually

TOGETHER = {"office", "worker 1", "worker 2"}
BACK_WITHIN_S = 10.0  # promised: 1 s


def family(sidecar: Sidecar) -> dict[str, int]:
    """Its processes, by what they are for."""
    named = families.children(sidecar.pid)
    return {name.removeprefix("proxy "): pid for name, pid in named.items() if "proxy" in name}


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    """One of three processes below a master."""
    return start_sidecar(
        server("o", start_origin().url, circuit=NEVER_OPENS), settings={"workers": 2}
    )


def comes_back(sidecar: Sidecar, role: str, before: int) -> bool:
    return eventually(lambda: family(sidecar).get(role, before) != before, within_s=BACK_WITHIN_S)


def test_killed_worker_takes_its_own_calls_alone_and_is_back_soon(sidecar: Sidecar) -> None:
    before = family(sidecar)
    assert set(before) == TOGETHER

    with steadily_called(sidecar.port, "/tools/o.call") as calls:
        for role in ("worker 1", "worker 2"):
            assert calls.go_on()
            families.kill(before[role])
            assert comes_back(sidecar, role, before[role])
        assert calls.go_on()

    after = family(sidecar)
    assert set(after) == TOGETHER
    assert after["office"] == before["office"]
    assert calls.failed <= 2 * 3, calls.outcomes  # of three callers, each at most once a kill
    assert sidecar.said(r"worker 1 \(pid \d+\) ended with signal 9")


def test_calls_go_on_while_the_office_is_replaced(sidecar: Sidecar) -> None:
    office = family(sidecar)["office"]

    with steadily_called(sidecar.port, "/tools/o.call") as calls:
        assert calls.go_on()
        families.kill(office)
        assert comes_back(sidecar, "office", office)
        assert sidecar.get("/health").status == 200
        assert eventually(lambda: sidecar.get("/health").json()["status"] == "healthy")

    assert set(calls.outcomes) == {"200"}


def test_nobody_outlives_the_master_for_long(sidecar: Sidecar) -> None:
    members = family(sidecar)

    sidecar.signal(signal.SIGKILL)
    sidecar.exit_status()

    assert eventually(lambda: all(families.is_gone(pid) for pid in members.values()))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_signal_to_the_master_ends_all(sidecar: Sidecar, number: signal.Signals) -> None:
    members = family(sidecar)
    with sidecar.caller() as idle:
        idle.send(post("/tools/o.call"))
        idle.answer()

        sidecar.signal(number)

        assert (idle.rest(), sidecar.exit_status(within_s=10)) == (b"", 0)
    assert all(families.is_gone(pid) for pid in members.values())


def test_what_is_wrong_is_said_once_by_all(start_sidecar: StartSidecar) -> None:
    with pytest.raises(AssertionError) as refused:
        start_sidecar("servers: 1", settings={"workers": 2})

    assert str(refused.value).count("expected a list") == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_successor_takes_over_and_nobody_is_refused(
    start_origin: StartOrigin, start_sidecar: StartSidecar, workers: int
) -> None:
    servers = server("o", start_origin().url)
    sidecar = start_sidecar(servers, settings={"workers": workers}, forked=False)
    with steadily_called(sidecar.port, "/tools/o.call") as calls:
        assert calls.go_on()
        sidecar.signal(signal.SIGUSR2)
        assert eventually(lambda: sidecar.ended() == 0, within_s=STOP_WITHIN_S)
        assert calls.go_on()

    begun = re.search(r"Process (\d+) begins", sidecar.stderr)
    assert begun, sidecar.stderr
    os.kill(int(begun[1]), signal.SIGTERM)
    assert eventually(lambda: families.is_gone(int(begun[1])))
    assert set(calls.outcomes) == {"200"}


def test_who_is_started_anew_begins_with_what_was_reloaded(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    def says(word: str) -> dict[str, object]:
        return {"workers": 2, "routes": [{"match": {"exact": "/v"}, "respond": {"body": word}}]}

    sidecar = start_sidecar(server("o", start_origin().url), settings=says("old"))
    sidecar.write_settings(says("new"))
    sidecar.signal(signal.SIGHUP)
    assert eventually(lambda: {sidecar.get("/v").body for _ in range(20)} == {b"new"})

    for role in ("worker 1", "worker 2"):
        before = family(sidecar)[role]
        families.kill(before)
        assert comes_back(sidecar, role, before)

    assert {sidecar.get("/v").body for _ in range(20)} == {b"new"}


def test_nobody_new_is_let_in_during_a_drain(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    sidecar = start_sidecar(server("o", origin.url), settings={"workers": 2})
    with sidecar.caller() as busy:
        busy.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)

        assert eventually(lambda: is_refused(sidecar.port))

        gate.open()
        assert busy.answer().status == 200
    assert sidecar.exit_status() == 0


def is_refused(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return False
    except ConnectionRefusedError:
        return True


def test_new_office_goes_on_with_what_ran_while_the_registry_is_broken(sidecar: Sidecar) -> None:
    office = family(sidecar)["office"]
    sidecar.registry_path.write_text("][")
    assert eventually(lambda: sidecar.said("registry.yaml"))

    families.kill(office)

    assert comes_back(sidecar, "office", office)
    ready = sidecar.get("/readyz").json()
    assert (ready["generation"], "registry.yaml" in str(ready["problem"])) == (1, True)
    assert sidecar.ask(post("/tools/o.call")).status == 200
