"""Whoever signs registries: key pairs from words, and what they sign, as files have it."""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.artifact import Envelope, Signed, TrustedKey, identity, public_document

AT: Final = "2026-01-31T12:00:00Z"


class Signer:
    """One who signs; of one word always the same."""

    def __init__(self, word: str = "signer") -> None:
        self.word = word
        self._private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(word.encode()).digest())
        self.key = TrustedKey(self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"<Signer {self.word}>"

    def signs(
        self, document: object, version: int = 1, *, profile: str = "default", of: str = ""
    ) -> Signed:
        """The signature of a document; `of` names another one in its envelope."""
        envelope = Envelope(of or identity(document), profile, version, AT, self.key.key_id)
        octets = self._private.sign(envelope.canonical())
        return Signed(envelope, base64.b64encode(octets).decode())

    def is_trusted_in(self, folder: Path, *, until: float | None = None) -> None:
        """Write `<word>.pub`; `until` is in seconds of the epoch."""
        folder.mkdir(exist_ok=True)
        key = self.key._replace(expires_at=until)
        folder.joinpath(f"{self.word}.pub").write_bytes(orjson.dumps(public_document(key, AT)))

    def is_no_longer_trusted_in(self, folder: Path) -> None:
        folder.joinpath(f"{self.word}.pub").unlink()


def beside(signed: Signed) -> bytes:
    """The text of a `.sig` file."""
    return orjson.dumps(signed.document())


def artifact(document: object, signed: Signed | None, **more: object) -> bytes:
    """All in one, as it is served and published."""
    parts: Mapping[str, object] = signed.document() if signed else {}
    return orjson.dumps({"payload": document, **parts, **more})
