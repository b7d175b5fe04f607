"""Facts about signatures while a registrar runs: what is refused, and that versions only grow."""

from collections.abc import Callable
from typing import Any

import pytest

from proxy import errors
from proxy.artifact import Signed, identity
from proxy.config.sections import RegistrySettings
from proxy.generations.orders import accept, roll_back
from proxy.generations.registrar import Registrar
from proxy.generations.starting import archive_for
from proxy.generations.store import Store, StoreError
from tests.support.generations_scene import Scene, of_tools
from tests.support.signing import Signer, artifact

ONE, TWO, THREE = of_tools("t"), of_tools("t", "u"), of_tools("t", "u", "v")
PAST_S, FUTURE_S = 1.0, 4e9


@pytest.fixture
def settings(scene: Scene) -> RegistrySettings:
    """Signatures are required."""
    return scene.requiring()


async def offers(
    scene: Scene, registrar: Registrar, text: Any, version: int, **envelope: Any
) -> None:
    """A signed text in the source, which is looked at."""
    scene.written.says(text, scene.signer.signs(text, version, **envelope))
    await registrar.refresh()


def shown(registrar: Registrar) -> tuple[str, int | None]:
    signed = registrar.running.signed
    return registrar.running.identity, signed and signed.envelope.version


async def test_signed_text_is_taken_up_and_told_with_its_version(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)

    await offers(scene, registrar, TWO, 2)

    facts = scene.told_of("registry_reloaded")[-1]
    assert shown(registrar) == (identity(TWO), 2)
    assert (facts["version"], facts["signed_by"]) == (2, scene.signer.key.key_id)


async def test_artifact_is_taken_up_too(scene: Scene, settings: RegistrySettings) -> None:
    registrar = await scene.running(ONE, settings)

    scene.written.says(artifact(TWO, scene.signer.signs(TWO, 2)))
    await registrar.refresh()

    assert shown(registrar) == (identity(TWO), 2)


async def test_other_layout_of_a_signed_text_is_still_signed(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)

    signed = scene.signer.signs(ONE)
    scene.written.says(b"# hello\n" + (scene.folder / "registry.yaml").read_bytes(), signed)
    await registrar.refresh()

    assert (shown(registrar), registrar.problem) == ((identity(ONE), 1), "")


REFUSED: dict[str, tuple[Callable[[Scene], Signed | None], str]] = {
    "unsigned": (lambda _: None, "not signed"),
    "of-another": (lambda it: it.signer.signs(TWO, 9, of=identity(ONE)), "not the one"),
    "by-a-stranger": (lambda _: Signer("stranger").signs(TWO, 9), "not trusted"),
    "older": (lambda it: it.signer.signs(TWO, 2), "older"),
    "same-version": (lambda it: it.signer.signs(TWO, 3), "another registry"),
    "for-elsewhere": (lambda it: it.signer.signs(TWO, 9, profile="elsewhere"), "profile"),
}


@pytest.mark.parametrize(("sign", "why"), REFUSED.values(), ids=REFUSED)
async def test_text_that_is_not_rightly_signed_is_refused(
    scene: Scene, settings: RegistrySettings, sign: Callable[[Scene], Signed | None], why: str
) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, THREE, 3)
    scene.told.clear()

    scene.written.says(TWO, sign(scene))
    await registrar.refresh()

    ((kind, facts),) = scene.told
    assert (kind, why in facts["error_message"]) == ("registry_rejected", True)
    assert (shown(registrar), registrar.problem) == ((identity(THREE), 3), facts["error_message"])


async def test_envelope_of_another_key_with_a_trusted_name_is_refused(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)
    stranger = Signer("stranger").signs(TWO, 2)
    ours = stranger.envelope._replace(key_id=scene.signer.key.key_id)

    scene.written.says(TWO, stranger._replace(envelope=ours))
    await registrar.refresh()

    assert "signature is not" in registrar.problem


# --- versions ---


async def test_version_floor_holds_over_a_restart(scene: Scene, settings: RegistrySettings) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, THREE, 3)

    scene.written.says(TWO, scene.signer.signs(TWO, 2))
    registrar = await scene.started(settings)

    assert shown(registrar) == (identity(THREE), 3)
    assert "older than 3" in registrar.problem


async def test_version_floor_holds_while_the_store_fails(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)
    scene.breaks_the_store()
    await offers(scene, registrar, THREE, 3)

    await offers(scene, registrar, TWO, 2)

    assert shown(registrar) == (identity(THREE), 3)
    assert "older than 3" in registrar.problem


@pytest.mark.parametrize("other", ["", "other"], ids=["none", "another"])
async def test_version_floor_does_not_fall_with_the_store(
    scene: Scene, settings: RegistrySettings, other: str
) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, THREE, 3)
    without = scene.requiring(store=other and str(scene.folder / other), min_version=1)

    registrar.follow(without, await archive_for(without, registrar.archive))
    await offers(scene, registrar, TWO, 2)

    assert (shown(registrar), "older than 3" in registrar.problem) == ((identity(THREE), 3), True)


async def test_least_version_of_the_settings_is_a_floor_too(scene: Scene) -> None:
    registrar = await scene.running(ONE, scene.settings())
    registrar.follow(scene.requiring(min_version=5), registrar.archive)

    await offers(scene, registrar, TWO, 4)
    assert "older than 5" in registrar.problem
    await offers(scene, registrar, THREE, 5)

    assert shown(registrar) == (identity(THREE), 5)


async def test_each_profile_has_a_floor_of_its_own(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, THREE, 9)

    registrar.follow(scene.requiring(profile="fleet/other"), registrar.archive)
    await offers(scene, registrar, TWO, 1, profile="fleet/other")

    assert shown(registrar) == (identity(TWO), 1)


