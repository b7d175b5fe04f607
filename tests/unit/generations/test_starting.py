"""Facts about the start: what runs first, by what the source says and what ran before."""

from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.artifact import identity
from proxy.config.sections import RegistrySettings
from proxy.generations.archive import Archive
from proxy.generations.orders import roll_back
from proxy.generations.registrar import Registrar
from proxy.generations.source import AwayError
from proxy.generations.starting import UnguardedError, archive_for, look
from proxy.registry.load import RegistryRejectedError
from tests.support.generations_scene import RULES, Scene, of_tools
from tests.support.signing import Signer

OLD, NEW = of_tools("t", "u"), of_tools("t")  # which breaks callers
NAMES: Final = {identity(OLD): "old", identity(NEW): "new", "": "nothing"}
EXIT: Final = "exit"

# What runs after a start, where the source says "good": always that. Else:
#   a source elsewhere stops nobody, a file that is not there always does;
#   a bad file does, unless it must be signed and something that was lies in the store.
GOOD, BAD, AWAY, MISSING = "good", "bad", "away", "missing"
OF_IT, OF_ANOTHER, NONE = "of-it", "of-another", "none"


def wanted(said: str, kept: str, *, remote: bool, required: bool) -> str:
    if said == GOOD:
        return "new"
    copy = "old" if kept == OF_IT else "nothing"
    if remote:
        return copy
    return copy if said == BAD and required and kept == OF_IT else EXIT


ROWS: Final = [
    (said, kept, remote, required)
    for said, kept, remote, required in product(
        (GOOD, BAD, AWAY, MISSING), (OF_IT, OF_ANOTHER, NONE), (False, True), (False, True)
    )
    if not (remote and said == MISSING)  # one that is not there is away
]


def settings_of(scene: Scene, *, required: bool, **keys: Any) -> RegistrySettings:
    return scene.requiring(**keys) if required else scene.settings(**keys)


async def ran_before(scene: Scene, kept: str, settings: RegistrySettings) -> None:
    """Another process, which left something in the store, or nothing."""
    name = scene.written.name
    if kept == OF_ANOTHER:
        scene.written.name = "somewhere-else.yaml"
    if kept != NONE:
        await scene.running(OLD, settings)
    scene.written.name = name


def says(scene: Scene, said: str) -> None:
    match said:
        case "good":
            scene.written.says(NEW, scene.signer.signs(NEW, 2))
        case "bad":
            scene.written.says(b"servers: [")
        case "away":
            scene.written.away = "nobody is there"
        case _:
            scene.written.has_nothing()


def shown(registrar: Registrar) -> str:
    assert registrar.live.current.identity == registrar.running.identity
    return NAMES[registrar.running.identity]


@pytest.mark.parametrize(("said", "kept", "remote", "required"), ROWS)
async def test_start_runs_what_it_should(
    tmp_path: Path, said: str, kept: str, *, remote: bool, required: bool
) -> None:
    scene = Scene(tmp_path, remote=remote)
    settings = settings_of(scene, required=required)
    await ran_before(scene, kept, settings)
    says(scene, said)

    try:
        registrar = await scene.started(settings)
    except (RegistryRejectedError, AwayError):
        runs, problem = EXIT, True
    else:
        runs, problem = shown(registrar), bool(registrar.problem)

    scene.close()
    assert runs == wanted(said, kept, remote=remote, required=required)
    assert problem is (said != GOOD)


# --- what ran before has a say ---


@pytest.mark.parametrize("on_breaking", ["hold", "reject"])
async def test_text_that_breaks_is_withheld_at_a_start_too(scene: Scene, on_breaking: str) -> None:
    settings = scene.settings(on_breaking=on_breaking)
    await ran_before(scene, OF_IT, settings)

    says(scene, GOOD)
    registrar = await scene.started(settings)

    assert (shown(registrar), registrar.held is not None) == ("old", on_breaking == "hold")
    assert "breaks callers" in registrar.problem


@pytest.mark.parametrize("on_breaking", ["accept", "hold", "reject"])
@pytest.mark.parametrize("said", [GOOD, AWAY])
async def test_pin_holds_over_a_start(tmp_path: Path, on_breaking: str, said: str) -> None:
    scene = Scene(tmp_path, remote=True)
    registrar = await scene.running(OLD, scene.settings())
    says(scene, GOOD)
    await registrar.refresh()
    await roll_back(registrar, identity(OLD))

    says(scene, said)
    registrar = await scene.started(scene.settings(on_breaking=on_breaking))

    scene.close()
    assert (shown(registrar), NAMES[registrar.running.pinned_against]) == ("old", "new")


async def test_another_text_ends_a_pin_at_a_start(scene: Scene) -> None:
    registrar = await scene.running(OLD)
    says(scene, GOOD)
    await registrar.refresh()
    await roll_back(registrar, identity(OLD))

    third = of_tools("v")
    scene.written.says(third)
    registrar = await scene.started()

    assert registrar.running[0::3] == (identity(third), "")


async def test_what_ran_before_is_gone_and_the_source_is_there(scene: Scene) -> None:
    settings = scene.settings(on_breaking="hold")
    await ran_before(scene, OF_IT, settings)
    (scene.folder / "store" / "objects").rename(scene.folder / "gone")

    says(scene, GOOD)
    registrar = await scene.started(settings)

    assert shown(registrar) == "new"


