"""No descriptor left: who is connected is served, nobody else is blamed, and it is said."""

import re
import resource
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import Caller
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_holdings import cpu_s, settled
from tests.support.hardening_siege import Siege
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.problems import problem_of
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

DESCRIPTORS: Final = 256
CROWD: Final = DESCRIPTORS + 50
CALL: Final = post("/tools/o.call")
SAID: Final = re.compile("descriptor|open files")
MOST_LINES: Final = 10
CALLS: Final = 200


@pytest.fixture
def _few_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sidecar that is started here has few descriptors, and can't ask for more."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))


def without_descriptors(sidecar: Sidecar) -> Siege:
    """Every descriptor in use. They were more at the start, so it could not prepare itself."""
    resource.prlimit(sidecar.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    return Siege(sidecar, CROWD)


def rewrite(path: Path, text: str) -> None:
    path.write_text(text)


def rename_over(path: Path, text: str) -> None:
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


@pytest.mark.slow
def test_calls_on_kept_connections_go_on_at_no_cost(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))

    with Bystander(sidecar, newcomers=False) as bystander:
        assert eventually(lambda: bystander.calls)
        with without_descriptors(sidecar):
            began_at, used_s = time.monotonic(), cpu_s(sidecar)
            _wait_for_calls(bystander)
            busy = (cpu_s(sidecar) - used_s) / (time.monotonic() - began_at)

    print(f"{busy:.0%} of a processor while under siege")  # noqa: T201 - a figure
    assert busy < 0.5
    bystander.assert_undisturbed()
    assert eventually(lambda: _serves(sidecar))


@pytest.mark.slow
@pytest.mark.usefixtures("_few_from_the_start")
def test_exhaustion_is_said_in_few_words(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", "http://127.0.0.1:9"), forked=False)

    with Siege(sidecar, CROWD):
        eventually(lambda: SAID.search(sidecar.stderr))

    assert 1 <= len(SAID.findall(sidecar.stderr)) < MOST_LINES


@pytest.mark.slow
def test_call_that_needs_a_descriptor_more_fails_alone(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url, keepalive={"max_requests": 1}))
    with sidecar.caller() as caller:
        assert _status(caller) == 200
        with without_descriptors(sidecar):
            caller.send(CALL)
            meanwhile = caller.answer()
        assert eventually(lambda: _serves(sidecar))

        assert _status(caller) == 200
    assert meanwhile.status == 200 or (
        meanwhile.status in {502, 503} and problem_of(meanwhile)["retryable"]
    )


@pytest.mark.slow
def test_upstream_is_not_blamed_when_it_can_not_be_asked(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), settings={"health_check_interval": "300ms"})
    with Bystander(sidecar, newcomers=False) as bystander:
        assert eventually(lambda: bystander.calls)
        with without_descriptors(sidecar):
            _wait_for_calls(bystander)

    bystander.assert_undisturbed()


@pytest.mark.slow
@pytest.mark.parametrize("write", [rewrite, rename_over])
def test_registry_is_looked_at_again_when_it_is_over(
    start_origin: StartOrigin, start_sidecar: StartSidecar, write: Callable[[Path, str], object]
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), extra={"POLL_INTERVAL": "200ms"})
    with without_descriptors(sidecar):
        write(sidecar.registry_path, _with_tool("meanwhile", origin))
        eventually(partial(_has_looked, sidecar), within_s=3)
    settled(lambda: sidecar.stderr)
    sidecar.assert_no_traceback()

    write(sidecar.registry_path, _with_tool("later", origin))

    assert eventually(lambda: sidecar.ask(post("/tools/o.later")).status == 200)


@pytest.mark.slow
def test_reload_that_is_asked_for_meanwhile_can_be_asked_for_again(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    with without_descriptors(sidecar):
        sidecar.signal(signal.SIGHUP)
        eventually(partial(_has_looked, sidecar), within_s=3)
    settled(lambda: sidecar.stderr)
    sidecar.assert_no_traceback()

    sidecar.registry_path.write_text(_with_tool("later", origin))
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.ask(post("/tools/o.later")).status == 200)


def _with_tool(name: str, origin: Origin) -> str:
    return registry(server("o", origin.url, tools=["call", name]))


def _wait_for_calls(bystander: Bystander) -> None:
    before = bystander.calls
    assert eventually(lambda: bystander.calls - before >= CALLS)


def _has_looked(sidecar: Sidecar) -> bool:
    """Whether the registry was looked at, in vain (a few times) or not."""
    return sidecar.said("generation 2|A bug") or sidecar.stderr.count("Registry rejected") > 2


def _status(caller: Caller) -> int:
    caller.send(CALL)
    return caller.answer().status


def _serves(sidecar: Sidecar) -> bool:
    """Whether a newcomer is let in and answered."""
    try:
        return sidecar.ask(get("/livez")).status == 200
    except (AssertionError, ConnectionError):
        return False
