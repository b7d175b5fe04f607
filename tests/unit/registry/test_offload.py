"""Facts about loading in another process."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.config.settings import Settings
from proxy.registry import offload
from proxy.registry.load import LoadRules, RegistryRejectedError, load_file
from proxy.registry.offload import load_elsewhere

RULES = LoadRules.of(Settings())


def registry(tmp_path: Path, text: str) -> str:
    path = tmp_path / "registry.yaml"
    path.write_text(text)
    return str(path)


def many_tools(count: int) -> str:
    tools = "".join(f"    - {{name: t{n}, description: does this}}\n" for n in range(count))
    return f"servers:\n  - namespace: a\n    name: a\n    port: 1\n    tools:\n{tools}"


def child_running(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(offload, "_command", lambda: (sys.executable, "-c", program))


async def test_what_is_loaded_elsewhere_is_what_is_loaded_here(tmp_path: Path) -> None:
    bad = "  - {namespace: b, name: b}\n  - {namespace: c, name: c, port: '3'}\n"
    path = registry(tmp_path, many_tools(120) + bad)

    assert await load_elsewhere(path, RULES) == load_file(path, RULES, os.environ)


async def test_rules_go_along(tmp_path: Path) -> None:
    path = registry(tmp_path, "servers: [{namespace: a, name: a, port: x}]")

    with pytest.raises(RegistryRejectedError, match=r"servers\[0\].port: expected a number"):
        await load_elsewhere(path, replace(RULES, strict=True))


async def test_file_that_cannot_be_read_is_a_finding() -> None:
    with pytest.raises(RegistryRejectedError, match="No such file"):
        await load_elsewhere("/nowhere/registry.yaml", RULES)


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

    with pytest.raises(RegistryRejectedError) as caught:
        await load_elsewhere("/etc/registry.yaml", RULES)

    (finding,) = caught.value.findings
    assert (finding.code, why in str(finding)) == ("UNREADABLE", True)


async def test_child_is_gone_once_nobody_waits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    note = tmp_path / "pid"
    hang = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    child_running(monkeypatch, hang)

    loading = asyncio.get_running_loop().create_task(load_elsewhere("x", RULES))
    async with asyncio.timeout(20):
        while not (note.exists() and note.read_text()):  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.005)
    loading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loading

    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


async def test_loop_is_not_held_up_by_2000_tools(tmp_path: Path) -> None:
    path = registry(tmp_path, many_tools(2000))
    clock = asyncio.get_running_loop().time
    longest_s, before = 0.0, clock()

    async with asyncio.TaskGroup() as group:
        loading = group.create_task(load_elsewhere(path, RULES))
        while not loading.done():
            await asyncio.sleep(0.001)
            longest_s, before = max(longest_s, clock() - before), clock()

    # 20 ms is the contract; ten times that is for a busy machine that runs tests.
    assert (len(loading.result().servers[0].tools), longest_s < 0.2) == (2000, True)
