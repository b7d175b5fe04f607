"""Names with several addresses, which come and go; and a resolver that fails, or hangs."""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.support.chaos_callers import Load, call
from tests.support.chaos_names import Names
from tests.support.chaos_process import ReservedPort, Upstream
from tests.support.chaos_resolver import FAILS, HANGS
from tests.support.chaos_scene import QUICK
from tests.support.chaos_state import nothing_left_over, state_of
from tests.support.sidecar import Server, Sidecar, registry, server
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

A: Final = "127.0.0.1"
B: Final = "127.0.0.2"
BEFORE: Final = {"grows": [A], "shrinks": [A, B], "fails": [A, B], "hangs": [A], "late": [FAILS]}
AFTER: Final = {"grows": [A, B], "shrinks": [A], "fails": [FAILS], "hangs": [HANGS], "late": [A]}
CALLS: Final = 20
PAUSE_S: Final = 0.005
NOT_DELAYED_S: Final = 1.0
# Names are asked for every 5 s; sooner than that, it is for another reason: a call that failed, and
# then it is half a second after the last time at the latest.
SOON_S: Final = 3.0
STOPS_WITHIN_S: Final = 5.0


class Scene(NamedTuple):
    """After the change: who served, what the names are, and what callers saw of the change."""

    upstreams: dict[str, Upstream]
    sidecar: Sidecar
    loads: dict[str, Load]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Every name has changed, and was asked for since."""
    directory = tmp_path_factory.mktemp("names")
    names = Names(directory, **BEFORE)
    with contextlib.ExitStack() as stack:
        upstreams = stack.enter_context(at_two_addresses(directory))
        port = upstreams[A].port
        servers = registry(*(named(name, port) for name in BEFORE))
        sidecar = Sidecar(directory, servers, extra=names.environment)
        stack.callback(sidecar.close)
        with contextlib.ExitStack() as calling:
            loads = {
                name: calling.enter_context(Load(sidecar, tool(name), callers=2, pause_s=PAUSE_S))
                for name in BEFORE
                if name != "late"
            }
            for load in loads.values():
                load.goes_on(CALLS)
            names.change(**AFTER)
            assert names.are_asked_for(*AFTER)
            for load in loads.values():
                load.goes_on(CALLS)
        yield Scene(upstreams, sidecar, loads)
        names.change(hangs=[A])


@pytest.mark.slow
def test_new_address_takes_traffic(scene: Scene) -> None:
    assert eventually(lambda: call(scene.sidecar, tool("grows")).by == B)
    assert scene.loads["grows"].failures == []


@pytest.mark.slow
def test_removed_address_gets_no_traffic_and_loses_its_connections(scene: Scene) -> None:
    removed = scene.upstreams[B]

    assert eventually(lambda: _connections_for(removed, "shrinks") == 0)
    assert _served(scene.sidecar, "shrinks") == {A: CALLS}
    assert scene.loads["shrinks"].failures == []


@pytest.mark.slow
def test_resolver_that_fails_changes_nothing(scene: Scene) -> None:
    assert _served(scene.sidecar, "fails").keys() == {A, B}
    assert scene.loads["fails"].failures == []


@pytest.mark.slow
def test_resolver_that_hangs_delays_no_call(scene: Scene) -> None:
    with nothing_left_over(scene.sidecar):
        assert _served(scene.sidecar, "hangs") == {A: CALLS}

    assert scene.loads["hangs"].failures == []
    assert max(outcome.took_s for outcome in scene.loads["hangs"].outcomes) < NOT_DELAYED_S


@pytest.mark.slow
def test_name_that_comes_late_is_taken_up(scene: Scene) -> None:
    assert eventually(lambda: call(scene.sidecar, tool("late")).ok)


@pytest.mark.slow
def test_addresses_are_shown_as_endpoints(scene: Scene) -> None:
    port = scene.upstreams[A].port
    both = [f"http://{A}:{port}", f"http://{B}:{port}"]

    assert eventually(lambda: _endpoints(scene.sidecar, "grows") == both)
    assert eventually(lambda: _endpoints(scene.sidecar, "shrinks") == both[:1])


@pytest.mark.slow
def test_name_is_asked_for_again_when_its_address_fails(
    tmp_path: Path, start_sidecar: StartSidecar
) -> None:
    names = Names(tmp_path, moves=[A])
    with at_two_addresses(tmp_path) as upstreams:
        sidecar = start_sidecar(named("moves", upstreams[A].port), extra=names.environment)
        assert eventually(lambda: state_of(sidecar, "moves").status == "healthy")
        assert call(sidecar, tool("moves")).by == A

        asked = names.times_asked("moves")
        names.change(moves=[B])
        upstreams[A].dies()
        said = call(sidecar, tool("moves")).said

        assert eventually(lambda: names.times_asked("moves") > asked, within_s=SOON_S), said
        assert eventually(lambda: call(sidecar, tool("moves")).by == B)


@pytest.mark.slow
def test_resolver_that_hangs_keeps_the_sidecar_neither_from_starting_nor_from_stopping(
    tmp_path: Path, start_sidecar: StartSidecar
) -> None:
    names = Names(tmp_path, hangs=[HANGS])
    sidecar = start_sidecar(named("hangs", 9), extra=names.environment)
    assert names.was_asked_for("hangs")

    began_at = time.monotonic()
    sidecar.signal(signal.SIGINT)

    assert sidecar.exit_status() == 0
    assert time.monotonic() - began_at < STOPS_WITHIN_S


@contextlib.contextmanager
def at_two_addresses(directory: Path) -> Iterator[dict[str, Upstream]]:
    """An upstream at each, at the same port."""
    port = ReservedPort()
    upstreams = {host: Upstream(directory, host, port.number, host) for host in (A, B)}
    try:
        for upstream in upstreams.values():
            upstream.comes_up()
        yield upstreams
    finally:
        for upstream in upstreams.values():
            upstream.close()
        port.give_up()


def named(name: str, port: int) -> Server:
    url = f"http://{name}.test:{port}"
    return server(name, url, tools=[name], health=QUICK, balance="round_robin", slow_start=0)


def tool(name: str) -> str:
    return f"/tools/{name}.{name}"


def _served(sidecar: Sidecar, name: str) -> Counter[str]:
    return Counter(call(sidecar, tool(name)).by for _ in range(CALLS))


def _connections_for(upstream: Upstream, name: str) -> int:
    """How many of its open ones were opened for this name."""
    opened = upstream.seen.open_connections
    return sum(each.requests[0].target == f"/tools/{name}" for each in opened)


def _endpoints(sidecar: Sidecar, name: str) -> list[str]:
    return sorted(endpoint.url for endpoint in state_of(sidecar, name).endpoints)
