"""Facts about what a registrar keeps: all that was in force, and nothing waits for a disk."""

import asyncio

import pytest

from proxy.artifact import canonical, identity
from proxy.generations.starting import archive_for
from tests.support.generations_scene import Scene, of_tools

ONE, TWO = of_tools("t"), of_tools("t", "u")


async def test_what_runs_is_kept_with_its_octets(scene: Scene) -> None:
    registrar = await scene.running(ONE)

    scene.written.says(TWO)
    await registrar.refresh()

    history = await registrar.archive.history(10)
    octets, _ = await registrar.archive.read(identity(ONE))
    assert [(each.generation, each.reason, each.change_class) for each in history] == [
        (identity(TWO), "source", "compatible"),
        (identity(ONE), "start", None),
    ]
    assert (octets, registrar.live.current.identity) == (canonical(ONE), identity(TWO))


async def test_swap_comes_before_the_store_and_the_event_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = await scene.running(ONE)
    order: list[str] = []
    activate = registrar.archive.activate

    async def activates(*arguments: object) -> None:
        order.append(f"store, {len(registrar.live.current.tools)} tools in force")
        await activate(*arguments)  # type: ignore[arg-type]  # handed on as they came

    registrar.live.listen(lambda *_: order.append("swap"))
    monkeypatch.setattr(registrar.archive, "activate", activates)
    monkeypatch.setattr(registrar, "_tell", lambda kind, _: order.append(kind))
    scene.written.says(TWO)
    await registrar.refresh()

    assert order == ["swap", "store, 2 tools in force", "registry_reloaded"]


async def test_what_is_in_force_is_kept_and_told_before_the_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = await scene.running(ONE)
    released, scene_told = asyncio.Event(), len(scene.told)

    async def slowly(*_: object) -> None:
        await released.wait()

    monkeypatch.setattr(registrar.archive, "activate", slowly)
    scene.written.says(TWO)
    async with asyncio.TaskGroup() as group:
        group.create_task(registrar.refresh())
        while registrar.live.current.generation == 1:  # noqa: ASYNC110 - the swap tells nobody
            await asyncio.sleep(0)
        ending = group.create_task(registrar.settled())
        await asyncio.sleep(0)
        assert (ending.done(), len(scene.told_of("registry_reloaded"))) == (False, 1)
        released.set()

    assert [kind for kind, _ in scene.told[scene_told:]][-1] == "registry_reloaded"


async def test_store_that_fails_stops_nothing_and_is_said(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    registrar = await scene.running(ONE)

    scene.breaks_the_store()
    for text in (TWO, ONE, TWO):
        scene.written.says(text)
        await registrar.refresh()

    assert (registrar.running.identity, registrar.problem) == (identity(TWO), "")
    assert "move away what lies there" in registrar.archive.problem
    assert caplog.text.count("Generations are not kept") == 1
    assert len(scene.told_of("registry_reloaded")) == 4


async def test_store_that_is_mended_gets_what_runs_at_the_next_look(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    scene.breaks_the_store()
    scene.written.says(TWO)
    await registrar.refresh()

    scene.mends_the_store()
    await registrar.refresh(force=True)

    (kept, *_) = await registrar.archive.history(10)
    assert (kept.generation, registrar.archive.problem) == (identity(TWO), "")


async def test_without_a_store_everything_goes_on(scene: Scene) -> None:
    registrar = await scene.running(ONE, scene.settings(store=""))

    scene.written.says(TWO)
    await registrar.refresh()

    assert (registrar.running.identity, registrar.archive.problem) == (identity(TWO), "")


async def test_another_store_gets_what_runs(scene: Scene) -> None:
    registrar = await scene.running(ONE)
    settings = scene.settings(store=str(scene.folder / "other"))

    registrar.follow(settings, await archive_for(settings, registrar.archive))
    await registrar.refresh(force=True)

    assert [each.generation for each in await registrar.archive.history(9)] == [identity(ONE)]
