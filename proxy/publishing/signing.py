"""Signing: an envelope for a registry, and the two forms in which it goes to sidecars.

Beside the registry (`registry.yaml.sig`), or with it in one JSON artifact. Knows nothing of files.
"""

import base64
import json  # noqa: TID251 - a payload's octets are those of json.dumps
from typing import Any, Final

from proxy.artifact import (
    ArtifactError,
    Envelope,
    Parts,
    Signed,
    identity,
    parts_of,
    read_json,
    signed_of,
)
from proxy.config.document import MAX_BYTES
from proxy.publishing.private_keys import PrivateKey

_BLANK: Final = b" \t\r\n"


def sign(
    registry_sha256: str, profile: str, version: int, created_at: str, private: PrivateKey
) -> Signed:
    """An envelope and its signature; `ArtifactError` for what no envelope may say."""
    envelope = Envelope(registry_sha256, profile, version, created_at, private.key_id)
    signature = base64.b64encode(private.sign(envelope.canonical())).decode()
    return signed_of(envelope._asdict(), signature)


def sig_text(signed: Signed) -> bytes:
    """What stands in `registry.yaml.sig`: the same for the same, and easy to read."""
    return json.dumps(signed.document(), indent=2).encode() + b"\n"


def artifact_text(canonical: bytes, signed: Signed) -> bytes:
    """One document for a registry, in its canonical form, and its signature."""
    head = json.dumps(signed.document())[:-1].encode()
    return head + b', "payload": ' + canonical + b"}\n"


def split_artifact(text: bytes) -> tuple[Any, Signed | None] | None:
    """The payload and what signs it, or None for a text that is no artifact.

    Raises `ArtifactError` for an artifact that is broken. Whether the signature is that of the
    payload is not asked here.
    """
    if len(text) > MAX_BYTES or not text.lstrip(_BLANK).startswith(b"{"):
        return None
    parts = _parts_in(text)
    if parts is None:
        return None
    try:
        parts.check_name(identity(parts.payload))
    except ValueError:
        raise ArtifactError("BAD_ARTIFACT", "its payload has a number that JSON lacks") from None
    return parts.payload, parts.signed() if parts.is_signed else None


def _parts_in(text: bytes) -> Parts | None:
    try:
        document = json.loads(text.decode())
    except (ValueError, RecursionError):
        return None
    parts = parts_of(document)
    if parts is not None:
        read_json(text)  # with each key once
    return parts
