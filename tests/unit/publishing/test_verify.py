import orjson
import pytest

from proxy.artifact import identity, read_signed
from proxy.config.document import read_document
from tests.support.publishing import REGISTRY, Desk, Ended

IDENTITY = identity(read_document(REGISTRY).root)


def codes(ended: Ended) -> tuple[int, list[str]]:
    return ended.status, [finding["code"] for finding in ended.document["findings"]]


def test_who_signed_is_said(desk: Desk) -> None:
    desk.sign()

    ended = desk.verify()

    envelope = read_signed(desk.sig.read_bytes()).envelope
    assert (ended.status, ended.err) == (0, "")
    assert ended.document == {
        "valid": True,
        "identity": IDENTITY,
        "signature": "good",
        "signed_by": "fleet",
        "key_id": desk.fleet.key.key_id,
        "profile": "default",
        "version": 1,
        "created_at": envelope.created_at,
        "findings": [],
    }


def test_without_trusted_keys_no_signature_is_looked_at(desk: Desk) -> None:
    desk.sig.write_text("nonsense")

    ended = desk.ask("verify", desk.registry)

    assert (ended.status, ended.err) == (0, "")
    assert ended.document == {
        "valid": True,
        "identity": IDENTITY,
        "signature": "not looked at",
        "findings": [],
    }


@pytest.mark.parametrize("flag", [("--profile", "a"), ("--min-version", 1), ("--sig", "f")])
def test_what_is_asked_of_a_signature_needs_trusted_keys(
    desk: Desk, flag: tuple[str, object]
) -> None:
    ended = desk.ask("verify", desk.registry, *flag)

    assert (ended.status, ended.out) == (2, "")
    assert f"{flag[0]} says nothing without --trusted" in ended.err


def test_another_layout_is_the_same_registry(desk: Desk) -> None:
    desk.sign()
    document = read_document(REGISTRY).root
    desk.registry.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))

    assert codes(desk.verify()) == (0, [])


def test_another_registry_is_tampered_with(desk: Desk) -> None:
    desk.sign()
    desk.registry.write_text(REGISTRY.replace("80", "81"))

    assert codes(desk.verify()) == (1, ["TAMPERED"])


def test_an_older_version_is_refused(desk: Desk) -> None:
    desk.sign("--version", 4)

    assert codes(desk.verify("--min-version", 5)) == (1, ["OLD_VERSION"])
    assert codes(desk.verify("--min-version", 4)) == (0, [])


def test_another_profile_is_refused(desk: Desk) -> None:
    desk.sign("--profile", "other")

    assert codes(desk.verify()) == (1, ["OTHER_PROFILE"])
    assert codes(desk.verify("--profile", "other")) == (0, [])


def test_an_unknown_key_is_refused(desk: Desk) -> None:
    desk.sign()
    desk.keys("next")
    desk.fleet.public.unlink()

    assert codes(desk.verify()) == (1, ["UNKNOWN_KEY"])


def test_an_expired_key_is_refused(desk: Desk) -> None:
    desk.sign()
    document = orjson.loads(desk.fleet.public.read_bytes())
    document["expires_at"] = "2001-01-01T00:00:00Z"
    desk.fleet.public.write_bytes(orjson.dumps(document))

    assert codes(desk.verify()) == (1, ["EXPIRED_KEY"])


def test_what_is_not_signed_is_refused(desk: Desk) -> None:
    assert codes(desk.verify()) == (1, ["UNSIGNED"])


def test_a_signature_may_lie_elsewhere(desk: Desk) -> None:
    desk.sign()
    elsewhere = desk.sig.rename(desk.folder / "elsewhere")

    assert codes(desk.verify("--sig", elsewhere)) == (0, [])


def test_a_signature_that_is_named_must_be_there(desk: Desk) -> None:
    desk.sign()

    ended = desk.verify("--sig", desk.folder / "absent")

    assert (ended.status, ended.out) == (2, "")


def test_an_artifact_is_verified_alone(desk: Desk) -> None:
    out = desk.folder / "artifact.json"
    desk.sign("--artifact", out)

    ended = desk.ask("verify", out, "--trusted", desk.trusted)

    assert (codes(ended), ended.document["signed_by"]) == ((0, []), "fleet")


def test_findings_have_their_lines(desk: Desk) -> None:
    desk.registry.write_text(REGISTRY.replace("80", "http"))

    ended = desk.ask("verify", desk.registry)

    found = ended.document["findings"]
    assert (ended.status, ended.document["valid"], len(found)) == (1, False, 1)
    assert (found[0]["severity"], found[0]["path"], found[0]["line"]) == (
        "error",
        "servers[0].port",
        2,
    )


def test_a_broken_key_is_said_and_takes_no_other_away(desk: Desk) -> None:
    desk.sign()
    (desk.trusted / "broken.pub").write_text("{")

    ended = desk.verify()

    assert (ended.status, "warning: " in ended.err, "broken.pub" in ended.err) == (0, True, True)


def test_a_folder_without_keys_is_unusable(desk: Desk) -> None:
    desk.sign()
    desk.fleet.public.unlink()

    ended = desk.verify()

    assert (ended.status, ended.out) == (2, "")


def test_a_registry_that_cannot_be_read_is_unusable(desk: Desk) -> None:
    desk.registry.unlink()

    assert desk.verify().status == 2
