import orjson
import pytest

from proxy.artifact import ArtifactError, canonical, identity, read_signed, verify
from proxy.publishing.signing import artifact_text, sig_text, sign, split_artifact
from tests.support.signatures import EXPECTED, PRIVATE, signed

DOCUMENT = {"servers": [{"namespace": "é"}]}
GOOD = signed(DOCUMENT)
ARTIFACT = artifact_text(canonical(DOCUMENT), GOOD)


def changed(**changes: object) -> bytes:
    parts = {**orjson.loads(ARTIFACT), **changes}
    return orjson.dumps({name: part for name, part in parts.items() if part is not ...})


def test_what_is_signed_is_accepted() -> None:
    verify(identity(DOCUMENT), GOOD, EXPECTED)


@pytest.mark.parametrize(
    ("profile", "version", "created_at"),
    [("..", 1, "2026-01-01T00:00:00Z"), ("a", 0, "2026-01-01T00:00:00Z"), ("a", 1, "today")],
    ids=["profile", "version", "moment"],
)
def test_what_no_sidecar_would_read_is_not_signed(
    profile: str, version: int, created_at: str
) -> None:
    with pytest.raises(ArtifactError):
        sign(identity(DOCUMENT), profile, version, created_at, PRIVATE)


def test_a_signature_file_is_stable_and_read_again() -> None:
    text = sig_text(GOOD)

    assert (read_signed(text), text) == (GOOD, sig_text(signed(DOCUMENT)))
    assert (text.count(b"\n"), text[-2:]) == (10, b"}\n")


def test_an_artifact_is_taken_apart_again() -> None:
    assert split_artifact(ARTIFACT) == (DOCUMENT, GOOD)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"  \r\n\t" + ARTIFACT, id="white-space-before"),
        pytest.param(changed(artifact_id=identity(DOCUMENT)), id="with-its-name"),
        pytest.param(ARTIFACT.replace(b'"payload"', rb'"\u0070ayload"'), id="escaped-key"),
        pytest.param(
            orjson.dumps(orjson.loads(ARTIFACT), option=orjson.OPT_INDENT_2), id="laid-out"
        ),
    ],
)
def test_an_artifact_is_known_however_it_is_written(text: bytes) -> None:
    assert split_artifact(text) == (DOCUMENT, GOOD)


def test_an_artifact_may_be_unsigned() -> None:
    assert split_artifact(b'{"payload": {}}') == ({}, None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"servers: []", id="yaml"),
        pytest.param(b'{"servers": []}', id="registry"),
        pytest.param(b'{"servers": [], "servers": []}', id="registry-with-a-key-twice"),
        pytest.param(changed(servers=[]), id="more-keys"),
        pytest.param(changed(payload=...), id="no-payload"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{" * 100_000, id="deep"),
        pytest.param(b'{"payload": 1,}', id="not-json"),
        pytest.param(b'{"payload": "\xff"}', id="not-utf-8"),
        pytest.param(b"\xef\xbb\xbf" + ARTIFACT, id="mark"),
        pytest.param(ARTIFACT.decode().encode("utf-16"), id="utf-16"),
        pytest.param(b"\x00" + ARTIFACT, id="nul"),
    ],
)
def test_what_is_no_artifact_is_none(text: bytes) -> None:
    assert split_artifact(text) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param(changed(artifact_id="0" * 64), "TAMPERED", id="other-name"),
        pytest.param(changed(artifact_id=1), "BAD_ARTIFACT", id="odd-name"),
        pytest.param(changed(more=1), "BAD_ARTIFACT", id="more-keys"),
        pytest.param(changed(envelope=...), "BAD_ARTIFACT", id="no-envelope"),
        pytest.param(changed(signature=...), "BAD_ARTIFACT", id="no-signature"),
        pytest.param(changed(envelope=None), "BAD_ARTIFACT", id="null-envelope"),
        pytest.param(changed(signature=""), "BAD_ENVELOPE", id="empty-signature"),
        pytest.param(b'{"payload": 1, "payload": 1}', "BAD_ENVELOPE", id="payload-twice"),
        pytest.param(b'{"payload": {"a": 1, "a": 1}}', "BAD_ENVELOPE", id="twice-below"),
        pytest.param(b'{"payload": 1e999}', "BAD_ARTIFACT", id="infinite"),
        pytest.param(b'{"payload": NaN}', "BAD_ENVELOPE", id="nan"),
    ],
)
def test_an_artifact_that_is_broken_is_refused(text: bytes, code: str) -> None:
    with pytest.raises(ArtifactError) as refused:
        split_artifact(text)

    assert refused.value.code == code


def test_a_text_beyond_all_bounds_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.publishing.signing.MAX_BYTES", len(ARTIFACT) - 1)

    assert split_artifact(ARTIFACT) is None
