"""Facts about reading in another process."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.artifact import Floor
from proxy.generations import offload
from proxy.generations.offload import NotLoadedError, read_elsewhere
from proxy.generations.reading import Job, Trust, read_file
from proxy.generations.source import spool
from proxy.registry.load import RegistryRejectedError
from tests.support.generations_scene import RULES, of_tools
from tests.support.signing import Signer, artifact


def job(path: str) -> Job:
    return Job(path=path, name="registry.yaml", rules=RULES)


def registry(tmp_path: Path, text: str) -> Job:
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    return job(str(path))


def many_tools(count: int) -> str:
    tools = "".join(f"    - {{name: t{n}, description: does this}}\n" for n in range(count))
    return f"servers:\n  - namespace: a\n    name: a\n    port: 1\n    tools:\n{tools}"


def child_running(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(offload, "_command", lambda: (sys.executable, "-c", program))


async def test_what_is_read_elsewhere_is_what_is_read_here(tmp_path: Path) -> None:
    bad = "  - {namespace: b, name: b}\n  - {namespace: c, name: c, port: '3'}\n"
    of_it = registry(tmp_path, many_tools(2000) + bad)

    found = await read_elsewhere(of_it)

    assert found == read_file(of_it, os.environ)
    assert len(found.canonical) > 1  # in pieces


async def test_signature_comes_along(tmp_path: Path) -> None:
    signer, document = Signer(), of_tools("t")
    signer.is_trusted_in(tmp_path / "keys")
    trust = Trust(folder=str(tmp_path / "keys"), required=True, floor=Floor(6))
    signed = signer.signs(document, 7)
    of_it = registry(tmp_path, artifact(document, signed).decode())

    found = await read_elsewhere(replace(of_it, trust=trust))

    assert found.signed == signed


async def test_file_without_a_name_is_read_by_its_handle() -> None:
    with spool() as file:
        file.write(many_tools(3).encode())
        file.flush()

        found = await read_elsewhere(job(f"/dev/fd/{file.fileno()}"), file.fileno())

    assert len(found.loaded.servers[0].tools) == 3


async def test_rules_go_along(tmp_path: Path) -> None:
    of_it = registry(tmp_path, "servers: [{namespace: a, name: a, port: x}]")

    with pytest.raises(RegistryRejectedError, match=r"servers\[0\].port: expected a number"):
        await read_elsewhere(replace(of_it, rules=replace(RULES, strict=True)))


async def test_file_that_cannot_be_read_is_a_finding() -> None:
    with pytest.raises(RegistryRejectedError, match="No such file"):
        await read_elsewhere(job("/nowhere/registry.yaml"))


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("raise SystemExit(3)", "ended early"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended early"),
        ("print('a warning that somebody printed')", "cannot be understood"),
        ("import os; os.write(1, b'\\0\\0\\0\\1\\xc1')", "cannot be understood"),
        ("import os; os.write(1, b'\\0\\0\\0\\x09\\x80')", "ended early"),
    ],
    ids=["exit", "killed", "text", "no-msgpack", "half-a-frame"],
)
async def test_child_that_fails_is_one_clear_finding(
    monkeypatch: pytest.MonkeyPatch, program: str, why: str
) -> None:
    child_running(monkeypatch, program)

    with pytest.raises(NotLoadedError) as caught:
        await read_elsewhere(job("/etc/registry.yaml"))

    (finding,) = caught.value.findings
    assert (finding.code, why in str(finding)) == ("UNREADABLE", True)


async def test_child_that_cannot_be_started_is_one_clear_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(offload, "_command", lambda: ("/nowhere/python",))

    with pytest.raises(NotLoadedError, match="cannot be started: No such file"):
        await read_elsewhere(job("/etc/registry.yaml"))


async def test_child_is_gone_once_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    hang = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    child_running(monkeypatch, hang)

    reading = asyncio.get_running_loop().create_task(read_elsewhere(job("x")))
    async with asyncio.timeout(20):
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_loop_is_not_held_up_by_2000_tools(tmp_path: Path) -> None:
    of_it = registry(tmp_path, many_tools(2000))
    clock = asyncio.get_running_loop().time
    longest_s, before = 0.0, clock()

    async with asyncio.TaskGroup() as group:
        reading = group.create_task(read_elsewhere(of_it))
        while not reading.done():
            await asyncio.sleep(0.001)
            longest_s, before = max(longest_s, clock() - before), clock()

    # 20 ms is the contract; ten times that is for a busy machine that runs tests.
    assert (len(reading.result().loaded.servers[0].tools), longest_s < 0.2) == (2000, True)
