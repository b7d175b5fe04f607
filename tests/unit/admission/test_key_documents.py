"""Facts about keys: which are taken from a document, and why others are not."""

from pathlib import Path

import orjson
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as rsa_key

from proxy.admission.key_documents import ASYMMETRIC, FileKeys
from tests.support.token_issuer import Signer, key_set, signer

FIRST = signer()
SECOND = signer(kid="second")


def certificate() -> tuple[bytes, bytes]:
    issued = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert(
        "issuer.example", key_type=trustme.KeyType.RSA
    )
    return issued.cert_chain_pems[0].bytes(), issued.private_key_pem.bytes()


RSA_FAMILY = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}


@pytest.mark.parametrize(
    ("content", "kid", "algorithms"),
    [
        pytest.param(signer("RS256").public_pem, None, RSA_FAMILY, id="rsa-pem"),
        pytest.param(signer("ES384").public_pem, None, {"ES384"}, id="ec-pem"),
        pytest.param(signer("EdDSA").public_pem, None, {"EdDSA"}, id="ed25519-pem"),
        pytest.param(certificate()[0], None, RSA_FAMILY, id="certificate"),
        pytest.param(b"a note\n" + FIRST.public_pem, None, {"ES256"}, id="pem-with-a-note"),
        pytest.param(orjson.dumps(FIRST.jwk()), "first", {"ES256"}, id="jwk"),
        pytest.param(b"\n" + key_set(FIRST), "first", {"ES256"}, id="jwk-set"),
    ],
)
async def test_key_is_taken_from_a_file_with_all_that_fits_it(
    tmp_path: Path, content: bytes, kid: str | None, algorithms: set[str]
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    keys = await FileKeys(str(path), ASYMMETRIC).current()

    assert [(key.kid, set(key.algorithms)) for key in keys] == [(kid, algorithms)]


PEM_EXPECTED = "expected one public key or certificate in PEM, or a JWK or JWK set"
PRIVATE = "it has a private key: only the public one belongs here"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", PEM_EXPECTED, id="empty"),
        pytest.param(b"secret", PEM_EXPECTED, id="text"),
        pytest.param(FIRST.public_pem + SECOND.public_pem, PEM_EXPECTED, id="two-keys"),
        pytest.param(FIRST.private_pem, PRIVATE, id="private-pem"),
        pytest.param(b"".join(certificate()), PRIVATE, id="certificate-with-its-key"),
        pytest.param(
            b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
            "its PEM is no public key or certificate",
            id="broken-pem",
        ),
        pytest.param(
            Signer("ES256K", "", generate_private_key(SECP256K1())).public_pem,
            "none of the allowed algorithms fits it",
            id="other-curve",
        ),
        pytest.param(
            Signer("RS256", "", rsa_key(65537, 1024)).public_pem,  # noqa: S505 - that is the point
            "an RSA key must have 2048 to 16384 bits",
            id="short-rsa",
        ),
        pytest.param(
            orjson.dumps(FIRST.private_jwk()),
            "it is a private key: whoever can read it can sign tokens",
            id="private-jwk",
        ),
        pytest.param(b"{", "expected a JWK set: this is no JSON", id="no-json"),
        pytest.param(
            b"{}", "expected a JWK set: an object with a list `keys`", id="object-without-keys"
        ),
        pytest.param(b'{"keys": []}', "it has no keys", id="no-keys"),
        pytest.param(b" " * 1_048_577, "it is larger than 1048576 bytes", id="too-large"),
    ],
)
def test_file_that_is_of_no_use_is_refused_with_its_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="can't be used") as caught:
        FileKeys(str(path), ASYMMETRIC)

    assert str(caught.value) == f"key_file {path} can't be used: {reason}"


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "key"

    with pytest.raises(ValueError, match=f"^key_file {path} can't be read: No such file"):
        FileKeys(str(path), ASYMMETRIC)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(7, id="number"),
        pytest.param({}, id="empty"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "bad"}, id="shared-secret"),
        pytest.param({"kty": ["RSA"]}, id="list-as-type"),
        pytest.param({"kty": "RSA", "n": 1, "e": "AQAB"}, id="number-as-modulus"),
        pytest.param({"kty": "RSA", "n": "AQAB", "e": "AQAB"}, id="tiny-modulus"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, id="short-point"),
        pytest.param(FIRST.jwk(x="A" * 43), id="point-off-the-curve"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "AA"}, id="key-of-agreement"),
        pytest.param(FIRST.jwk(use="enc"), id="for-encryption"),
        pytest.param(FIRST.jwk(key_ops=["sign"]), id="for-signing"),
        pytest.param(FIRST.jwk(key_ops=7), id="odd-operations"),
        pytest.param(FIRST.jwk(alg="HS256"), id="algorithm-of-secrets"),
        pytest.param(FIRST.jwk(alg="RS256"), id="algorithm-of-other-keys"),
        pytest.param(FIRST.jwk(alg=["ES256"]), id="list-of-algorithms"),
        pytest.param(FIRST.jwk(kid=7), id="number-as-name"),
        pytest.param(FIRST.private_jwk(), id="private"),
    ],
)
async def test_good_keys_of_a_set_are_used_beside_a_bad_one(tmp_path: Path, bad: object) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(orjson.dumps({"keys": [bad, SECOND.jwk()]}))

    assert [key.kid for key in await FileKeys(str(path), ASYMMETRIC).current()] == ["second"]


async def test_only_so_many_keys_of_a_set_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(orjson.dumps({"keys": [FIRST.jwk()] * 101}))

    assert len(await FileKeys(str(path), ASYMMETRIC).current()) == 100
