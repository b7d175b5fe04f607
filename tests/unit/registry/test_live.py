"""Facts about the registry that runs: what the next table takes up, what it leaves, who is told."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from proxy.config.settings import Settings
from proxy.registry import live
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry, let_go
from proxy.registry.load import Loaded, LoadRules, load
from proxy.registry.snapshot import Snapshot

A = "- {namespace: a, name: host-a, port: 81, tools: [{name: t}]}\n"
B = "- {namespace: b, name: host-b, port: 82, tools: [{name: t}]}\n"
BROKEN_A = A.replace("81", "none")
NEEDY = (
    "- {namespace: a, name: n, port: 1, tools: [{name: t}], inject_headers: {x-key: '${file:key}'},"
    " upstream_dependencies: {credentials_required: [KEY, key]}}\n"
)


class Registry(LiveRegistry):
    """A registry with secrets in a folder of the test's own; `heard` is what its listeners were."""

    def __init__(self, folder: Path) -> None:
        self.environ: dict[str, str] = {}
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.heard: list[tuple[int, list[str]]] = []
        rules = replace(LoadRules.of(Settings()), secrets_dir=str(folder))
        super().__init__(rules, self.environ, lambda kind, facts: self.told.append((kind, facts)))
        self.listen(self._hear)

    def read(self, *servers: str) -> Loaded:
        text = "servers:\n" + "".join(servers)
        return load(text.encode(), "registry.yaml", self.rules, self.environ)

    def starts_with(self, *servers: str) -> None:
        self.take_first(self.read(*servers))

    async def goes_on_with(self, *servers: str) -> None:
        await self.take_up(self.read(*servers))

    def _hear(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        self.heard.append((snapshot.generation, [each.address.url for each in removed]))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path)


# --- one after the other ---


def test_nothing_is_in_force_before_the_first(registry: Registry) -> None:
    assert (repr(registry), registry.heard) == (
        "<LiveRegistry <Snapshot 0: 0 servers, 0 tools>>",
        [],
    )


def test_first_is_in_force_at_once(registry: Registry) -> None:
    registry.starts_with(A)

    assert (repr(registry), registry.heard) == (
        "<LiveRegistry <Snapshot 1: 1 servers, 1 tools>>",
        [(1, [])],
    )


async def test_next_takes_the_old_ones_place(registry: Registry) -> None:
    registry.starts_with(A)
    before = registry.current

    await registry.goes_on_with(A, B)

    assert (repr(registry.current), repr(before), registry.current.identity) == (
        "<Snapshot 2: 2 servers, 2 tools>",
        "<Snapshot 1: 1 servers, 1 tools>",
        registry.read(A, B).identity,
    )


async def test_old_table_is_whole_while_the_new_one_is_built(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_SLICE_S", -1.0)
    registry.starts_with(A)
    next_one = registry.read(*(A.replace("namespace: a", f"namespace: a{n}") for n in range(5)))
    seen = set()

    async with asyncio.TaskGroup() as group:
        taking = group.create_task(registry.take_up(next_one))
        while not taking.done():
            seen.add(repr(registry.current))
            await asyncio.sleep(0)

    seen.add(repr(registry.current))
    assert seen == {"<Snapshot 1: 1 servers, 1 tools>", "<Snapshot 2: 5 servers, 5 tools>"}


async def test_what_fades_is_let_go_by_and_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_SLICE_S", -1.0)
    fading: list[object] = list(range(20))
    left = []

    async with asyncio.TaskGroup() as group:
        group.create_task(let_go(fading))
        while fading:
            left.append(len(fading))
            await asyncio.sleep(0)

    assert left == list(range(20, 0, -1))


# --- what becomes of servers and endpoints ---


async def test_quarantined_server_keeps_its_last_good_entry_as_stale(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.starts_with(A)
    endpoint = registry.current.servers[b"a"].cluster.endpoints[0]

    await registry.goes_on_with(BROKEN_A, B)

    stale = registry.current.servers[b"a"]
    assert (stale.cluster.endpoints, "port" in stale.stale, set(registry.current.tools)) == (
        (endpoint,),
        True,
        {b"a.t", b"b.t"},
    )
    assert (endpoint.gone, "port" in caplog.text) == (False, True)


async def test_listeners_are_told_of_what_is_gone(registry: Registry) -> None:
    registry.starts_with(A, B)

    await registry.goes_on_with(B.replace("82", "83"))

    assert registry.heard == [(1, []), (2, ["http://host-a:81", "http://host-b:82"])]


async def test_every_listener_sees_the_table_that_is_in_force(registry: Registry) -> None:
    registry.starts_with(A)
    seen = []
    for _ in range(2):
        registry.listen(lambda snapshot, _: seen.append(snapshot is registry.current))

    await registry.goes_on_with(B)

    assert seen == [True, True]


async def test_what_came_and_went_is_told_by_server(registry: Registry) -> None:
    registry.starts_with(A)

    await registry.goes_on_with(B)

    assert sorted((kind, facts["server_name"]) for kind, facts in registry.told) == [
        ("server_registered", "b"),
        ("server_unregistered", "a"),
    ]


async def test_of_many_changes_the_first_ones_are_told(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_MOST_TOLD", 3)
    registry.starts_with(A)

    await registry.goes_on_with(*(B.replace(": b", f": b{n}") for n in range(10)))

    assert len(registry.told) == 3


# --- what a server is resolved against ---


async def test_secrets_are_read_anew_for_each_generation(
    registry: Registry, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("first\n")
    registry.environ["KEY"] = "set"
    registry.starts_with(NEEDY)
    before = registry.current.servers[b"a"]

    (tmp_path / "key").write_text("second\n")
    await registry.goes_on_with(NEEDY)

    after = registry.current.servers[b"a"]
    assert (before.injected, after.injected) == (b"x-key: first\r\n", b"x-key: second\r\n")


def test_secret_that_can_not_be_read_is_left_out_and_named_in_the_log(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.starts_with(NEEDY)

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
    registry: Registry,
    tmp_path: Path,
    environ: dict[str, str],
    files: list[str],
    missing: tuple[str, ...],
) -> None:
    registry.environ.update(environ)
    for name in files:
        (tmp_path / name).write_text("x")

    registry.starts_with(NEEDY)

    assert registry.current.tools[b"a.t"].missing == missing
