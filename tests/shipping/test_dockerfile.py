"""The Dockerfile as it is written: what a linter says, and what an engine would be told."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from proxy.config.settings import Settings
from tests.shipping.dockerfile import DOCKERFILE, health_check, said, stages
from tests.support.ports import refusing_port
from tests.support.sidecar import ROOT, environment
from tests.support.starters import StartOrigin, StartSidecar

HADOLINT = Path(sysconfig.get_path("scripts"), "hadolint")


def test_linter_finds_nothing() -> None:
    done = subprocess.run(  # noqa: S603 - built of constants
        [HADOLINT, DOCKERFILE], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_second_stage_takes_only_what_the_first_has_installed() -> None:
    first, last = stages()

    assert first[0].argument.endswith("-slim AS build")
    assert last[0].argument == first[0].argument.removesuffix(" AS build")
    assert said(last, "COPY").argument == "--from=build /opt/toolproxy /opt/toolproxy"
    assert {each.word for each in last}.isdisjoint({"RUN", "ADD", "VOLUME"})


def test_user_is_a_number_other_than_0() -> None:
    user, group = said(stages()[-1], "USER").argument.split(":")

    assert (int(user) > 0, int(group) > 0) == (True, True)


def test_command_is_process_1_and_told_by_term() -> None:
    last = stages()[-1]

    command = [said(last, word).words for word in ("ENTRYPOINT", "CMD")]  # no shell in between
    assert (command, said(last, "STOPSIGNAL").argument) == ([["toolproxy"], ["run"]], "SIGTERM")


def test_port_and_registry_are_the_default_ones() -> None:
    last, settings = stages()[-1], Settings()

    assert said(last, "EXPOSE").argument == str(settings.listen[0]).rpartition(":")[2]
    assert Path(settings.registry.path).is_relative_to(said(last, "WORKDIR").argument)


def test_what_is_copied_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    copied = [each.argument.split()[:-1] for each in stages()[0] if each.word == "COPY"]

    assert {source for sources in copied for source in sources} == kept
    assert all((ROOT / source).exists() for source in kept)


@pytest.mark.sockets
def test_health_check_of_a_running_sidecar_is_0(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar({"namespace": "o", "name": "o", "endpoints": [start_origin().url]})

    assert _checked(sidecar.port) == 0


@pytest.mark.sockets
def test_health_check_of_no_sidecar_is_1() -> None:
    with refusing_port() as port:
        assert _checked(port) == 1


@pytest.mark.sockets
def test_health_check_goes_past_a_proxy_of_the_environment(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar({"namespace": "o", "name": "o", "endpoints": [start_origin().url]})
    with refusing_port() as port:
        assert _checked(sidecar.port, http_proxy=f"http://127.0.0.1:{port}") == 0


def _checked(port: int, **around: str) -> int:
    python, *arguments = health_check()
    assert python == "python"
    done = subprocess.run(  # noqa: S603 - what the Dockerfile says
        [sys.executable, *arguments],
        env=environment({"PORT": str(port), **around}),
        capture_output=True,
        check=False,
    )
    return done.returncode
