"""Facts about the registrar: when it looks, what it takes up, and what it says of what it does not.

Signatures are in `test_registrar_signatures`, breaking changes in `test_registrar_policy`, and
what is kept in `test_registrar_store`.
"""

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.artifact import identity
from proxy.generations import telling
from proxy.generations.file_source import FileSource
from proxy.generations.offload import NotLoadedError, read_elsewhere
from proxy.generations.reading import Candidate, Job
from proxy.registry.snapshot import LiveTool
from tests.support.generations_scene import Document, Scene, document, of_tools
from tests.support.sidecar import server

ONE, TWO = of_tools("t"), of_tools("t", "u")


def tools_alive() -> set[int]:
    return {id(each) for each in gc.get_objects() if type(each) is LiveTool}


# --- another look ---


async def test_text_that_did_not_change_is_not_read_again(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    before = registrar.live.current

    scene.written.says(ONE)
    await registrar.refresh()

    assert (scene.reads, registrar.live.current is before) == (0, True)


async def test_new_text_takes_the_old_ones_place(scene: Scene) -> None:
    registrar = await scene.running(ONE)

    scene.written.says(TWO)
    await registrar.refresh()

    assert (repr(registrar.live.current), dict(registrar.reloads), repr(registrar)) == (
        "<Snapshot 2: 1 servers, 2 tools>",
        {"accepted": 2},
        f"<Registrar {identity(TWO)[:12]} of {scene.source.name}>",
    )


async def test_new_text_is_read_in_another_process(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    registrar._read = read_elsewhere

    scene.written.says(TWO)
    await registrar.refresh()

    assert repr(registrar.live.current) == "<Snapshot 2: 1 servers, 2 tools>"


async def test_forced_look_takes_the_same_text_up_again(scene: Scene) -> None:
    registrar = await scene.running(ONE)

    await registrar.refresh(force=True)

    assert (scene.reads, registrar.live.current.generation) == (1, 2)


async def test_other_layout_of_the_same_is_a_cosmetic_change(scene: Scene) -> None:
    registrar = await scene.running(ONE)

    scene.written.says(b"# a comment\n" + (scene.folder / "registry.yaml").read_bytes())
    await registrar.refresh()

    told = scene.told_of("registry_reloaded")[-1]
    assert (told["change_class"], told["identity"]) == ("cosmetic", identity(ONE))
    assert len(await registrar.archive.history(10)) == 1  # nothing new came into force


async def test_looks_at_once_read_a_new_text_once(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.written.says(TWO)

    await asyncio.gather(*(registrar.refresh() for _ in range(5)))

    assert (scene.reads, registrar.live.current.generation) == (1, 2)


async def test_replaced_tools_are_freed_without_the_collector(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    gc.collect()
    others = tools_alive() - {id(registrar.live.current.tools[b"a.t"])}
    gc.disable()
    try:
        scene.written.says(of_tools("t", port=91))
        await registrar.refresh()
        alive = tools_alive() - others
    finally:
        gc.enable()

    assert alive == {id(registrar.live.current.tools[b"a.t"])}


# --- a text that is bad ---


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


BAD: dict[str, Callable[[Path], object]] = {
    "broken": lambda file: file.write_text("servers: ["),
    "no-registry": lambda file: file.write_text("hello"),
    "gone": lambda file: file.unlink(),
    "folder": a_folder,
}
each_bad = pytest.mark.parametrize("spoil", BAD.values(), ids=BAD)


@pytest.fixture
def file(scene: Scene) -> Path:
    """The registry's, and that of a source as it is in a sidecar."""
    path = scene.folder / "registry.yaml"
    scene.written.says(ONE)
    scene.source = FileSource(str(path), 60.0)
    return path


@each_bad
async def test_bad_text_keeps_the_running_one_and_says_why(
    scene: Scene, file: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], object]
) -> None:
    registrar = await scene.started()
    before = registrar.live.current, registrar.running

    spoil(file)
    await registrar.refresh()

    assert (registrar.live.current, registrar.running) == before
    assert registrar.problem
    assert f"generation 1 stays: {registrar.problem}" in caplog.text


@each_bad
async def test_bad_text_is_rejected_once(
    scene: Scene, file: Path, spoil: Callable[[Path], object]
) -> None:
    registrar = await scene.started()
    spoil(file)

    for _ in range(3):
        await registrar.refresh()

    assert (scene.reads, registrar.reloads["rejected"]) == (1, 1)
    assert len(scene.told_of("registry_rejected")) == 1


async def test_forced_look_at_a_bad_text_rejects_it_again(scene: Scene, file: Path) -> None:
    registrar = await scene.started()
    BAD["gone"](file)
    await registrar.refresh()

    await registrar.refresh(force=True)

    assert (registrar.reloads["rejected"], bool(registrar.problem)) == (2, True)


each_good = pytest.mark.parametrize("text", [ONE, TWO], ids=["the-running-one", "another"])


@each_good
async def test_good_text_after_a_bad_one_ends_the_problem(scene: Scene, text: Document) -> None:
    registrar = await scene.running(ONE)
    scene.written.has_nothing()
    await registrar.refresh()

    scene.written.says(text)
    await registrar.refresh()

    assert (registrar.problem, registrar.live.current.generation) == ("", 2)
    assert registrar.newest.status == "up-to-date"


@each_good
async def test_reader_that_fails_is_asked_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, text: Document
) -> None:
    async def fails(job: Job, _: int | None) -> Candidate:
        raise NotLoadedError(job.name, "ended early")

    registrar = await scene.running(ONE)
    scene.written.says(text)
    with monkeypatch.context() as patch:
        patch.setattr(registrar, "_read", fails)
        await registrar.refresh(force=True)
    assert "ended early" in registrar.problem

    await registrar.refresh()

    assert (registrar.problem, registrar.running.identity) == ("", identity(text))


async def test_quarantined_server_is_no_problem_of_the_text(scene: Scene) -> None:
    registrar = await scene.running(ONE)

    broken = server("a", "http://10.0.0.1:99999999")
    scene.written.says(document(broken, server("b", "http://10.0.0.2")))
    await registrar.refresh()

    counts = scene.told_of("registry_reloaded")[-1]["counts"]
    assert (registrar.problem, counts) == ("", {"servers": 2, "tools": 2, "quarantined": 1})


# --- a source that is away ---


async def test_source_that_is_away_changes_nothing(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    registrar = await scene.running(ONE)
    scene.written.away = "cannot read it: nobody is there"

    for _ in range(3):
        await registrar.refresh()

    assert (registrar.problem, registrar.live.current.generation) == (scene.written.away, 1)
    assert caplog.text.count("nobody is there") == 1  # said once
    assert scene.told_of("registry_rejected") == []


async def test_source_that_is_back_is_no_problem_any_more(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.written.away = "nobody is there"
    await registrar.refresh()

    scene.written.away = ""
    await registrar.refresh()

    assert (registrar.problem, registrar.live.current.generation) == ("", 1)


async def test_what_was_rejected_is_still_said_when_the_source_is_back(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.written.says(b"servers: [")
    await registrar.refresh()
    why = registrar.problem

    scene.written.away = "nobody is there"
    await registrar.refresh()
    scene.written.away = ""
    await registrar.refresh()

    assert (registrar.problem, "not YAML" in why) == (why, True)


async def test_forced_look_that_found_nobody_is_made_up_for(scene: Scene) -> None:
    """Rules that are new hold for the text that was there all the time."""
    registrar = await scene.running(document(server("a", "http://10.0.0.1", odd=1)))
    scene.written.away = "nobody is there"
    registrar.live.rules = replace(registrar.live.rules, strict=True)
    await registrar.refresh(force=True)

    scene.written.away = ""
    await registrar.refresh()

    assert "unknown key" in registrar.problem


# --- what is told ---


async def test_what_is_taken_up_is_told_with_its_facts(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.told.clear()

    scene.written.says(TWO)
    await registrar.refresh()

    (facts,) = scene.told_of("registry_reloaded")
    assert facts == {
        "generation": 2,
        "identity": identity(TWO),
        "change_class": "compatible",
        "reason": "source",
        "version": None,
        "signed_by": None,
        "counts": {"servers": 1, "tools": 2, "quarantined": 0},
        "problems": [],
    }


async def test_what_is_rejected_is_told_with_its_facts(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.told.clear()

    scene.written.says(b"servers: 5\nfoo: 1")
    await registrar.refresh()

    why = "registry.yaml:1: servers: expected a list, got a number"
    assert scene.told == [
        (
            "registry_rejected",
            {
                "status": "failure",
                "generation": 1,
                "identity": None,
                "change_class": None,
                "problems": [why],
                "codes": ["BAD_TYPE"],
                "error_code": "registry_rejected",
                "error_message": why,
            },
        )
    ]


async def test_of_many_problems_the_first_ones_are_told(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_MOST_TOLD", 3)
    registrar = await scene.running(ONE)

    scene.written.says(document(*(server("a", "http://10.0.0.1", odd=n) for n in range(9))))
    await registrar.refresh()
    registrar.live.rules = replace(registrar.live.rules, strict=True)
    await registrar.refresh(force=True)

    told = [facts["problems"] for _, facts in scene.told if facts.get("problems")]
    assert [len(each) for each in told] == [3, 3]
