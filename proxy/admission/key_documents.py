"""Key documents: which public keys are in it, and with which algorithms may each be used?

Knows PEM and JSON Web Keys (RFC 7517). Knows nothing of tokens, nor of servers that publish keys.
"""

from pathlib import Path
from typing import Final, NamedTuple, get_args

import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.exceptions import PyJWTError

from proxy.config.access import Algorithm

ASYMMETRIC: Final[frozenset[str]] = frozenset(get_args(Algorithm))
_OF_RSA: Final = frozenset(each for each in ASYMMETRIC if each.startswith(("RS", "PS")))
_OF_CURVE: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_FROM_JWK: Final = {
    "RSA": RSAAlgorithm.from_jwk,
    "EC": ECAlgorithm.from_jwk,
    "OKP": OKPAlgorithm.from_jwk,
}
# What the two libraries raise for numbers that are no key.
_NO_KEY: Final = (ValueError, TypeError, KeyError, OverflowError, PyJWTError, UnsupportedAlgorithm)

_LEAST_RSA_BITS: Final = 2048
_MOST_RSA_BITS: Final = 16_384  # as OpenSSL has it: beyond, one verification takes too long
_MOST_KEYS: Final = 100
DOCUMENT_BYTES: Final = 1024 * 1024

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class Key(NamedTuple):
    """A public key, the name that tokens call it by, and all that it may be used with."""

    kid: str | None
    algorithms: frozenset[str]
    public: PublicKey


KeySet = tuple[Key, ...]


def named(keys: KeySet, kid: str | None) -> KeySet:
    """The keys that a token may mean: those of its name; where one side knows no names, any."""
    if kid is None or all(key.kid is None for key in keys):
        return keys
    return tuple([key for key in keys if key.kid == kid])


class FileKeys:
    """The keys of a file, as it was; raises ValueError, with a sentence, when it can't be used."""

    def __init__(self, path: str, pinned: frozenset[str]) -> None:
        try:
            with Path(path).open("rb") as file:
                content = file.read(DOCUMENT_BYTES + 1)
            self._keys = _of_content(content, pinned)
        except OSError as error:
            raise ValueError(f"key_file {path} can't be read: {error.strerror}") from None
        except _NO_KEY as error:
            raise ValueError(f"key_file {path} can't be used: {error}") from None

    def __repr__(self) -> str:
        return f"<FileKeys {len(self._keys)} keys>"

    async def current(self) -> KeySet:
        return self._keys

    async def renewed(self) -> KeySet:
        return self._keys

    async def close(self) -> None:
        pass


def _of_content(content: bytes, pinned: frozenset[str]) -> KeySet:
    if len(content) > DOCUMENT_BYTES:
        raise ValueError(f"it is larger than {DOCUMENT_BYTES} bytes")
    if not content.lstrip().startswith(b"{"):
        return (_of_pem(content, pinned),)
    keys, trouble = keys_of(content, pinned)
    if not keys:
        raise ValueError(trouble or "it has no keys")
    return keys


def _of_pem(content: bytes, pinned: frozenset[str]) -> Key:
    if b"PRIVATE KEY-----" in content:
        raise ValueError("it has a private key: only the public one belongs here")
    # A chain of certificates is none of keys: whoever signed one may not sign tokens.
    if content.count(b"-----BEGIN ") != 1:
        raise ValueError("expected one public key or certificate in PEM, or a JWK or JWK set")
    try:
        public: object = (
            x509.load_pem_x509_certificate(content).public_key()
            if b"-----BEGIN CERTIFICATE-----" in content
            else load_pem_public_key(content)
        )
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("its PEM is no public key or certificate") from None
    return _key(None, public, pinned)


def keys_of(body: bytes, pinned: frozenset[str]) -> tuple[KeySet, str]:
    """The keys of a JWK or a set of them that can be used, and what is wrong with another one."""
    try:
        document = orjson.loads(body)
    except ValueError:
        raise ValueError("expected a JWK set: this is no JSON") from None
    if isinstance(document, dict) and "kty" in document:
        document = {"keys": [document]}
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("expected a JWK set: an object with a list `keys`")  # noqa: TRY004 - its value
    keys: list[Key] = []
    trouble = ""
    for jwk in listed[:_MOST_KEYS]:
        try:
            keys.append(_of_jwk(jwk, pinned))
        except _NO_KEY as error:
            trouble = str(error)
    return tuple(keys), trouble


def _of_jwk(jwk: object, pinned: frozenset[str]) -> Key:
    if not isinstance(jwk, dict):
        raise TypeError("a key must be an object")
    if "d" in jwk:
        raise ValueError("it is a private key: whoever can read it can sign tokens")
    operations = jwk.get("key_ops", ["verify"])
    if jwk.get("use", "sig") != "sig" or "verify" not in operations:
        raise ValueError("it is not for signatures")
    kid, read = jwk.get("kid"), _FROM_JWK.get(jwk.get("kty", ""))
    if read is None or not (kid is None or isinstance(kid, str)):
        raise ValueError("expected an RSA, EC or OKP key, with text as `kid`")
    return _key(kid, read(jwk), frozenset({jwk["alg"]}) & pinned if "alg" in jwk else pinned)


def _key(kid: str | None, public: object, pinned: frozenset[str]) -> Key:
    """A key with those of the pinned algorithms that fit it."""
    if isinstance(public, RSAPublicKey):
        if not _LEAST_RSA_BITS <= public.key_size <= _MOST_RSA_BITS:
            raise ValueError(f"an RSA key must have {_LEAST_RSA_BITS} to {_MOST_RSA_BITS} bits")
        fitting = _OF_RSA & pinned
    elif isinstance(public, EllipticCurvePublicKey):
        fitting = frozenset({_OF_CURVE.get(public.curve.name, "")}) & pinned
    elif isinstance(public, Ed25519PublicKey):
        fitting = frozenset({"EdDSA"}) & pinned
    else:
        raise TypeError(f"a key of this kind is of no use: {type(public).__name__}")
    if not fitting:
        raise ValueError("none of the allowed algorithms fits it")
    return Key(kid, fitting, public)
