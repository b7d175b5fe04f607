"""Properties of tokens: whatever comes ends in claims or in a sentence, and one bit spoils all."""

from pathlib import Path

import jwt
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.admission.claims import Claims
from proxy.admission.tokens import Tokens
from tests.support.token_issuer import (
    ALGORITHMS,
    NOW,
    Clock,
    claims,
    key_set,
    outcome,
    rules,
    signer,
)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    path: Path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(key_set(signer()))
    return Tokens(rules(str(path)), Clock(NOW))


@given(st.data())
@settings(max_examples=300)
def test_token_with_any_bit_flipped_is_refused(tokens: Tokens, data: st.DataObject) -> None:
    token = bytearray(signer().token())
    place = data.draw(st.integers(0, len(token) * 8 - 1))
    token[place // 8] ^= 1 << place % 8

    assert isinstance(outcome(tokens, bytes(token)), str)


PARTS = st.binary(max_size=60) | st.dictionaries(
    st.sampled_from(["alg", "kid", "crit", "exp", "sub", "aud"]),
    st.none() | st.text(max_size=5) | st.sampled_from(ALGORITHMS),
).map(lambda said: jwt.utils.base64url_encode(orjson.dumps(said)))


@given(st.binary(max_size=200) | st.lists(PARTS, max_size=6).map(b".".join))
@settings(max_examples=150)
def test_any_octets_are_refused_in_a_sentence(tokens: Tokens, token: bytes) -> None:
    assert isinstance(outcome(tokens, token), str)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted({*claims(), "client_id"})), JSON))
@settings(max_examples=150)
def test_whatever_a_signed_token_says_ends_in_claims_or_a_sentence(
    tokens: Tokens, changes: dict[str, object]
) -> None:
    token = signer().token(**changes)

    assert isinstance(outcome(tokens, token), Claims | str)
