"""The image, made by hand: it needs no rights, writes nothing, and drains when told to end."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.shipping.container import Confinement, Container, confined, permitted, unprivileged
from tests.shipping.dockerfile import Image, health_check
from tests.shipping.manifests import sidecar_container
from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.scripts import echo, holds
from tests.support.sidecar import registry, server
from tests.support.starters import StartOrigin
from tests.support.waiting import eventually

pytestmark = [pytest.mark.sockets, pytest.mark.slow, pytest.mark.timeout(900)]

USED_BY_A_RUN = "proxy.__main__, proxy.demo, proxy.generations.offload, uvloop"
USED_BY_A_HEALTH_CHECK = "http.client, os, sys"
COMPILED = re.compile(r"# code object from '?(/.*\.py)'?$", re.MULTILINE)


@pytest.fixture
def confinement(request: pytest.FixtureRequest, image: Image) -> Confinement:
    chosen: Confinement = request.param
    if not permitted(chosen, image):
        pytest.skip("not permitted here, or the interpreter is out of that user's reach")
    return chosen


each_confinement = pytest.mark.parametrize(
    "confinement", [unprivileged, confined], ids=["unprivileged", "confined"], indirect=True
)
only_confined = pytest.mark.parametrize("confinement", [confined], ids=["confined"], indirect=True)


@each_confinement
def test_call_in_flight_is_answered_when_term_comes(
    image: Image,
    confinement: Confinement,
    start_origin: StartOrigin,
    loop_thread: LoopThread,
    tmp_path: Path,
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    with _start(image, origin, confinement, tmp_path) as container, container.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)

        container.terminate()
        assert eventually(lambda: not _accepts(container))
        gate.open()

        assert (caller.answer().status, container.exit_status()) == (200, 0)


@each_confinement
def test_registry_is_reloaded_and_nothing_is_written(
    image: Image, confinement: Confinement, start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin()
    with _start(image, origin, confinement, tmp_path) as container:
        before = _files(image)

        container.write_registry(registry(server("o", origin.url, tools=["call", "more"])))

        assert eventually(lambda: _status(container, "/tools/o.more") == 200)
        assert _files(image) == before


@only_confined
def test_it_is_process_1_without_rights_on_a_read_only_root(
    image: Image, confinement: Confinement, start_origin: StartOrigin, tmp_path: Path
) -> None:
    with _start(image, start_origin(), confinement, tmp_path) as container:
        status, mounts = container.status(), container.mounts()

    rights = [status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")]
    assert status["NSpid"].split()[-1] == "1"
    assert rights == [*["0" * 16] * 4, "1"]
    assert ("ro" in mounts["/"], "ro" in mounts[str(image.root)]) == (True, True)


@only_confined
def test_pre_stop_hook_of_the_manifest_begins_the_drain(
    image: Image, confinement: Confinement, start_origin: StartOrigin, tmp_path: Path
) -> None:
    hook = sidecar_container()["lifecycle"]["preStop"]["exec"]["command"]
    with _start(image, start_origin(), confinement, tmp_path) as container:
        done = container.run_inside(hook)

        assert (done, container.exit_status()) == (0, 0)


@each_confinement
def test_health_check_works_with_what_the_image_has(
    image: Image, confinement: Confinement, start_origin: StartOrigin, tmp_path: Path
) -> None:
    with _start(image, start_origin(), confinement, tmp_path) as container:
        asked = {**image.environment, "PORT": str(container.port)}

        done = subprocess.run(  # noqa: S603 - what the Dockerfile says
            [*confinement(image), *health_check()], env=asked, check=False
        )

    assert done.returncode == 0


def test_no_module_is_compiled_at_a_start(image: Image) -> None:
    """Neither ours nor the standard library's: nothing compiled then could be kept."""
    imported = f"import {USED_BY_A_RUN}, {USED_BY_A_HEALTH_CHECK}"
    done = subprocess.run(  # noqa: S603 - built of constants
        [image.python, "-v", "-c", imported],
        cwd=image.root,
        env=image.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (COMPILED.findall(done.stderr), "uvloop" in done.stderr) == ([], True)


def test_what_only_the_build_needs_is_left_out(image: Image) -> None:
    names = {path.name for path in image.installed.rglob("*")}

    assert names & {"pip", "setuptools", "hatchling", "tests", "conftest.py", "mypy"} == set()
    assert {"proxy", "aiohttp", "toolproxy"} <= names


def _start(image: Image, origin: Origin, confinement: Confinement, folder: Path) -> Container:
    return Container(image, registry(server("o", origin.url)), confinement, folder / "stderr")


def _status(container: Container, target: str) -> int:
    with container.caller() as caller:
        caller.send(post(target))
        return caller.answer().status


def _accepts(container: Container) -> bool:
    try:
        with container.caller():
            return True
    except ConnectionError:
        return False


def _files(image: Image) -> dict[Path, tuple[int, int]]:
    """Everything that was installed, with size and time of change."""
    found = ((path, path.lstat()) for path in image.installed.rglob("*"))
    return {path: (is_now.st_size, is_now.st_mtime_ns) for path, is_now in found}
