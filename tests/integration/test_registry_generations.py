"""Generations in the real command: what an edit is told as, what is refused, what outlives it."""

import signal
from pathlib import Path
from typing import Final

import pytest
import yaml

from proxy.artifact import identity
from tests.support.messages import post
from tests.support.reports import Line, events
from tests.support.sidecar import Sidecar, registry, server
from tests.support.signing import Signer, artifact, beside
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

SIGNER: Final = Signer()
RELOADED, REJECTED = "registry_reloaded", "registry_rejected"


def told(sidecar: Sidecar, kind: str) -> list[Line]:
    return events(sidecar, f"&event_type={kind}")


def statuses(sidecar: Sidecar, *tools: str) -> list[int]:
    return [sidecar.ask(post(f"/tools/o.{tool}")).status for tool in tools]


def sign(sidecar: Sidecar, text: str, version: int, signer: Signer = SIGNER) -> None:
    """Put a signed text in place: the signature first, as `publish` does."""
    signed = signer.signs(yaml.safe_load(text), version)
    path = sidecar.registry_path
    path.with_name("registry.yaml.sig").write_bytes(beside(signed))
    path.write_text(text)


@pytest.fixture
def url(start_origin: StartOrigin) -> str:
    return start_origin().url


@pytest.fixture
def signed_settings(tmp_path: Path, url: str) -> dict[str, object]:
    """Signatures are required, and what lies there is signed as version 1."""
    SIGNER.is_trusted_in(tmp_path / "keys")
    document = yaml.safe_load(registry(server("o", url)))
    signed = SIGNER.signs(document, 1)
    (tmp_path / "registry.yaml.sig").write_bytes(beside(signed))
    return {"require_signature": True, "trusted_keys": str(tmp_path / "keys")}


@pytest.mark.parametrize(
    ("tools", "change"),
    [(("call", "more"), "compatible"), (("other",), "breaking")],
    ids=["compatible", "breaking"],
)
def test_edit_is_told_with_its_class_and_identity(
    url: str, start_sidecar: StartSidecar, tools: tuple[str, ...], change: str
) -> None:
    sidecar = start_sidecar(server("o", url))
    text = registry(server("o", url, tools=tools))

    sidecar.registry_path.write_text(text)

    found = eventually(lambda: told(sidecar, RELOADED)[1:])
    assert [(each["change_class"], each["identity"]) for each in found] == [
        (change, identity(yaml.safe_load(text)))
    ]


def test_comment_is_a_cosmetic_edit(url: str, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", url))
    before = sidecar.get("/readyz").json()["identity"]

    sidecar.registry_path.write_text("# hello\n" + sidecar.registry_path.read_text())

    (found,) = eventually(lambda: told(sidecar, RELOADED)[1:])
    assert (found["change_class"], found["identity"]) == ("cosmetic", before)


def test_signed_text_is_taken_up_and_an_older_one_is_not(
    url: str, start_sidecar: StartSidecar, signed_settings: dict[str, object]
) -> None:
    sidecar = start_sidecar(server("o", url), settings={"registry": signed_settings})
    old_text = sidecar.registry_path.read_text()
    old_signature = sidecar.registry_path.with_name("registry.yaml.sig").read_bytes()

    sign(sidecar, registry(server("o", url, tools=["call", "new"])), 2)
    assert eventually(lambda: statuses(sidecar, "call", "new") == [200, 200])
    sidecar.registry_path.with_name("registry.yaml.sig").write_bytes(old_signature)
    sidecar.registry_path.write_text(old_text)

    assert eventually(lambda: sidecar.said("version 1 is older than 2"))
    assert statuses(sidecar, "call", "new") == [200, 200]
    assert [each["signed_by"] for each in told(sidecar, RELOADED)] == [SIGNER.key.key_id] * 2


def test_artifact_is_taken_up(
    url: str, start_sidecar: StartSidecar, signed_settings: dict[str, object]
) -> None:
    sidecar = start_sidecar(server("o", url), settings={"registry": signed_settings})
    document = yaml.safe_load(registry(server("o", url, tools=["new"])))

    sidecar.registry_path.write_bytes(artifact(document, SIGNER.signs(document, 2)))

    assert eventually(lambda: statuses(sidecar, "new") == [200])


def test_tampered_text_is_refused_and_the_old_one_goes_on_over_a_restart(
    tmp_path: Path, url: str, start_sidecar: StartSidecar, signed_settings: dict[str, object]
) -> None:
    sidecar = start_sidecar(server("o", url), settings={"registry": signed_settings})
    tampered = registry(server("o", url, tools=["evil"]))

    sidecar.registry_path.write_text(tampered)
    assert eventually(lambda: told(sidecar, REJECTED))
    assert statuses(sidecar, "call", "evil") == [200, 404]
    sidecar.close()
    again = Sidecar(tmp_path, tampered, {"registry": signed_settings})

    try:
        assert statuses(again, "call", "evil") == [200, 404]
        assert again.get("/readyz").status == 200
        assert len(told(again, REJECTED)) == 1
    finally:
        again.close()


def test_hangup_takes_up_what_else_breaking_changes_may(
    url: str, start_sidecar: StartSidecar
) -> None:
    settings: dict[str, object] = {"registry": {"on_breaking": "hold"}}
    sidecar = start_sidecar(server("o", url), settings=settings)
    sidecar.registry_path.write_text(registry(server("o", url, tools=["other"])))
    assert eventually(lambda: sidecar.said("it waits for"))
    assert statuses(sidecar, "call", "other") == [200, 404]

    sidecar.write_settings({"registry": {"on_breaking": "accept"}})
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: statuses(sidecar, "call", "other") == [404, 200])


def test_hangup_takes_up_other_keys_and_another_profile(
    tmp_path: Path, url: str, start_sidecar: StartSidecar, signed_settings: dict[str, object]
) -> None:
    sidecar = start_sidecar(server("o", url), settings={"registry": signed_settings})
    stranger = Signer("stranger")
    document = yaml.safe_load(registry(server("o", url, tools=["new"])))
    signed = stranger.signs(document, 1, profile="fleet/prod")
    sidecar.registry_path.write_bytes(artifact(document, signed))
    assert eventually(lambda: sidecar.said("not trusted"))

    stranger.is_trusted_in(tmp_path / "others")
    others = {"trusted_keys": str(tmp_path / "others"), "profile": "fleet/prod"}
    sidecar.write_settings({"registry": signed_settings | others})
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: statuses(sidecar, "new") == [200])


def test_hangup_takes_up_another_store(
    tmp_path: Path, url: str, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", url))
    generation = identity(yaml.safe_load(sidecar.registry_path.read_text()))

    sidecar.write_settings({"registry": {"store": str(tmp_path / "other")}})
    sidecar.signal(signal.SIGHUP)

    kept = tmp_path / "other" / "objects" / generation[:2] / f"{generation[2:]}.json"
    assert eventually(kept.exists)


def test_hangup_that_would_leave_old_versions_unguarded_is_refused(
    tmp_path: Path, url: str, start_sidecar: StartSidecar, signed_settings: dict[str, object]
) -> None:
    sidecar = start_sidecar(server("o", url))
    (tmp_path / "file").write_text("")

    unwritable = {"store": str(tmp_path / "file" / "store")}
    sidecar.write_settings({"registry": signed_settings | unwritable})
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.said("Settings rejected.*registry.min_version"))
    assert statuses(sidecar, "call") == [200]
