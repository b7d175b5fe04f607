import base64
import hashlib
from typing import Any

import orjson
import pytest

from proxy.artifact import (
    LARGEST_VERSION,
    MOST_SIGNED_BYTES,
    ArtifactError,
    Envelope,
    Floor,
    Signed,
    TrustedKey,
    canonical,
    identity,
    read_json,
    read_signed,
    signed_of,
    verify,
)
from tests.support.signatures import EXPECTED, NOW_S, PRIVATE, private_key, signed, trusted

DOCUMENT = {"servers": [{"namespace": "a"}]}
GOOD = signed(DOCUMENT, version=5)
# The order of the base point (RFC 8032, 5.1): S + L signs what S signs, for who does not look.
ORDER = 2**252 + 27742317777372353535851937790883648493


def refusal(signature: Signed, document: object = DOCUMENT, **changes: Any) -> str:
    with pytest.raises(ArtifactError) as refused:
        verify(identity(document), signature, EXPECTED._replace(**changes))
    return refused.value.code


def envelope(**changes: object) -> dict[str, object]:
    return {**GOOD.envelope._asdict(), **changes}


@pytest.mark.parametrize(
    ("document", "text"),
    [
        pytest.param({"b": 1, "a": [True, None]}, b'{"a":[true,null],"b":1}', id="order"),
        pytest.param({"z": "é😀\x00/"}, rb'{"z":"\u00e9\ud83d\ude00\u0000/"}', id="ascii"),
        pytest.param({"ﬀ": 0, "😀": 0}, rb'{"\ufb00":0,"\ud83d\ude00":0}', id="code-points"),
        pytest.param([1, 1.0, 1e22, -0.0], b"[1,1.0,1e+22,-0.0]", id="numbers"),
    ],
)
def test_a_document_has_one_form(document: object, text: bytes) -> None:
    assert canonical(document) == text


@pytest.mark.parametrize(
    "document",
    [float("nan"), float("inf"), {"a": b""}, {"a": {1, 2}}, {1: "a"}, [{"a": {None: 1}}], object()],
    ids=["nan", "infinite", "octets", "set", "key-1", "key-none-below", "object"],
)
def test_what_json_lacks_has_no_form(document: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(document)


def test_what_contains_itself_has_no_form() -> None:
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(ValueError, match="ircular"):
        canonical(loop)


def test_what_is_nested_too_deep_has_no_form() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]

    with pytest.raises(ValueError, match="JSON"):
        canonical(deep)


def test_an_identity_is_the_digest_of_the_form() -> None:
    assert identity({"a": 1}) == hashlib.sha256(b'{"a":1}').hexdigest()


def test_the_envelope_is_signed_in_canonical_form() -> None:
    assert GOOD.envelope.canonical() == canonical(envelope())


def test_what_a_trusted_key_signed_for_here_is_accepted() -> None:
    verify(identity(DOCUMENT), GOOD, EXPECTED._replace(floor=Floor(4, "0" * 64)))


def test_another_registry_is_tampered_with() -> None:
    assert refusal(GOOD, {"servers": []}) == "TAMPERED"


def test_a_key_that_nobody_trusts_is_unknown() -> None:
    assert refusal(signed(DOCUMENT, private=private_key(2))) == "UNKNOWN_KEY"


def test_a_key_that_goes_by_another_s_name_is_unknown() -> None:
    other = TrustedKey(private_key(2).public_key)

    assert refusal(GOOD, keys={PRIVATE.key_id: other}) == "UNKNOWN_KEY"


@pytest.mark.parametrize(("now", "code"), [(NOW_S, "EXPIRED_KEY"), (NOW_S + 1, "EXPIRED_KEY")])
def test_a_key_counts_until_it_expires(now: float, code: str) -> None:
    ends = {PRIVATE.key_id: TrustedKey(PRIVATE.public_key, NOW_S)}

    assert refusal(GOOD, keys=ends, now=now) == code


