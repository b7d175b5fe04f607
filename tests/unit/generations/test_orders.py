"""Facts about orders: back to a generation that is kept, and what holds it there."""

from pathlib import Path
from typing import Any

import pytest

from proxy import errors
from proxy.artifact import identity
from proxy.generations.orders import accept, difference, roll_back, unpin
from proxy.generations.registrar import Registrar
from proxy.generations.severity import ChangeClass
from proxy.registry.load import RegistryRejectedError
from tests.support.generations_scene import Scene, document, of_tools
from tests.support.sidecar import server

ONE, TWO, THREE = of_tools("t"), of_tools("t", "u"), of_tools("t", "u", "v")
A, B, C = identity(ONE), identity(TWO), identity(THREE)
NAMES = {A: "one", B: "two", C: "three", "": ""}


async def after(scene: Scene, *texts: Any, **settings: Any) -> Registrar:
    """A registrar that took up one text after the other."""
    registrar = await scene.running(texts[0], scene.settings(**settings))
    for text in texts[1:]:
        scene.written.says(text)
        await registrar.refresh()
    scene.told.clear()
    return registrar


def state(registrar: Registrar) -> tuple[str, str]:
    """What runs, and what it is pinned against."""
    running = registrar.running
    assert registrar.live.current.identity == running.identity
    return NAMES[running.identity], NAMES[running.pinned_against]


# --- back ---


async def test_rollback_runs_what_is_kept_and_pins_it(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)

    await roll_back(registrar, A[:8])

    (newest, *_) = await registrar.archive.history(10)
    kept = await registrar.archive.active()
    assert state(registrar) == ("one", "two")
    assert (newest.generation, newest.reason, newest.change_class) == (A, "rollback", "breaking")
    assert kept is not None
    assert kept.pinned_against == B


async def test_rollback_is_told(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)

    await roll_back(registrar, A)

    (facts,) = scene.told_of("registry_reloaded")
    assert (facts["identity"], facts["reason"], facts["change_class"]) == (
        A,
        "rollback",
        "breaking",
    )


