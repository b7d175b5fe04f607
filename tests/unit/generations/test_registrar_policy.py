"""Facts about what breaks callers: taken up, refused or held, as the settings say."""

import asyncio

import pytest

from proxy.artifact import canonical, identity
from proxy.generations.orders import accept, roll_back
from proxy.generations.reading import Candidate, Job, read_file
from proxy.generations.registrar import Registrar
from tests.support.generations_scene import Document, Scene, document, of_tools
from tests.support.sidecar import server

MANY, FEW, MORE = of_tools("t", "u"), of_tools("t"), of_tools("t", "u", "v")


async def offered(scene: Scene, on_breaking: str, *, text: Document = FEW) -> Registrar:
    """A registrar that runs MANY, and looked at another text."""
    registrar = await scene.running(MANY, scene.settings(on_breaking=on_breaking))
    scene.told.clear()
    scene.written.says(text)
    await registrar.refresh()
    return registrar


async def test_what_breaks_is_taken_up_where_it_may(scene: Scene) -> None:
    registrar = await offered(scene, "accept")

    (facts,) = scene.told_of("registry_reloaded")
    assert (registrar.running.identity, facts["change_class"]) == (identity(FEW), "breaking")


@pytest.mark.parametrize("on_breaking", ["reject", "hold"])
async def test_what_breaks_nobody_is_taken_up(scene: Scene, on_breaking: str) -> None:
    registrar = await offered(scene, on_breaking, text=MORE)

    assert (registrar.running.identity, registrar.problem) == (identity(MORE), "")


@pytest.mark.parametrize("on_breaking", ["reject", "hold"])
async def test_first_of_all_breaks_nobody(scene: Scene, on_breaking: str) -> None:
    registrar = await scene.running(FEW, scene.settings(on_breaking=on_breaking))

    assert (registrar.running.identity, registrar.problem) == (identity(FEW), "")


@pytest.mark.parametrize(
    ("on_breaking", "result", "held"), [("reject", "rejected", False), ("hold", "held", True)]
)
async def test_what_breaks_is_withheld_and_said(
    scene: Scene, on_breaking: str, result: str, *, held: bool
) -> None:
    registrar = await offered(scene, on_breaking)

    (facts,) = scene.told_of("registry_rejected")
    assert (registrar.running.identity, registrar.held is not None) == (identity(MANY), held)
    assert dict(registrar.reloads) == {"accepted": 1, result: 1}
    assert (facts["identity"], facts["error_code"]) == (identity(FEW), f"registry_{result}")
    assert registrar.problem == facts["error_message"] == facts["problems"][0]


async def test_what_is_withheld_is_kept_to_be_looked_at(scene: Scene) -> None:
    registrar = await offered(scene, "hold")

    assert await registrar.archive.read(identity(FEW)) == (canonical(FEW), None)


async def test_what_is_withheld_is_said_once(scene: Scene) -> None:
    registrar = await offered(scene, "hold")

    for _ in range(3):
        await registrar.refresh()

    assert len(scene.told_of("registry_rejected")) == 1


async def test_what_is_held_stays_held_over_a_restart(scene: Scene) -> None:
    await offered(scene, "hold")

    registrar = await scene.started(scene.settings(on_breaking="hold"))
    assert registrar.running.identity == identity(MANY)

    await accept(registrar, identity(FEW)[:12])

    assert registrar.running.identity == identity(FEW)


async def test_what_was_rejected_is_not_taken_up_by_a_restart(scene: Scene) -> None:
    await offered(scene, "reject")

    registrar = await scene.started(scene.settings(on_breaking="reject"))

    assert registrar.running.identity == identity(MANY)


async def test_source_that_takes_it_back_ends_the_wait(scene: Scene) -> None:
    registrar = await offered(scene, "hold")

    scene.written.says(MANY)
    await registrar.refresh()

    assert (registrar.held, registrar.problem, registrar.newest.status) == (None, "", "up-to-date")


async def test_next_one_that_breaks_is_held_instead(scene: Scene) -> None:
    registrar = await offered(scene, "hold")

    scene.written.says(of_tools("u"))
    await registrar.refresh()

    assert registrar.held is not None
    assert registrar.held.identity == identity(of_tools("u"))


async def test_policy_that_changes_is_asked_at_the_next_forced_look(scene: Scene) -> None:
    registrar = await offered(scene, "hold")

    registrar.follow(scene.settings(on_breaking="accept"), registrar.archive)
    await registrar.refresh(force=True)

    assert (registrar.running.identity, registrar.held) == (identity(FEW), None)


async def test_what_is_held_is_accepted_by_the_rules_of_now(scene: Scene) -> None:
    """Held while nobody asked for signatures; by now they are required."""
    registrar = await offered(scene, "hold")
    registrar.follow(scene.requiring(on_breaking="hold"), registrar.archive)
    await registrar.refresh(force=True)

    held = registrar.held

    assert held is None or held.signed is not None, "what is unsigned could be accepted"


async def test_what_is_held_is_gone_when_a_rollback_came(scene: Scene) -> None:
    registrar = await offered(scene, "hold", text=MORE)
    scene.written.says(FEW)
    await registrar.refresh()

    await roll_back(registrar, identity(MANY))
    await registrar.refresh(force=True)

    assert (registrar.held, registrar.running.pinned_against) == (None, identity(FEW))


async def test_accepted_while_it_is_looked_at_runs_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = await offered(scene, "hold")
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def slowly(job: Job, _: int | None) -> Candidate:
        begun.set()
        await goes_on.wait()
        return read_file(job, {})

    monkeypatch.setattr(registrar, "_read", slowly)
    async with asyncio.TaskGroup() as group:
        group.create_task(registrar.refresh(force=True))
        await begun.wait()
        group.create_task(accept(registrar, identity(FEW)))
        goes_on.set()

    assert (registrar.running.identity, registrar.held) == (identity(FEW), None)


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("stays", ["pinned", "held"])
async def test_secrets_of_what_stays_are_read_anew_at_a_forced_look(
    scene: Scene, stays: str, *, force: bool
) -> None:
    headers = {"x-key": "${file:key}"}
    needy = document(server("a", "http://10.0.0.1", tools=["t", "u"], inject_headers=headers))
    (scene.folder / "key").write_text("first\n")
    settings = scene.settings(on_breaking="hold" if stays == "held" else "accept")
    registrar = await scene.running(needy, settings)
    scene.written.says(FEW)
    await registrar.refresh()
    if stays == "pinned":
        await roll_back(registrar, identity(needy))

    (scene.folder / "key").write_text("second\n")
    await registrar.refresh(force=force)

    injected = registrar.live.current.servers[b"a"].injected
    assert registrar.running.identity == identity(needy)
    assert injected == (b"x-key: second\r\n" if force else b"x-key: first\r\n")
