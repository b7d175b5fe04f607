from typing import Any

import orjson
import pytest

from proxy.artifact import LARGEST_VERSION, identity, read_signed
from proxy.config.document import read_document
from proxy.publishing.signing import split_artifact
from tests.support.publishing import REGISTRY, Desk

DOCUMENT: Any = read_document(REGISTRY).root


def version_of(desk: Desk) -> int:
    return read_signed(desk.sig.read_bytes()).envelope.version


def test_what_was_signed_is_said(desk: Desk) -> None:
    ended = desk.sign("--profile", "client/prod")

    envelope = read_signed(desk.sig.read_bytes()).envelope
    assert (ended.status, ended.err) == (0, "")
    assert ended.document == {
        "written": str(desk.sig),
        "identity": identity(DOCUMENT),
        "profile": "client/prod",
        "version": 1,
        "created_at": envelope.created_at,
        "key_id": desk.fleet.key.key_id,
    }


def test_versions_count_upwards(desk: Desk) -> None:
    desk.sign()
    desk.registry.write_text(REGISTRY.replace("80", "81"))

    assert (desk.sign().document["version"], version_of(desk)) == (2, 2)


@pytest.mark.parametrize("version", [4, 5])
def test_another_registry_takes_a_newer_version(desk: Desk, version: int) -> None:
    desk.sign("--version", 5)
    before = desk.sig.read_bytes()
    desk.registry.write_text(REGISTRY.replace("80", "81"))

    ended = desk.sign("--version", version)

    assert (ended.status, ended.out, desk.sig.read_bytes()) == (1, "", before)
    assert f"version {version}" in ended.err


def test_the_same_registry_may_have_its_version_again(desk: Desk) -> None:
    desk.sign("--version", 5)
    desk.registry.write_text(f"# the same\n{REGISTRY}")

    assert (desk.sign("--version", 5).status, version_of(desk)) == (0, 5)


def test_another_profile_has_versions_of_its_own(desk: Desk) -> None:
    desk.sign("--version", 5)

    assert (desk.sign("--version", 1, "--profile", "other").status, version_of(desk)) == (0, 1)


def test_a_signature_that_is_broken_stands_in_the_way(desk: Desk) -> None:
    desk.sig.write_text("{}")

    assert (desk.sign().status, desk.sig.read_text()) == (2, "{}")
    assert (desk.sign("--version", 7).status, version_of(desk)) == (0, 7)


def test_versions_come_to_an_end(desk: Desk) -> None:
    desk.sign("--version", LARGEST_VERSION)

    ended = desk.sign()

    assert (ended.status, version_of(desk)) == (2, LARGEST_VERSION)
    assert "whole number" in ended.err


@pytest.mark.parametrize("profile", ["", "..", "a/b/c", "é"])
def test_a_profile_that_none_can_have_is_unusable(desk: Desk, profile: str) -> None:
    ended = desk.sign(f"--profile={profile}")

    assert (ended.status, desk.sig.exists()) == (2, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "error EMPTY_REGISTRY: registry.yaml", id="empty"),
        pytest.param("servers: [{", "error NOT_YAML: registry.yaml:", id="not-yaml"),
        pytest.param(
            REGISTRY.replace("80", "http"), "error BAD_TYPE: registry.yaml:2: servers[0]", id="port"
        ),
        pytest.param(REGISTRY.replace("name: b, ", ""), "error MISSING_FIELD", id="name"),
        pytest.param(f"{REGISTRY}version: 2026-01-01\n", "values that JSON lacks", id="date"),
    ],
)
def test_what_is_not_valid_is_not_signed(desk: Desk, text: str, said: str) -> None:
    desk.registry.write_text(text)

    ended = desk.sign()

    assert (ended.status, ended.out, desk.sig.exists()) == (1, "", False)
    assert said in ended.err
    assert ended.err.endswith("is not signed\n")


def test_a_warning_is_said_and_signed(desk: Desk) -> None:
    desk.registry.write_text(f"{REGISTRY}serves: 1\n")

    ended = desk.sign()

    assert (ended.status, desk.sig.exists()) == (0, True)
    assert "warning UNKNOWN_KEY: registry.yaml:3: serves" in ended.err


def test_the_rules_of_settings_hold(desk: Desk) -> None:
    desk.registry.write_text(f"{REGISTRY}serves: 1\n")
    strict = desk.folder / "proxy.yaml"
    strict.write_text("registry: {strict: true}\n")

    assert (desk.sign("-c", strict).status, desk.sig.exists()) == (1, False)


def test_an_artifact_holds_all(desk: Desk) -> None:
    out = desk.folder / "artifact.json"

    ended = desk.sign("--artifact", out)

    parts = split_artifact(out.read_bytes())
    assert parts is not None
    assert parts[1] is not None
    assert (ended.status, parts[0], parts[1].envelope.version) == (0, DOCUMENT, 1)
    assert not desk.sig.exists()


def test_an_artifact_says_which_version_was_the_last(desk: Desk) -> None:
    out = desk.folder / "artifact.json"
    desk.sign("--artifact", out, "--version", 5)

    assert desk.sign("--artifact", out).document["version"] == 6


def test_an_artifact_takes_no_other_file_s_place(desk: Desk) -> None:
    ended = desk.sign("--artifact", desk.registry)

    assert (ended.status, desk.registry.read_text()) == (2, REGISTRY)
    assert "is no artifact" in ended.err


def test_a_signature_that_was_in_an_unsigned_artifact_is_none(desk: Desk) -> None:
    out = desk.folder / "artifact.json"
    out.write_bytes(orjson.dumps({"payload": {}}))

    assert desk.sign("--artifact", out).document["version"] == 1


def test_a_key_that_others_can_read_signs_nothing(desk: Desk) -> None:
    desk.fleet.private.chmod(0o644)

    ended = desk.sign()

    assert (ended.status, ended.out, desk.sig.exists()) == (2, "", False)
    assert "can be used by others" in ended.err


def test_a_registry_that_cannot_be_read_is_unusable(desk: Desk) -> None:
    desk.registry.unlink()

    assert desk.sign().status == 2
