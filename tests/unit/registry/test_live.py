"""Facts about the registry that runs: what a reload takes up, what it leaves, who is told."""

import asyncio
import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.config.settings import Settings
from proxy.registry import live
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.load import Loaded, LoadRules, RegistryRejectedError, load_file
from proxy.registry.snapshot import LiveTool, Snapshot

A = "- {namespace: a, name: host-a, port: 81, tools: [{name: t}]}\n"
B = "- {namespace: b, name: host-b, port: 82, tools: [{name: t}]}\n"
BROKEN_A = A.replace("81", "none")
NEEDY = (
    "- {namespace: a, name: n, port: 1, tools: [{name: t}], inject_headers: {x-key: '${file:key}'},"
    " upstream_dependencies: {credentials_required: [KEY, key]}}\n"
)


def tools_alive() -> set[int]:
    return {id(each) for each in gc.get_objects() if type(each) is LiveTool}


class Registry:
    """A registry in a file of a test's own; `loads` counts how often it was read anew."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "registry.yaml"
        self.environ: dict[str, str] = {}
        self.loads = 0
        self.rules = replace(LoadRules.of(Settings()), secrets_dir=str(folder))
        self.told: list[tuple[int, list[str]]] = []

    def says(self, *servers: str) -> None:
        self.file.write_text("servers:\n" + "".join(servers))

    def started(self) -> LiveRegistry:
        registry = LiveRegistry(str(self.file), self.rules, self.environ)
        registry.listen(self._tell)
        registry.load_first()
        return registry

    async def load(self, path: str, rules: LoadRules) -> Loaded:
        self.loads += 1
        return load_file(path, rules, os.environ)

    def _tell(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        self.told.append((snapshot.generation, [each.address.url for each in removed]))


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry(tmp_path)
    registry.says(A)
    monkeypatch.setattr(live, "load_elsewhere", registry.load)  # a process less for each
    return registry


# --- the first load ---


def test_first_text_is_in_force_at_once(text: Registry) -> None:
    registry = text.started()

    assert (repr(registry), registry.problem, dict(registry.reloads)) == (
        "<LiveRegistry <Snapshot 1: 1 servers, 1 tools>>",
        "",
        {"accepted": 1},
    )
    assert text.told == [(1, [])]


@pytest.mark.parametrize("content", [None, "servers: ["], ids=["missing", "broken"])
def test_first_text_that_is_bad_is_refused(text: Registry, content: str | None) -> None:
    text.file.unlink()
    if content is not None:
        text.file.write_text(content)

    with pytest.raises(RegistryRejectedError):
        text.started()


# --- another look ---


async def test_text_that_did_not_change_is_not_read_again(text: Registry) -> None:
    registry = text.started()
    before = registry.current

    text.says(A)
    await registry.refresh()

    assert (text.loads, registry.current is before, len(text.told)) == (0, True, 1)


async def test_new_text_takes_the_old_ones_place(text: Registry) -> None:
    registry = text.started()
    before = registry.current

    text.says(A, B)
    await registry.refresh()

    assert (repr(registry.current), repr(before), registry.reloads["accepted"]) == (
        "<Snapshot 2: 2 servers, 2 tools>",
        "<Snapshot 1: 1 servers, 1 tools>",
        2,
    )


async def test_new_text_is_read_in_another_process(
    text: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    registry = text.started()

    text.says(A, B)
    await registry.refresh()

    assert repr(registry.current) == "<Snapshot 2: 2 servers, 2 tools>"


async def test_forced_look_takes_the_same_text_up_again(text: Registry) -> None:
    registry = text.started()

    await registry.refresh(force=True)

    assert (text.loads, registry.current.generation, text.told) == (1, 2, [(1, []), (2, [])])


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BAD: dict[str, Callable[[Registry], object]] = {
    "broken": lambda text: text.file.write_text("servers: ["),
    "no-registry": lambda text: text.file.write_text("hello"),
    "gone": lambda text: text.file.unlink(),
    "folder": lambda text: a_folder(text.file),
}


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
async def test_bad_text_keeps_the_running_one_and_says_why(
    text: Registry, caplog: pytest.LogCaptureFixture, spoil: Callable[[Registry], object]
) -> None:
    registry = text.started()
    before = registry.current

    spoil(text)
    await registry.refresh()

    assert (registry.current is before, registry.reloads["rejected"], len(text.told)) == (
        True,
        1,
        1,
    )
    assert registry.problem
    assert f"generation 1 stays: {registry.problem}" in caplog.text


@pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)
async def test_bad_text_is_rejected_once(
    text: Registry, spoil: Callable[[Registry], object]
) -> None:
    registry = text.started()
    spoil(text)

    for _ in range(3):
        await registry.refresh()

    assert (text.loads, registry.reloads["rejected"]) == (1, 1)


async def test_forced_look_at_a_bad_text_rejects_it_again(text: Registry) -> None:
    registry = text.started()
    text.file.unlink()
    await registry.refresh()

    await registry.refresh(force=True)

    assert (registry.reloads["rejected"], bool(registry.problem)) == (2, True)


@pytest.mark.parametrize("servers", [(A,), (A, B)], ids=["the-running-one", "another"])
async def test_good_text_after_a_bad_one_ends_the_problem(
    text: Registry, servers: tuple[str, ...]
) -> None:
    registry = text.started()
    text.file.unlink()
    await registry.refresh()

    text.says(*servers)
    await registry.refresh()

    assert (registry.problem, registry.current.generation, len(registry.current.servers)) == (
        "",
        2,
        len(servers),
    )


async def test_looks_at_once_read_a_new_text_once(text: Registry) -> None:
    registry = text.started()
    text.says(A, B)

    await asyncio.gather(*(registry.refresh() for _ in range(5)))

    assert (text.loads, registry.current.generation) == (1, 2)


async def test_old_table_is_whole_while_the_new_one_is_built(
    text: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_SLICE_S", -1.0)
    registry = text.started()
    text.says(*(A.replace("namespace: a", f"namespace: a{n}") for n in range(5)))
    seen = set()

    async with asyncio.TaskGroup() as group:
        refreshing = group.create_task(registry.refresh())
        while not refreshing.done():
            seen.add(repr(registry.current))
            await asyncio.sleep(0)

    seen.add(repr(registry.current))
    assert seen == {"<Snapshot 1: 1 servers, 1 tools>", "<Snapshot 2: 5 servers, 5 tools>"}


async def test_replaced_tools_are_freed_without_the_collector(text: Registry) -> None:
    registry = text.started()
    gc.collect()
    others = tools_alive() - {id(registry.current.tools[b"a.t"])}
    gc.disable()
    try:
        text.says(A.replace("81", "91"))
        await registry.refresh()
        alive = tools_alive() - others
    finally:
        gc.enable()

    assert alive == {id(registry.current.tools[b"a.t"])}


# --- what becomes of servers and endpoints ---


async def test_quarantined_server_keeps_its_last_good_entry_as_stale(
    text: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry = text.started()
    endpoint = registry.current.servers[b"a"].cluster.endpoints[0]

    text.says(BROKEN_A, B)
    await registry.refresh()

    stale = registry.current.servers[b"a"]
    assert (stale.cluster.endpoints, "port" in stale.stale, set(registry.current.tools)) == (
        (endpoint,),
        True,
        {b"a.t", b"b.t"},
    )
    assert (registry.problem, endpoint.gone, "port" in caplog.text) == ("", False, True)


async def test_listeners_are_told_of_what_is_gone(text: Registry) -> None:
    text.says(A, B)
    registry = text.started()

    text.says(B.replace("82", "83"))
    await registry.refresh()

    assert text.told == [(1, []), (2, ["http://host-a:81", "http://host-b:82"])]


async def test_every_listener_sees_the_table_that_is_in_force(text: Registry) -> None:
    registry = text.started()
    seen = []
    for _ in range(2):
        registry.listen(lambda snapshot, _: seen.append(snapshot is registry.current))

    text.says(B)
    await registry.refresh()

    assert seen == [True, True]


# --- what a server is resolved against ---


async def test_secrets_are_read_anew_at_a_forced_look(text: Registry, tmp_path: Path) -> None:
    text.says(NEEDY)
    (tmp_path / "key").write_text("first\n")
    text.environ["KEY"] = "set"
    registry = text.started()
    before = registry.current.servers[b"a"]

    (tmp_path / "key").write_text("second\n")
    await registry.refresh(force=True)

    after = registry.current.servers[b"a"]
    assert (before.injected, after.injected) == (b"x-key: first\r\n", b"x-key: second\r\n")


def test_secret_that_can_not_be_read_is_left_out_and_named_in_the_log(
    text: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    text.says(NEEDY)

    registry = text.started()

    server = registry.current.servers[b"a"]
    assert (server.injected, server.injected_names) == (b"", frozenset({b"x-key"}))
    assert "the secret file" in caplog.text


@pytest.mark.parametrize(
    ("environ", "files", "missing"),
    [
        pytest.param({}, [], ("KEY", "key"), id="none"),
        pytest.param({"KEY": ""}, [], ("KEY", "key"), id="empty-variable"),
        pytest.param({"KEY": "x"}, [], ("key",), id="variable"),
        pytest.param({"KEY": "x"}, ["key"], (), id="variable-and-file"),
    ],
)
def test_credential_is_set_by_a_variable_or_a_file(
    text: Registry,
    tmp_path: Path,
    environ: dict[str, str],
    files: list[str],
    missing: tuple[str, ...],
) -> None:
    text.says(NEEDY)
    text.environ.update(environ)
    for name in files:
        (tmp_path / name).write_text("x")

    registry = text.started()

    assert registry.current.tools[b"a.t"].missing == missing