@pytest.mark.parametrize("now", [NOW_S - 1, None], ids=["before", "not-asked"])
def test_a_key_that_expires_later_counts(now: float | None) -> None:
    ends = {PRIVATE.key_id: TrustedKey(PRIVATE.public_key, NOW_S)}

    verify(identity(DOCUMENT), GOOD, EXPECTED._replace(keys=ends, now=now))


def test_a_signature_for_another_profile_does_not_count() -> None:
    assert refusal(GOOD, profile="fleet/prod") == "OTHER_PROFILE"


@pytest.mark.parametrize(
    ("floor", "admitted"),
    [
        pytest.param(Floor(), True, id="none"),
        pytest.param(Floor(4, "0" * 64), True, id="newer"),
        pytest.param(Floor(5, identity(DOCUMENT)), True, id="the-same-again"),
        pytest.param(Floor(5), True, id="min-version"),
        pytest.param(Floor(5, "0" * 64), False, id="another-of-the-same-version"),
        pytest.param(Floor(6, identity(DOCUMENT)), False, id="the-same-of-an-older-version"),
        pytest.param(Floor(6), False, id="below-min-version"),
    ],
)
def test_a_version_only_grows(floor: Floor, *, admitted: bool) -> None:
    assert floor.admits(GOOD.envelope) is admitted
    if not admitted:
        assert refusal(GOOD, floor=floor) == "OLD_VERSION"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("registry_sha256", identity({"servers": []})),
        ("profile", "other"),
        ("version", 6),
        ("created_at", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_changed_envelope_is_not_what_was_signed(field: str, value: object) -> None:
    forged = signed_of(envelope(**{field: value}), GOOD.signature)

    # With everything else as the forger wants it.
    changes = {"profile": value} if field == "profile" else {}
    assert refusal(forged, **changes) == "BAD_SIGNATURE"


def test_a_signature_under_another_s_name_is_not_theirs() -> None:
    other = private_key(2)
    forged = signed_of(envelope(key_id=other.key_id), GOOD.signature)

    assert refusal(forged, keys=trusted(PRIVATE, other)) == "BAD_SIGNATURE"


def test_a_signature_cannot_be_written_with_another_number() -> None:
    octets = base64.b64decode(GOOD.signature)
    scalar = int.from_bytes(octets[32:], "little") + ORDER
    other = base64.b64encode(octets[:32] + scalar.to_bytes(32, "little")).decode()

    assert refusal(GOOD._replace(signature=other)) == "BAD_SIGNATURE"


def test_what_is_no_public_key_signs_nothing() -> None:
    no_key = TrustedKey(b"short")
    forged = GOOD._replace(envelope=GOOD.envelope._replace(key_id=no_key.key_id))

    assert refusal(forged, keys={no_key.key_id: no_key}) == "BAD_SIGNATURE"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("version", -1),
        ("version", True),
        ("version", 1.0),
        ("version", "1"),
        ("version", None),
        ("version", LARGEST_VERSION + 1),
        ("registry_sha256", "A" * 64),
        ("registry_sha256", "a" * 63),
        ("registry_sha256", "a" * 64 + "\n"),
        ("registry_sha256", "\N{FULLWIDTH DIGIT ONE}" * 64),
        ("registry_sha256", 1),
        ("profile", ""),
        ("profile", ".."),
        ("profile", "a/b/c"),
        ("profile", "a/../b"),
        ("profile", "a\x00"),
        ("profile", "é"),
        ("profile", "a" * 65),
        ("profile", ["a"]),
        ("created_at", "2026-02-30T00:00:00Z"),
        ("created_at", "2026-01-01T24:00:01Z"),
        ("created_at", "2026-01-01T00:00:00+00:00"),
        ("created_at", "2026-01-01 00:00:00Z"),
        ("created_at", "\N{ARABIC-INDIC DIGIT TWO}026-01-01T00:00:00Z"),
        ("created_at", "0000-01-01T00:00:00Z"),
        ("created_at", 0),
        ("key_id", "f" * 15),
        ("key_id", "F" * 16),
        ("key_id", None),
    ],
)
def test_an_envelope_says_nothing_else(field: str, value: object) -> None:
    with pytest.raises(ArtifactError, match=f"^{field}") as refused:
        signed_of(envelope(**{field: value}), GOOD.signature)

    assert refused.value.code == "BAD_ENVELOPE"


