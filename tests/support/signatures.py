"""Signed registries without files: keys that are always the same, and what they signed."""

from collections.abc import Iterator
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.artifact import Expected, Signed, TrustedKey, identity, moment
from proxy.publishing.private_keys import PrivateKey
from proxy.publishing.signing import sign

NOW_S: Final = 1_800_000_000.0
PROFILE: Final = "default"


def private_key(seed: int = 1) -> PrivateKey:
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


PRIVATE: Final = private_key()


def trusted(*keys: PrivateKey) -> dict[str, TrustedKey]:
    return {key.key_id: TrustedKey(key.public_key) for key in keys}


EXPECTED: Final = Expected(trusted(PRIVATE), PROFILE, now=NOW_S)


def signed(
    document: object, *, profile: str = PROFILE, version: int = 1, private: PrivateKey = PRIVATE
) -> Signed:
    return sign(identity(document), profile, version, moment(NOW_S), private)


def flips(octets: bytes) -> Iterator[bytes]:
    """The octets with each of their bits the other way round, one at a time."""
    for place in range(len(octets)):
        for bit in range(8):
            flipped = bytearray(octets)
            flipped[place] ^= 1 << bit
            yield bytes(flipped)
