"""An issuer of tokens: one key pair, and tokens that are good but for what a test spoils."""

from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "toolproxy"
KEY_ID: Final = "first"
ALGORITHM: Final = "ES256"


@cache
def key_pair() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_key(directory: Path) -> str:
    """A file with the key that `auth.jwt.key_file` may name."""
    path = directory / "issuer.pem"
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key_pair().public_key().public_bytes(encoding, form))
    return str(path)


def trusting(directory: Path) -> dict[str, object]:
    """`auth.jwt` that believes this issuer."""
    return {
        "key_file": public_key(directory),
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "teams_claim": "teams",
    }


def token(subject: str = "ada", *, lives_for_s: float = 600.0, **claims: object) -> str:
    now = datetime.now(UTC)
    usual: dict[str, object] = {
        "sub": subject,
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + timedelta(seconds=lives_for_s),
    }
    return jwt.encode(usual | claims, key_pair(), algorithm=ALGORITHM, headers={"kid": KEY_ID})
