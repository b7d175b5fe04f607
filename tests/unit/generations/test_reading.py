"""Facts about reading: which generation a text is, and whether it may be one here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from proxy.artifact import Floor, Signed, canonical, identity
from proxy.config.sections import RegistrySettings
from proxy.generations.reading import Candidate, Job, Trust, job_of, read, read_file, trust_of
from proxy.generations.source import Text
from proxy.registry.load import RegistryRejectedError
from tests.support.generations_scene import RULES, document, of_tools
from tests.support.sidecar import server
from tests.support.signing import Signer, artifact, beside

ONE, TWO = of_tools("t"), of_tools("t", "u")
SIGNER = Signer()


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """What is signed by one key, for `default`."""
    SIGNER.is_trusted_in(tmp_path)
    return Trust(folder=str(tmp_path), required=True)


def job(trust: Trust | None = None, signed: Signed | None = None, *, strict: bool = False) -> Job:
    return Job(
        path="/etc/registry.yaml",
        name="/etc/registry.yaml",
        rules=replace(RULES, strict=strict),
        signature=signed and beside(signed),
        trust=trust or Trust(),
    )


def rejected(text: bytes, of_it: Job) -> tuple[str, str]:
    """Code and sentence."""
    with pytest.raises(RegistryRejectedError) as caught:
        read(text, of_it, {})
    (finding,) = caught.value.findings
    return finding.code, finding.message


def written(text: object) -> bytes:
    return yaml.safe_dump(text).encode()


# --- what it is ---


def test_text_is_a_candidate_with_its_identity() -> None:
    found = read(written(ONE), job(), {})

    assert (found.identity, b"".join(found.canonical), found.signed) == (
        identity(ONE),
        canonical(ONE),
        None,
    )
    assert [each.namespace for each in found.loaded.servers] == ["a"]


def test_canonical_form_comes_in_pieces() -> None:
    long = of_tools(*(f"t{n}" for n in range(10_000)))

    pieces = read(written(long), job(), {}).canonical

    assert (len(pieces) > 1, b"".join(pieces)) == (True, canonical(long))


@pytest.mark.parametrize("named", [True, False], ids=["named", "not-named"])
def test_artifact_is_the_registry_in_it(*, named: bool) -> None:
    name = {"artifact_id": identity(ONE)} if named else {}

    found = read(artifact(ONE, SIGNER.signs(ONE), **name), job(), {})

    assert (found.identity, len(found.loaded.servers)) == (identity(ONE), 1)


def test_artifact_may_be_yaml() -> None:
    whole = {"payload": ONE, **SIGNER.signs(ONE).document()}

    assert read(yaml.safe_dump(whole).encode(), job(), {}).identity == identity(ONE)


def test_artifact_without_a_signature_is_unsigned(trust: Trust) -> None:
    assert read(artifact(ONE, None), job(), {}).identity == identity(ONE)
    # What lies beside an artifact is not its own.
    assert rejected(artifact(ONE, None), job(trust, SIGNER.signs(ONE)))[0] == "UNSIGNED"


BAD_ARTIFACTS: dict[str, tuple[bytes, str]] = {
    "more": (artifact(ONE, SIGNER.signs(ONE), more=1), "BAD_ARTIFACT"),
    "half": (artifact(ONE, None, signature="x"), "BAD_ARTIFACT"),
    "other-name": (artifact(ONE, SIGNER.signs(ONE), artifact_id=identity(TWO)), "TAMPERED"),
    "name-of-another-kind": (artifact(ONE, None, artifact_id=[1]), "BAD_ARTIFACT"),
    "two-payloads": (artifact(ONE, None)[:-1] + b',"payload":{}}', "BAD_ARTIFACT"),
    "two-signatures": (
        artifact(ONE, SIGNER.signs(ONE))[:-1] + b',"signature":"x"}',
        "BAD_ARTIFACT",
    ),
    "no-registry": (artifact([1], SIGNER.signs([1])), "BAD_TYPE"),
    "nothing": (artifact(None, SIGNER.signs(None)), "EMPTY_REGISTRY"),
}


@pytest.mark.parametrize(("text", "code"), BAD_ARTIFACTS.values(), ids=BAD_ARTIFACTS)
def test_bad_artifact_is_refused(text: bytes, code: str) -> None:
    assert rejected(text, job())[0] == code


def test_problems_in_an_artifact_are_findings_as_anywhere() -> None:
    broken = document(server("a", "http://10.0.0.1", port="x", tiemout=1), server("b", "http://b"))

    found = read(artifact(broken, SIGNER.signs(broken)), job(), {})

    assert [bad.namespace for bad in found.loaded.quarantined] == ["a"]
    assert "registry.yaml: servers[0].tiemout: unknown key, did you mean timeout?" in [
        str(finding) for finding in found.loaded.findings
    ]


def test_trap_in_an_artifact_is_a_finding_too() -> None:
    text = artifact(ONE, None).replace(b'"version":"1.0"', b'"version":"2","version":"1.0"')

    found = read(text, job(), {})

    assert [finding.code for finding in found.loaded.findings] == ["DUPLICATE_KEY"]


def test_registry_with_a_key_of_artifacts_is_a_registry() -> None:
    found = read(written({**ONE, "payload": 1}), job(), {})

    assert [finding.code for finding in found.loaded.findings] == ["UNKNOWN_KEY"]


# --- whether it is trusted ---


def test_signature_beside_a_text_counts(trust: Trust) -> None:
    signed = SIGNER.signs(ONE, 7)

    assert read(written(ONE), job(trust, signed), {}).signed == signed


def test_signature_in_an_artifact_counts(trust: Trust) -> None:
    signed = SIGNER.signs(ONE, 7)

    found = read(artifact(ONE, signed), job(trust, Signer("stranger").signs(ONE)), {})

    assert found.signed == signed


def test_signature_is_not_looked_at_without_keys() -> None:
    assert read(written(ONE), job(signed=Signer("stranger").signs(TWO)), {}).signed is None


REFUSED: dict[str, tuple[Callable[[], Signed | None], str, str]] = {
    "unsigned": (lambda: None, "UNSIGNED", "it is not signed, as it must be here"),
    "stranger": (lambda: Signer("x").signs(ONE), "UNKNOWN_KEY", "not trusted"),
    "tampered": (lambda: SIGNER.signs(TWO), "TAMPERED", "not the one that was signed"),
    "profile": (lambda: SIGNER.signs(ONE, profile="b"), "OTHER_PROFILE", "profile b"),
    "broken": (
        lambda: SIGNER.signs(ONE)._replace(signature=SIGNER.signs(TWO).signature),
        "BAD_SIGNATURE",
        "signature is not",
    ),
}


@pytest.mark.parametrize(("sign", "code", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_rightly_signed_is_refused(
    trust: Trust, sign: Callable[[], Signed | None], code: str, why: str
) -> None:
    found = rejected(written(ONE), job(trust, sign()))

    assert (found[0], why in found[1]) == (code, True)


@pytest.mark.parametrize(("sign", "code", "why"), list(REFUSED.values())[1:], ids=[*REFUSED][1:])
def test_what_is_wrongly_signed_where_nobody_asks_is_a_warning(
    trust: Trust, sign: Callable[[], Signed | None], code: str, why: str
) -> None:
    found = read(written(ONE), job(replace(trust, required=False), sign()), {})

    (finding,) = found.loaded.findings
    assert (found.signed, finding.code, finding.severity) == (None, code, "warning")
    assert why in str(finding)


def test_unsigned_where_nobody_asks_is_no_word_worth(trust: Trust) -> None:
    found = read(written(ONE), job(replace(trust, required=False)), {})

    assert (found.signed, found.loaded.findings) == (None, ())


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff", b'{"envelope": {}}', b"x" * 70_000])
def test_signature_that_cannot_be_read_is_refused(trust: Trust, text: bytes) -> None:
    of_it = replace(job(trust), signature=text)

    assert rejected(written(ONE), of_it)[0] == "BAD_ENVELOPE"


def test_signature_that_is_there_and_cannot_be_had_is_no_missing_one(trust: Trust) -> None:
    of_it = replace(job(trust), unreadable="cannot read registry.yaml.sig: no permission")

    found = rejected(written(ONE), of_it)
    warned = read(written(ONE), replace(of_it, trust=replace(trust, required=False)), {})

    assert found == ("UNREADABLE", of_it.unreadable)
    assert [finding.code for finding in warned.loaded.findings] == ["UNREADABLE"]


def test_what_json_lacks_cannot_be_signed(trust: Trust) -> None:
    text = written(ONE) + b"since: 2024-01-01\n"
    tagged = {**ONE, "since": {"!date": "2024-01-01"}}

    found = rejected(text, job(trust, SIGNER.signs(tagged)))

    assert found == ("UNSIGNABLE", "it has values that JSON lacks: nobody can sign it")


@pytest.mark.parametrize(
    ("version", "code"), [(4, "OLD_VERSION"), (5, "OLD_VERSION"), (6, "")], ids=str
)
def test_versions_below_the_floor_are_refused(trust: Trust, version: int, code: str) -> None:
    of_it = job(replace(trust, floor=Floor(5, identity(TWO))), SIGNER.signs(ONE, version))

    if code:
        assert rejected(written(ONE), of_it)[0] == code
    else:
        assert read(written(ONE), of_it, {}).signed is not None


def test_version_of_the_floor_is_good_for_the_very_same(trust: Trust) -> None:
    of_it = job(replace(trust, floor=Floor(5, identity(ONE))), SIGNER.signs(ONE, 5))

    assert read(written(ONE), of_it, {}).signed is not None


def test_key_that_has_expired_counts_only_for_what_was_accepted(trust: Trust) -> None:
    SIGNER.is_trusted_in(Path(trust.folder), until=1.0)
    of_it = job(trust, SIGNER.signs(ONE))

    assert rejected(written(ONE), of_it)[0] == "EXPIRED_KEY"
    assert read(written(ONE), replace(of_it, trust=replace(trust, ages=False)), {}).signed


def test_folder_without_keys_trusts_nobody(trust: Trust, tmp_path: Path) -> None:
    SIGNER.is_no_longer_trusted_in(tmp_path)

    assert rejected(written(ONE), job(trust, SIGNER.signs(ONE)))[0] == "NO_TRUSTED_KEYS"


def test_signature_is_looked_at_before_the_servers(trust: Trust) -> None:
    text = b"servers: 5"

    assert rejected(text, job(trust))[0] == "UNSIGNED"
    assert rejected(text, job(trust, SIGNER.signs({"servers": 5})))[0] == "BAD_TYPE"


# --- where it lies ---


def test_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "registry.yaml").write_bytes(written(ONE))

    found: Candidate = read_file(replace(job(), path=str(tmp_path / "registry.yaml")), {})

    assert found.identity == identity(ONE)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none.yaml", "No such file or directory"),
        ("", "not a regular file"),
        ("\0", "embedded null"),
    ],
)
def test_unreadable_file_is_one_clear_finding(tmp_path: Path, name: str, why: str) -> None:
    of_it = replace(job(), path=str(tmp_path / name))

    with pytest.raises(RegistryRejectedError) as caught:
        read_file(of_it, {})

    (finding,) = caught.value.findings
    assert (finding.code, why in finding.message) == ("UNREADABLE", True)


# --- by which rules ---


@pytest.mark.parametrize(
    ("least", "known", "floor"),
    [
        (0, [], Floor()),
        (3, [], Floor(3)),
        (3, [Floor(2, "a")], Floor(3)),
        (3, [Floor(3, "a"), Floor()], Floor(3, "a")),
        (3, [Floor(4, "a"), Floor(5, "b")], Floor(5, "b")),
    ],
)
def test_highest_floor_counts(least: int, known: list[Floor], floor: Floor) -> None:
    assert trust_of(RegistrySettings(min_version=least), *known).floor == floor


@pytest.mark.parametrize(
    ("keys", "required"),
    [
        ({}, False),
        ({"require_signature": True}, True),
        ({"url": "https://registries/a"}, True),
        ({"url": "https://registries/a", "insecure": True}, False),
    ],
)
def test_what_must_be_signed(keys: dict[str, Any], *, required: bool) -> None:
    trust = trust_of(RegistrySettings(trusted_keys="keys", profile="a/b", **keys))

    assert (trust.required, trust.folder, trust.profile) == (required, "keys", "a/b")


def test_job_is_of_what_the_source_lends() -> None:
    text = Text("/dev/fd/9", "tag", signature=b"signature", unreadable="why", handle=9)

    found = job_of(text, "https://registries/a", RULES, Trust())

    assert found == Job(
        path="/dev/fd/9",
        name="https://registries/a",
        rules=RULES,
        signature=b"signature",
        unreadable="why",
    )