async def test_copy_that_nobody_trusts_any_more_does_not_run(tmp_path: Path) -> None:
    scene = Scene(tmp_path, remote=True)
    await ran_before(scene, OF_IT, scene.requiring())
    scene.signer.is_no_longer_trusted_in(scene.keys)
    scene.signer = Signer("next")

    says(scene, AWAY)
    registrar = await scene.started(scene.requiring())

    scene.close()
    assert shown(registrar) == "nothing"


async def test_copy_of_a_key_that_has_expired_runs(tmp_path: Path) -> None:
    scene = Scene(tmp_path, remote=True)
    await ran_before(scene, OF_IT, scene.requiring())
    settings = scene.requiring()
    scene.signer.is_trusted_in(scene.keys, until=1.0)

    says(scene, AWAY)
    registrar = await scene.started(settings)

    scene.close()
    assert shown(registrar) == "old"


async def test_bad_file_with_a_copy_that_nobody_trusts_is_refused(scene: Scene) -> None:
    """There is nothing to run: an operator's own file is better mended first."""
    await ran_before(scene, OF_IT, scene.settings())  # unsigned

    says(scene, BAD)
    with pytest.raises(RegistryRejectedError):
        await scene.started(scene.requiring())


# --- what is written and told ---


async def test_restart_with_the_same_adds_nothing_to_the_history(scene: Scene) -> None:
    await scene.running(OLD)

    await scene.started()
    registrar = await scene.started()

    history = await registrar.archive.history(10)
    assert [(each.generation, each.reason) for each in history] == [(identity(OLD), "start")]


async def test_restart_with_the_copy_adds_nothing_to_the_history(tmp_path: Path) -> None:
    scene = Scene(tmp_path, remote=True)
    await scene.running(OLD)

    says(scene, AWAY)
    registrar = await scene.started()

    history = await registrar.archive.history(10)
    scene.close()
    assert len(history) == 1


@pytest.mark.parametrize("kept", [NONE, OF_ANOTHER])
async def test_first_of_all_is_told_without_a_class(scene: Scene, kept: str) -> None:
    await ran_before(scene, kept, scene.settings())

    says(scene, GOOD)
    await scene.started()

    (facts,) = scene.told_of("registry_reloaded")
    assert (facts["reason"], facts["change_class"], facts["generation"]) == ("start", None, 1)


async def test_same_as_before_is_told_as_cosmetic(scene: Scene) -> None:
    await scene.running(OLD)

    await scene.started()

    (facts,) = scene.told_of("registry_reloaded")
    assert (facts["reason"], facts["change_class"]) == ("start", "cosmetic")


async def test_source_that_comes_back_is_taken_up(tmp_path: Path) -> None:
    scene = Scene(tmp_path, remote=True)
    says(scene, AWAY)
    registrar = await scene.started(scene.settings(on_breaking="reject"))

    scene.written.away = ""
    says(scene, GOOD)
    await registrar.refresh()

    scene.close()
    assert (shown(registrar), registrar.problem) == ("new", "")


# --- what guards against old versions ---


def place(scene: Scene, writable: str) -> str:
    """A store's folder."""
    if writable == "off":
        return ""
    if writable == "no":
        (scene.folder / "file").write_text("")
        return str(scene.folder / "file" / "store")
    return str(scene.folder / "store")


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("least", [0, 3])
@pytest.mark.parametrize("writable", ["yes", "no", "off"])
async def test_signatures_need_somebody_who_remembers_versions(
    scene: Scene, writable: str, least: int, *, required: bool
) -> None:
    store = place(scene, writable)
    settings = settings_of(scene, required=required, store=store, min_version=least)

    try:
        archive = await archive_for(settings)
    except UnguardedError as error:
        refused = str(error)
    else:
        archive.close()
        refused = ""

    unguarded = required and not least and writable != "yes"
    assert bool(refused) is unguarded
    assert (not refused) or ("registry.min_version" in refused and "\n" not in refused)


async def test_store_stays_open_while_its_folder_is_the_same(scene: Scene) -> None:
    before = await archive_for(scene.settings())

    same = await archive_for(scene.settings(strict=True), before)
    other = await archive_for(scene.settings(store=str(scene.folder / "other")), before)

    for each in (before, other):
        each.close()
    assert (same is before, other is before) == (True, False)


async def test_store_that_was_mended_guards_again(scene: Scene) -> None:
    registrar = await scene.running(OLD, scene.settings())
    scene.breaks_the_store()
    await registrar.archive.unpin()
    with pytest.raises(UnguardedError):
        await archive_for(scene.requiring(), registrar.archive)

    scene.mends_the_store()

    assert await archive_for(scene.requiring(), registrar.archive) is registrar.archive


# --- a look without a start ---


async def test_look_says_what_is_there_and_leaves_nothing_behind(scene: Scene) -> None:
    says(scene, GOOD)

    loaded, name = await look(scene.settings(), RULES, {})

    assert (loaded.identity, name) == (identity(NEW), scene.source.name)
    assert not (scene.folder / "store").exists()


async def test_look_at_what_is_not_there_says_so(scene: Scene) -> None:
    with pytest.raises(RegistryRejectedError, match="No such file"):
        await look(scene.settings(), RULES, {})


async def test_look_at_what_is_not_signed_says_so(scene: Scene) -> None:
    scene.written.says(NEW)

    with pytest.raises(RegistryRejectedError, match="not signed"):
        await look(scene.requiring(), RULES, {})


def test_archive_without_a_folder_is_off() -> None:
    archive = Archive("")

    assert (archive.is_writable, archive.problem) == (False, "")