async def test_version_that_was_only_held_is_no_floor(scene: Scene) -> None:
    registrar = await scene.running(ONE, scene.requiring())
    await offers(scene, registrar, TWO, 2)
    registrar.follow(scene.requiring(on_breaking="hold"), registrar.archive)
    await offers(scene, registrar, ONE, 9)
    assert "waits" in registrar.problem

    await offers(scene, registrar, THREE, 3)

    assert (shown(registrar), registrar.problem) == ((identity(THREE), 3), "")


async def test_rollback_does_not_lower_the_floor(scene: Scene, settings: RegistrySettings) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, THREE, 3)
    await roll_back(registrar, identity(ONE))
    assert shown(registrar) == (identity(ONE), 1)

    await offers(scene, registrar, TWO, 2)
    assert "older than 3" in registrar.problem
    registrar = await scene.started(settings)

    assert (shown(registrar), "older than 3" in registrar.problem) == ((identity(ONE), 1), True)


async def test_rollback_to_what_is_held_raises_the_floor(scene: Scene) -> None:
    """It never ran; now its version did."""
    registrar = await scene.running(TWO, scene.requiring(on_breaking="hold"))
    await offers(scene, registrar, ONE, 9)
    await roll_back(registrar, identity(ONE))
    assert shown(registrar) == (identity(ONE), 9)

    await offers(scene, registrar, THREE, 8)

    assert (shown(registrar), "older than 9" in registrar.problem) == ((identity(ONE), 9), True)


async def test_store_that_cannot_tell_the_floor_lets_nothing_new_in(
    scene: Scene, settings: RegistrySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = await scene.running(ONE, settings)

    def fails(*_: object) -> None:
        raise StoreError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "floor", fails)
        await offers(scene, registrar, TWO, 2)
    assert (shown(registrar), "newest" in registrar.problem) == ((identity(ONE), 1), True)

    await registrar.refresh()

    assert (shown(registrar), registrar.problem) == ((identity(TWO), 2), "")


async def test_store_that_cannot_tell_the_floor_lets_nothing_be_accepted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = await scene.running(TWO, scene.requiring(on_breaking="hold"))
    await offers(scene, registrar, ONE, 2)

    def fails(*_: object) -> None:
        raise StoreError("the disk is gone")

    monkeypatch.setattr(Store, "floor", fails)
    with pytest.raises(errors.StoreUnavailableError, match="newest"):
        await accept(registrar, identity(ONE))

    assert shown(registrar) == (identity(TWO), 1)


# --- keys ---


async def test_keys_rotate_without_a_restart(scene: Scene, settings: RegistrySettings) -> None:
    registrar = await scene.running(ONE, settings)
    old, scene.signer = scene.signer, Signer("next")

    scene.signer.is_trusted_in(scene.keys)
    await offers(scene, registrar, TWO, 2)
    old.is_no_longer_trusted_in(scene.keys)
    scene.written.says(THREE, old.signs(THREE, 3))
    await registrar.refresh()

    assert (shown(registrar), "not trusted" in registrar.problem) == ((identity(TWO), 2), True)


@pytest.mark.parametrize(("until", "taken"), [(PAST_S, False), (FUTURE_S, True)])
async def test_key_that_has_expired_accepts_nothing_new(
    scene: Scene, settings: RegistrySettings, until: float, *, taken: bool
) -> None:
    registrar = await scene.running(ONE, settings)

    scene.signer.is_trusted_in(scene.keys, until=until)
    await offers(scene, registrar, TWO, 2)

    assert (shown(registrar)[1] == 2, "has expired" in registrar.problem) == (taken, not taken)


async def test_folder_without_keys_accepts_nothing(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)

    scene.signer.is_no_longer_trusted_in(scene.keys)
    await offers(scene, registrar, TWO, 2)

    assert (shown(registrar)[1], "no trusted key" in registrar.problem) == (1, True)


# --- back, under signatures ---


async def test_rollback_to_what_was_never_signed_is_refused(scene: Scene) -> None:
    scene.written.says(ONE)
    registrar = await scene.started()
    registrar.follow(scene.requiring(), registrar.archive)
    await offers(scene, registrar, TWO, 1)

    with pytest.raises(errors.RegistryConflictError, match="not signed"):
        await roll_back(registrar, identity(ONE))

    assert shown(registrar) == (identity(TWO), 1)


async def test_rollback_to_what_a_removed_key_signed_is_refused(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)
    old, scene.signer = scene.signer, Signer("next")
    scene.signer.is_trusted_in(scene.keys)
    await offers(scene, registrar, TWO, 2)
    old.is_no_longer_trusted_in(scene.keys)

    with pytest.raises(errors.RegistryConflictError, match="not trusted"):
        await roll_back(registrar, identity(ONE))


async def test_rollback_to_what_an_expired_key_signed_is_allowed(
    scene: Scene, settings: RegistrySettings
) -> None:
    registrar = await scene.running(ONE, settings)
    await offers(scene, registrar, TWO, 2)
    scene.signer.is_trusted_in(scene.keys, until=PAST_S)

    await roll_back(registrar, identity(ONE))

    assert shown(registrar) == (identity(ONE), 1)


# --- where signatures are looked at, and not required ---


async def test_wrong_signature_that_nobody_asked_for_is_a_warning(scene: Scene) -> None:
    scene.signer.is_trusted_in(scene.keys)
    registrar = await scene.running(ONE, scene.settings(trusted_keys=str(scene.keys)))

    scene.written.says(TWO, Signer("stranger").signs(TWO, 2))
    await registrar.refresh()

    (said,) = scene.told_of("registry_reloaded")[-1]["problems"]
    assert (shown(registrar), "not trusted" in said) == ((identity(TWO), None), True)