@pytest.mark.parametrize(
    "odd",
    [None, [], {}, envelope(more=1), {"version": 1}, "envelope"],
    ids=["null", "list", "empty", "more", "less", "text"],
)
def test_an_envelope_has_its_fields_and_no_others(odd: object) -> None:
    with pytest.raises(ArtifactError, match="nothing else"):
        signed_of(odd, GOOD.signature)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(GOOD.signature.rstrip("="), id="no-padding"),
        pytest.param(GOOD.signature + "\n", id="line-end"),
        pytest.param(" " + GOOD.signature, id="space"),
        pytest.param(GOOD.signature + "====", id="more-padding"),
        pytest.param(base64.urlsafe_b64encode(b"\xff" * 64).decode(), id="other-alphabet"),
        pytest.param(base64.b64encode(b"\xff" * 63).decode(), id="short"),
        pytest.param(base64.b64encode(b"\xff" * 65).decode(), id="long"),
        pytest.param("A" * 85 + "B==", id="loose-bits"),
        pytest.param("é" * 88, id="not-ascii"),
        pytest.param("", id="empty"),
        pytest.param(None, id="null"),
        pytest.param(1, id="number"),
    ],
)
def test_a_signature_is_written_in_one_way(written: object) -> None:
    with pytest.raises(ArtifactError, match="base64"):
        signed_of(envelope(), written)


def test_what_is_written_is_read_again() -> None:
    assert read_signed(orjson.dumps(GOOD.document())) == GOOD


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{}", id="nothing-in-it"),
        pytest.param(b'\xef\xbb\xbf{"envelope":{},"signature":""}', id="mark"),
        pytest.param('{"envelope":{},"signature":""}'.encode("utf-16"), id="utf-16"),
        pytest.param(b'{"envelope":{},"signature":"\xff"}', id="not-utf-8"),
        pytest.param(orjson.dumps({**GOOD.document(), "more": 1}), id="more"),
        pytest.param(b'{"envelope":{},"signature":NaN}', id="nan"),
        pytest.param(b'{"envelope":{},"signature":"",}', id="comma"),
        pytest.param(b"[" * 10_000, id="deep"),
        pytest.param(b"\x00", id="nul"),
        pytest.param(b"1" * 10_000, id="huge-number"),
        pytest.param(orjson.dumps(GOOD.document()) + b" " * MOST_SIGNED_BYTES, id="too-long"),
    ],
)
def test_what_is_no_signature_file_is_refused(text: bytes) -> None:
    with pytest.raises(ArtifactError) as refused:
        read_signed(text)

    assert refused.value.code == "BAD_ENVELOPE"


@pytest.mark.parametrize("again", [b'"profile"', rb'"\u0070rofile"'], ids=["plain", "escaped"])
def test_a_key_that_is_repeated_is_refused(again: bytes) -> None:
    text = orjson.dumps(GOOD.document())

    with pytest.raises(ArtifactError, match="each key once"):
        read_signed(text.replace(b'"profile"', again + b': "other", "profile"'))


@pytest.mark.parametrize("number", [b"5.0", b"5e0", b'"5"', b"05", b"true", b"9" * 5000])
def test_a_version_is_a_whole_number(number: bytes) -> None:
    text = orjson.dumps(GOOD.document()).replace(b'"version":5', b'"version":' + number)

    with pytest.raises(ArtifactError):
        read_signed(text)


def test_a_document_is_read_with_each_key_once() -> None:
    with pytest.raises(ArtifactError):
        read_json('{"a": {"b": 1, "b": 1}}')


def test_envelopes_have_the_fields_of_the_contract() -> None:
    named = ("registry_sha256", "profile", "version", "created_at", "key_id")

    assert Envelope._fields == named
