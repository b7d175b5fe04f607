"""The first generation of the real command: when it begins, and when it says why it cannot."""

from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.support.messages import get, post
from tests.support.ports import refusing_port
from tests.support.problems import problem_of
from tests.support.sidecar import Sidecar, registry, run_command, server
from tests.support.signing import Signer, beside
from tests.support.starters import StartOrigin, StartSidecar

SIGNER: Final = Signer()
SERVER: Final = server("o", "http://127.0.0.1:9")


def ended(folder: Path, command: str = "run", **keys: object) -> tuple[int, list[str]]:
    """Exit status and what was said of a command with these settings of the registry."""
    own = {"path": str(folder / "registry.yaml"), "store": str(folder / "generations")}
    settings = {"listen": "127.0.0.1:0", "registry": own | keys}
    (folder / "proxy.yaml").write_text(yaml.safe_dump(settings))
    done = run_command(command, "-c", str(folder / "proxy.yaml"))
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.splitlines()


def history(sidecar: Sidecar) -> list[object]:
    found = sidecar.get("/registry/history").json()["activations"]
    assert isinstance(found, list)
    return found


def unwritable(folder: Path) -> str:
    """A file lies in its way: not even an administrator can write there."""
    (folder / "file").write_text("")
    return str(folder / "file" / "store")


@pytest.mark.parametrize("command", ["run", "check"])
def test_signatures_without_a_memory_of_versions_are_unusable(tmp_path: Path, command: str) -> None:
    SIGNER.is_trusted_in(tmp_path / "keys")
    (tmp_path / "registry.yaml").write_text(registry(SERVER))
    signed = SIGNER.signs(yaml.safe_load(registry(SERVER)))
    (tmp_path / "registry.yaml.sig").write_bytes(beside(signed))

    status, said = ended(
        tmp_path,
        command,
        require_signature=True,
        trusted_keys=str(tmp_path / "keys"),
        store=unwritable(tmp_path),
    )

    complaint = [line for line in said if line.startswith("toolproxy: signatures")]
    assert (status, len(complaint)) == (2, 1), said
    assert "min_version" in complaint[0]


@pytest.mark.parametrize("command", ["run", "check"])
def test_text_that_is_not_signed_as_it_must_be_is_unusable(tmp_path: Path, command: str) -> None:
    SIGNER.is_trusted_in(tmp_path / "keys")
    (tmp_path / "registry.yaml").write_text(registry(SERVER))

    status, said = ended(
        tmp_path, command, require_signature=True, trusted_keys=str(tmp_path / "keys")
    )

    assert (status, "it is not signed" in said[-1]) == (2, True), said


@pytest.mark.parametrize("command", ["run", "check"])
def test_local_registry_that_is_missing_is_unusable(tmp_path: Path, command: str) -> None:
    status, said = ended(tmp_path, command)

    assert (status, len(said), "No such file" in said[0]) == (2, 1, True), said


@pytest.mark.parametrize("command", ["run", "check"])
def test_signature_that_cannot_be_read_is_unusable(tmp_path: Path, command: str) -> None:
    SIGNER.is_trusted_in(tmp_path / "keys")
    (tmp_path / "registry.yaml").write_text(registry(SERVER))
    (tmp_path / "registry.yaml.sig").mkdir()

    status, said = ended(
        tmp_path, command, require_signature=True, trusted_keys=str(tmp_path / "keys")
    )

    assert (status, len(said), "registry.yaml.sig" in said[0]) == (2, 1, True), said


def test_registry_from_elsewhere_needs_keys(tmp_path: Path) -> None:
    status, said = ended(tmp_path, url="https://127.0.0.1:9/registry.json")

    assert (status, len(said), "registry.trusted_keys" in said[0]) == (2, 1, True), said


def test_source_elsewhere_that_is_away_leaves_it_unready(start_sidecar: StartSidecar) -> None:
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}/registry.json"
        sidecar = start_sidecar(SERVER, settings={"registry": {"url": url, "insecure": True}})

        answers = [
            sidecar.ask(request)
            for request in (
                get("/readyz"),
                post("/tools/o.call"),
                post("/tools/nonsense"),
                get("/servers/o/x"),
            )
        ]

        assert [(each.status, problem_of(each)["code"]) for each in answers] == [
            (503, "registry_not_loaded")
        ] * 4
        assert sidecar.get("/livez").status == 200


def test_store_that_cannot_be_written_stops_nobody(
    tmp_path: Path, start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    settings = {"registry": {"store": unwritable(tmp_path)}}

    sidecar = start_sidecar(server("o", start_origin().url), settings=settings)

    assert sidecar.ask(post("/tools/o.call")).status == 200
    assert sidecar.said("Generations are not kept: .*move away")
    problem = 'toolproxy_registry_problem{what="store"} 1.0'
    assert problem in sidecar.get("/metrics").body.decode()


def test_restart_adds_nothing_to_the_history(tmp_path: Path, start_sidecar: StartSidecar) -> None:
    first = start_sidecar(SERVER)
    before = history(first)
    first.close()

    again = Sidecar(tmp_path, registry(SERVER))

    try:
        assert (history(again), len(before)) == (before, 1)
    finally:
        again.close()