async def test_look_at_the_same_text_does_not_end_a_pin(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    await registrar.refresh()
    await registrar.refresh(force=True)
    scene.written.says(b"# new layout\n" + (scene.folder / "registry.yaml").read_bytes())
    await registrar.refresh()

    assert (state(registrar), registrar.problem) == (("one", "two"), "")


async def test_pin_outlives_a_restart(scene: Scene) -> None:
    await roll_back(await after(scene, ONE, TWO), A)

    registrar = await scene.started()
    await registrar.refresh(force=True)

    assert state(registrar) == ("one", "two")


async def test_another_text_ends_the_pin(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    scene.written.says(THREE)
    await registrar.refresh()

    assert state(registrar) == ("three", "")


async def test_source_that_goes_back_too_ends_the_pin(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    scene.written.says(ONE)
    await registrar.refresh()

    assert state(registrar) == ("one", "")


async def test_another_text_that_is_bad_leaves_the_pin(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    scene.written.says(b"servers: [")
    await registrar.refresh()
    scene.written.says(TWO)
    await registrar.refresh()

    assert state(registrar) == ("one", "two")


async def test_rollback_to_what_the_source_has_is_no_pin(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    await roll_back(registrar, B)

    assert (state(registrar), registrar.newest.status) == (("two", ""), "up-to-date")


async def test_second_rollback_is_pinned_against_what_the_source_has(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO, THREE)
    await roll_back(registrar, B)

    await roll_back(registrar, A)

    assert state(registrar) == ("one", "three")


async def test_second_rollback_stays_pinned_after_a_bad_text(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO, THREE)
    await roll_back(registrar, B)
    scene.written.says(b"servers: [")
    await registrar.refresh()

    await roll_back(registrar, A)
    scene.written.says(THREE)
    await registrar.refresh()

    assert state(registrar) == ("one", "three")


@pytest.mark.parametrize("again", [A, B], ids=["further-back", "to-what-runs"])
async def test_second_rollback_stays_pinned_while_the_source_is_away(
    tmp_path: Path, again: str
) -> None:
    scene = Scene(tmp_path, remote=True)
    await roll_back(await after(scene, ONE, TWO, THREE), B)
    scene.written.away = "nobody is there"
    registrar = await scene.started()

    await roll_back(registrar, again)
    scene.written.away = ""
    await registrar.refresh()

    scene.close()
    assert state(registrar) == (NAMES[again], "three")


@pytest.mark.parametrize(
    ("newest", "status"),
    [
        (TWO, "outdated"),
        (document(*ONE["servers"], server("b", "http://10.0.0.2")), "diverged"),  # type: ignore[misc]  # it is a list
    ],
    ids=["with-another-tool", "without-a-server"],
)
async def test_status_says_how_the_source_stands_to_what_was_gone_back_to(
    scene: Scene, newest: dict[str, object], status: str
) -> None:
    texts = (ONE, newest) if status == "outdated" else (newest, ONE)
    registrar = await after(scene, *texts)

    await roll_back(registrar, identity(texts[0]))

    assert registrar.newest.status == status


@pytest.mark.parametrize("prefix", ["", "ab", "0" * 64, "x" * 8, f"{A}0", "../../../x"])
async def test_rollback_to_what_is_not_kept_changes_nothing(scene: Scene, prefix: str) -> None:
    registrar = await after(scene, ONE, TWO)

    with pytest.raises(errors.GenerationNotFoundError):
        await roll_back(registrar, prefix)

    assert (state(registrar), scene.told) == (("two", ""), [])


async def test_rollback_without_a_store_says_so(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO, store="")

    with pytest.raises(errors.StoreUnavailableError, match=r"registry\.store"):
        await roll_back(registrar, A)

    assert state(registrar) == ("two", "")


async def test_rollback_to_a_corrupt_generation_changes_nothing(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    path = scene.folder / "store" / "objects" / A[:2] / f"{A[2:]}.json"
    path.write_bytes(path.read_bytes().replace(b"http", b"htt_"))

    with pytest.raises(errors.StoreUnavailableError, match="corrupt"):
        await roll_back(registrar, A)

    assert state(registrar) == ("two", "")


async def test_rollback_does_not_hide_that_the_source_is_bad(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    scene.written.says(b"servers: [")
    await registrar.refresh()

    await roll_back(registrar, A)

    assert (state(registrar), registrar.newest.status) == (("one", "two"), "unknown")
    assert "not YAML" in registrar.problem


# --- unpinned ---


async def test_unpinned_takes_up_what_the_source_says(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)

    await unpin(registrar)

    assert state(registrar) == ("two", "")


async def test_unpinned_while_the_source_is_away_waits_for_it(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)
    scene.written.away = "nobody is there"

    await unpin(registrar)
    assert state(registrar) == ("one", "")
    scene.written.away = ""
    await registrar.refresh(force=True)

    assert state(registrar) == ("two", "")


async def test_unpinned_while_the_source_is_away_is_live_at_the_next_look(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)
    scene.written.away = "nobody is there"
    await unpin(registrar)

    scene.written.away = ""
    await registrar.refresh()

    assert state(registrar) == ("two", "")


async def test_unpinned_stays_so_after_a_restart(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)
    await roll_back(registrar, A)
    scene.written.away = "nobody is there"
    await unpin(registrar)

    scene.written.away = ""
    again = await scene.started()

    assert state(again) == ("two", "")


async def test_nothing_to_unpin_is_a_conflict(scene: Scene) -> None:
    registrar = await after(scene, ONE, TWO)

    with pytest.raises(errors.RegistryConflictError, match="Nothing is pinned"):
        await unpin(registrar)


# --- accepted ---


@pytest.mark.parametrize("digits", [64, 12, 8])
async def test_accepted_takes_up_what_is_held(scene: Scene, digits: int) -> None:
    registrar = await after(scene, TWO, ONE, on_breaking="hold")
    assert state(registrar) == ("two", "")

    await accept(registrar, A[:digits])

    (newest, *_) = await registrar.archive.history(10)
    assert (state(registrar), registrar.problem, registrar.held) == (("one", ""), "", None)
    assert (newest.generation, newest.reason, newest.change_class) == (A, "accept", "breaking")
    assert registrar.newest.status == "up-to-date"


@pytest.mark.parametrize("generation", ["", B, "0" * 64, A[1:], f"{A}0", A[:7]])
async def test_only_what_is_held_is_accepted(scene: Scene, generation: str) -> None:
    registrar = await after(scene, TWO, ONE, on_breaking="hold")

    with pytest.raises(errors.RegistryConflictError, match=A):
        await accept(registrar, generation)

    assert (state(registrar), registrar.held is None) == (("two", ""), False)


async def test_nothing_held_is_a_conflict(scene: Scene) -> None:
    registrar = await after(scene, ONE, on_breaking="hold")

    with pytest.raises(errors.RegistryConflictError, match="No generation is held"):
        await accept(registrar, A)


# --- what would change ---


async def test_difference_changes_nothing(scene: Scene) -> None:
    registrar = await after(scene, ONE)

    text = (scene.folder / "registry.yaml").read_bytes().replace(b'"t"', b'"u"')
    candidate, comparison = await difference(registrar, text)

    assert (candidate.loaded.findings, comparison.change_class) == ((), ChangeClass.BREAKING)
    assert (state(registrar), scene.told, registrar.held) == (("one", ""), [], None)


async def test_difference_of_what_is_no_registry_says_why(scene: Scene) -> None:
    registrar = await after(scene, ONE)

    with pytest.raises(RegistryRejectedError, match="candidate:1: servers: expected a list"):
        await difference(registrar, b"servers: 5")
