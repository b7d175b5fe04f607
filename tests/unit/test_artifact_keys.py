import base64
import hashlib

import orjson
import pytest

from proxy.artifact import (
    ArtifactError,
    TrustedKey,
    epoch_s_of,
    key_id_of,
    moment,
    public_document,
    read_public,
)
from tests.support.signatures import NOW_S, PRIVATE

KEY = TrustedKey(PRIVATE.public_key, NOW_S)
PUBLIC = public_document(KEY, moment(NOW_S))


def test_a_public_key_that_is_written_is_read_again() -> None:
    assert read_public(orjson.dumps(PUBLIC)) == KEY


def test_a_key_without_an_end_has_none() -> None:
    forever = TrustedKey(PRIVATE.public_key)

    assert read_public(orjson.dumps(public_document(forever, moment(0.0)))) == forever


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"public_key": base64.b64encode(b"\0" * 31).decode()}, "32 octets"),
        ({"public_key": "AAAA"}, "32 octets"),
        ({"public_key": None}, "32 octets"),
        ({"key_id": "0" * 16}, "follows"),
        ({"key_id": None}, "follows"),
        ({"created_at": None}, "created_at"),
        ({"created_at": "soon"}, "created_at"),
        ({"expires_at": "2026-13-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": NOW_S}, "expires_at"),
        ({"more": 1}, "nothing else"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_no_public_key_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(ArtifactError, match=why) as refused:
        read_public(orjson.dumps({**PUBLIC, **changes}))

    assert refused.value.code == "BAD_KEY"


def test_a_key_is_called_by_its_digest() -> None:
    assert key_id_of(b"\1" * 32) == hashlib.sha256(b"\1" * 32).hexdigest()[:16]


@pytest.mark.parametrize("at", [0.0, NOW_S, 253402300799.0])
def test_a_moment_is_read_as_it_was_written(at: float) -> None:
    assert epoch_s_of(moment(at)) == at
