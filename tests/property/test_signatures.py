"""Whatever becomes of a signed registry on its way, only what was signed is accepted."""

import json  # noqa: TID251 - identities are those of json.dumps
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.artifact import (
    ArtifactError,
    Envelope,
    TrustedKey,
    canonical,
    identity,
    moment,
    public_document,
    signed_of,
    verify,
)
from proxy.config.document import read_document
from proxy.config.settings import Settings
from proxy.generations.reading import Candidate, Job, Trust, read
from proxy.publishing.signing import artifact_text, sig_text, split_artifact
from proxy.registry.load import LoadRules, RegistryRejectedError
from tests.support.signatures import EXPECTED, NOW_S, PRIVATE, flips, signed

YAML: Final = b"""\
# what is signed
servers:
- namespace: a_1
  name: "a"
  port: 8081
  tools: [{name: b}]
"""
DOCUMENT: Final = read_document(YAML).root
SIGNED: Final = signed(DOCUMENT)
ARTIFACT: Final = artifact_text(canonical(DOCUMENT), SIGNED)
SERVED: Final = orjson.dumps({"artifact_id": identity(DOCUMENT), **orjson.loads(ARTIFACT)})
RULES: Final = LoadRules.of(Settings())

NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("trusted")
    key = TrustedKey(PRIVATE.public_key)
    (folder / "fleet.pub").write_bytes(orjson.dumps(public_document(key, moment(NOW_S))))
    return Trust(folder=str(folder), required=True)


def accepted(text: bytes, trust: Trust, signature: bytes | None = None) -> Candidate | None:
    """What a sidecar would run; it never fails in another way than by saying no."""
    job = Job(path="", name="registry.yaml", rules=RULES, signature=signature, trust=trust)
    try:
        return read(text, job, {})
    except RegistryRejectedError:
        return None


def meant(text: bytes) -> bytes:
    """What it says, so that 1 is not 1.0."""
    return canonical(read_document(text).root)


def test_no_flipped_bit_of_a_registry_makes_another_one(trust: Trust) -> None:
    good = sig_text(SIGNED)
    taken = [text for text in flips(YAML) if accepted(text, trust, good) is not None]

    assert taken  # a flip in a comment changes nothing
    assert {meant(text) for text in taken} == {meant(YAML)}


def test_no_flipped_bit_of_a_canonical_registry_makes_another_one(trust: Trust) -> None:
    good = sig_text(SIGNED)
    text = canonical(DOCUMENT)

    assert accepted(text, trust, good)
    assert [flipped for flipped in flips(text) if accepted(flipped, trust, good)] == []


def test_no_flipped_bit_of_a_signature_file_is_accepted(trust: Trust) -> None:
    good = sig_text(SIGNED)

    assert accepted(YAML, trust, good)
    assert [text for text in flips(good) if accepted(YAML, trust, text)] == []


@pytest.mark.parametrize("artifact", [ARTIFACT, SERVED], ids=["published", "served"])
def test_no_flipped_bit_of_an_artifact_makes_another_one(trust: Trust, artifact: bytes) -> None:
    assert accepted(artifact, trust)
    # `"version":01` is no JSON, and YAML's way to write 1.
    taken = [text for text in flips(artifact) if accepted(text, trust)]
    assert [text for text in taken if meant(text) != meant(artifact)] == []


@pytest.mark.parametrize("artifact", [ARTIFACT, SERVED], ids=["published", "served"])
def test_no_flipped_bit_makes_another_artifact_for_who_holds_one_alone(artifact: bytes) -> None:
    for text in flips(artifact):
        try:
            parts = split_artifact(text)
            if parts is None or parts[1] is None:
                continue
            verify(identity(parts[0]), parts[1], EXPECTED)
        except ArtifactError:
            continue
        assert parts == (DOCUMENT, SIGNED)


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_what_is_cut_short_is_not_accepted(trust: Trust, cut: int) -> None:
    assert accepted(YAML, trust, sig_text(SIGNED)[: -1 - cut]) is None
    assert accepted(ARTIFACT[: -1 - cut], trust) is None
    assert accepted(YAML[: -1 - cut], trust, sig_text(SIGNED)) is None


@given(
    st.lists(
        st.tuples(st.integers(0, len(ARTIFACT) - 1), st.binary(max_size=3)), min_size=1, max_size=4
    )
)
def test_no_edits_of_an_artifact_make_another_one(
    trust: Trust, edits: list[tuple[int, bytes]]
) -> None:
    text = ARTIFACT
    for place, put in edits:
        text = text[:place] + put + text[place + len(put) :]

    assert accepted(text, trust) is None or meant(text) == meant(ARTIFACT)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "registry_sha256": st.text("0123456789abcdef", min_size=64, max_size=64),
            "profile": st.text("ab/", max_size=5) | st.text(max_size=3),
            "version": st.integers(-5, 5) | st.integers() | st.booleans() | st.floats(),
            "created_at": st.datetimes().map(lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}") | st.text(),
            "key_id": st.text("0123456789abcdef", min_size=16, max_size=16),
        },
    )
)
def test_an_envelope_that_was_changed_is_refused(changes: dict[str, object]) -> None:
    envelope: dict[str, Any] = {**SIGNED.envelope._asdict(), **changes}
    is_as_it_was = all(
        (type(value), value) == (type(envelope[name]), envelope[name])
        for name, value in SIGNED.envelope._asdict().items()
    )

    try:
        verify(identity(DOCUMENT), signed_of(envelope, SIGNED.signature), EXPECTED)
    except ArtifactError:
        assert not is_as_it_was
    else:
        assert is_as_it_was


@given(DOCUMENTS)
def test_an_identity_is_that_of_json_dumps(document: object) -> None:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))

    assert canonical(document) == text.encode()


@given(st.dictionaries(st.text(), DOCUMENTS), st.sampled_from([None, 1]))
def test_an_identity_outlives_how_it_is_written(
    document: dict[str, object], indent: int | None
) -> None:
    backwards = dict(reversed(document.items()))
    text = json.dumps(backwards, indent=indent, ensure_ascii=indent is None)

    assert identity(read_document(text).root) == identity(document)


@given(st.dictionaries(st.text(), DOCUMENTS))
def test_a_document_is_read_again_from_its_form(document: dict[str, object]) -> None:
    again = read_document(canonical(document)).root

    assert repr(again) == repr(json.loads(json.dumps(document, sort_keys=True)))


def test_envelopes_sign_every_field() -> None:
    others = Envelope("0" * 64, "other", 2, moment(0.0), "0" * 16)

    changed = [
        SIGNED.envelope._replace(**{name: value}).canonical()
        for name, value in others._asdict().items()
    ]
    assert len({SIGNED.envelope.canonical(), *changed}) == 1 + len(Envelope._fields)
