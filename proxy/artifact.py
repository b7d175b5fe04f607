"""A signed registry: is this text what a trusted key signed, for here, and not an older one?

Knows the canonical form, the envelope and Ed25519 (RFC 8032). Knows nothing of files, of where a
text came from, or of what a registry means. Identity, envelope and checks are those of
`contract/generations.md`; whoever holds an artifact can check it with this module alone.
"""

import base64
import hashlib
import json  # noqa: TID251 - bytes that must equal json.dumps, and keys that may come once
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

_HEX_64: Final = re.compile(r"[0-9a-f]{64}")
_KEY_ID: Final = re.compile(r"[0-9a-f]{16}")
_PROFILE: Final = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?"
)
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
LARGEST_VERSION: Final = 2**53 - 1  # RFC 7493, 2.2: what no reader takes for its neighbour
MOST_SIGNED_BYTES: Final = 16 * 1024  # of a signature or a public key: twenty times what they take
_SIGNATURE_BYTES: Final = 64
_PUBLIC_KEY_BYTES: Final = 32
_PUBLIC_FIELDS: Final = ("key_id", "public_key", "created_at", "expires_at")


class ArtifactError(Exception):
    """What is there is not what was signed, or not for here; `code` says which, for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def canonical(document: object) -> bytes:
    """The one form of a document: sorted keys, no spaces, ASCII; ValueError for what JSON lacks."""
    try:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"not a JSON document: {error}") from None
    _refuse_other_keys(document)
    return text.encode("ascii")


def identity(document: object) -> str:
    """SHA-256 of the canonical form: 64 lower-case hexadecimal digits."""
    return hashlib.sha256(canonical(document)).hexdigest()


def key_id_of(public_key: bytes) -> str:
    """What a public key (32 octets) is called: 16 hexadecimal digits that follow from it."""
    return hashlib.sha256(public_key).hexdigest()[:16]


class Envelope(NamedTuple):
    """What is signed: which registry, for which deployment, as which version, by which key."""

    registry_sha256: str
    profile: str
    version: int
    created_at: str  # UTC, RFC 3339, whole seconds
    key_id: str

    def canonical(self) -> bytes:
        """The octets under the signature."""
        return canonical(self._asdict())


class Signed(NamedTuple):
    """An envelope and its Ed25519 signature (canonical base64 of 64 octets)."""

    envelope: Envelope
    signature: str

    def document(self) -> dict[str, object]:
        """As it stands in `registry.yaml.sig`."""
        return {"envelope": self.envelope._asdict(), "signature": self.signature}


class TrustedKey(NamedTuple):
    """A public key (32 octets) that may sign, until `expires_at` (seconds of the epoch)."""

    public_key: bytes
    expires_at: float | None = None

    @property
    def key_id(self) -> str:
        return key_id_of(self.public_key)


class Floor(NamedTuple):
    """The newest version that was ever accepted, and of which registry; (0, "") for none."""

    version: int = 0
    registry_sha256: str = ""

    def admits(self, envelope: Envelope) -> bool:
        """Newer, or the very same again."""
        if envelope.version == self.version and self.registry_sha256:
            return envelope.registry_sha256 == self.registry_sha256
        return envelope.version >= self.version

    def why_not(self, envelope: Envelope) -> str:
        """What to say of one that is not admitted."""
        if envelope.version == self.version:
            return f"version {self.version} was another registry: sign it as a newer version"
        return f"version {envelope.version} is older than {self.version}: sign it as a newer one"


class Expected(NamedTuple):
    """What a signature is held against.

    `now` is in seconds of the epoch; without it, it is not asked whether keys have expired.
    """

    keys: Mapping[str, TrustedKey]  # by key id
    profile: str
    floor: Floor = Floor()
    now: float | None = None


def read_signed(text: bytes | str) -> Signed:
    """The text of a `.sig` file; raises `ArtifactError`."""
    document = _read_small(text)
    if not isinstance(document, dict) or document.keys() != {"envelope", "signature"}:
        raise _bad("a signature file holds {envelope, signature} and nothing else")
    return signed_of(document["envelope"], document["signature"])


def signed_of(envelope: object, signature: object) -> Signed:
    """An envelope and a signature that were parsed already; raises `ArtifactError`."""
    if not isinstance(envelope, dict) or envelope.keys() != set(Envelope._fields):
        raise _bad(f"an envelope holds {', '.join(Envelope._fields)} and nothing else")
    for name, (fits, wanted) in _GRAMMARS.items():
        if not isinstance(envelope[name], str) or not fits(envelope[name]):
            raise _bad(f"{name} of the envelope must be {wanted}")
    version = envelope["version"]
    if type(version) is not int or not 1 <= version <= LARGEST_VERSION:
        raise _bad(f"version of the envelope must be a whole number from 1 to {LARGEST_VERSION}")
    if _octets_of(signature, _SIGNATURE_BYTES) is None:
        raise _bad("the signature must be canonical base64 of 64 octets")
    return Signed(Envelope(**envelope), str(signature))


class Parts(NamedTuple):
    """An artifact, taken apart: what is registered, and what is signed of it, as it was written."""

    payload: Any
    artifact_id: object = None
    envelope: object = None
    signature: object = None

    @property
    def is_signed(self) -> bool:
        return self.envelope is not None

    def signed(self) -> Signed:
        """Raises `ArtifactError`."""
        return signed_of(self.envelope, self.signature)

    def check_name(self, registry_sha256: str) -> None:
        """Raise `ArtifactError` if it says that it is called otherwise."""
        if self.artifact_id not in {None, registry_sha256}:
            raise ArtifactError("TAMPERED", "the payload is not the one that artifact_id names")


def parts_of(document: object) -> Parts | None:
    """The parts of an artifact, or None for what is none: a registry has servers, and no payload.

    Raises `ArtifactError` for one that is broken.
    """
    if not isinstance(document, dict) or "payload" not in document or "servers" in document:
        return None
    if document.keys() - set(Parts._fields):
        raise _broken(f"an artifact holds {', '.join(Parts._fields)} and nothing else")
    parts = Parts(**document)
    if (parts.envelope is None) != (parts.signature is None):
        raise _broken("an envelope and its signature come together")
    if not isinstance(parts.artifact_id, str | None):
        raise _broken("artifact_id must be a string")
    return parts


def read_public(text: bytes | str) -> TrustedKey:
    """The text of a `.pub` file; raises `ArtifactError`."""
    document = _read_small(text)
    if not isinstance(document, dict) or document.keys() != set(_PUBLIC_FIELDS):
        raise _no_key(f"a public key holds {{{', '.join(_PUBLIC_FIELDS)}}} and nothing else")
    octets = _octets_of(document["public_key"], _PUBLIC_KEY_BYTES)
    if octets is None:
        raise _no_key("public_key must be canonical base64 of 32 octets")
    if document["key_id"] != key_id_of(octets):
        raise _no_key("key_id is not the one that follows from public_key")
    expires_at = document["expires_at"]
    if not _is_moment(document["created_at"]):
        raise _no_key(f"created_at must be {_A_MOMENT}")
    if not (expires_at is None or _is_moment(expires_at)):
        raise _no_key(f"expires_at must be null, or {_A_MOMENT}")
    return TrustedKey(octets, None if expires_at is None else epoch_s_of(expires_at))


def public_document(key: TrustedKey, created_at: str) -> dict[str, object]:
    """A public key as it stands in its `.pub` file."""
    written = base64.b64encode(key.public_key).decode()
    expires_at = None if key.expires_at is None else moment(key.expires_at)
    return dict(zip(_PUBLIC_FIELDS, (key.key_id, written, created_at, expires_at), strict=True))


def verify(registry_sha256: str, signed: Signed, expected: Expected) -> None:
    """Raise `ArtifactError` unless this registry is what a trusted key signed for here."""
    envelope = signed.envelope
    key = expected.keys.get(envelope.key_id)
    if key is None or key.key_id != envelope.key_id:
        message = f"signed by {envelope.key_id}, which is not trusted here: trust it, or sign anew"
        raise ArtifactError("UNKNOWN_KEY", message)
    if not _is_signed_by(key.public_key, envelope.canonical(), signed.signature):
        message = f"the signature is not what {envelope.key_id} wrote: sign anew"
        raise ArtifactError("BAD_SIGNATURE", message)
    if envelope.registry_sha256 != registry_sha256:
        raise ArtifactError("TAMPERED", "the registry is not the one that was signed: sign anew")
    if envelope.profile != expected.profile:
        message = f"signed for profile {envelope.profile}: sign it for {expected.profile}"
        raise ArtifactError("OTHER_PROFILE", message)
    if not expected.floor.admits(envelope):
        raise ArtifactError("OLD_VERSION", expected.floor.why_not(envelope))
    if expected.now is not None and key.expires_at is not None and expected.now >= key.expires_at:
        message = f"the key {envelope.key_id} has expired: sign with another one"
        raise ArtifactError("EXPIRED_KEY", message)


def read_json(text: bytes | str) -> Any:
    """JSON without repeated keys; raises `ArtifactError`."""
    try:
        written = text.decode() if isinstance(text, bytes) else text
        return json.loads(written, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise _bad("it cannot be read as JSON in UTF-8, with each key once") from None


def moment(epoch_s: float) -> str:
    """Seconds of the epoch as envelopes write them."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def epoch_s_of(written: str) -> float:
    """A moment as envelopes write it, in seconds of the epoch; ValueError for anything else."""
    if not _MOMENT.fullmatch(written):
        raise ValueError(f"expected {_A_MOMENT}")
    return datetime.fromisoformat(written).timestamp()


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(epoch_s_of(value))
    except ValueError:  # the 30th of February
        return False


def _refuse_other_keys(document: object) -> None:
    """A key that is no string would be written as one: two documents, and one identity."""
    below = [document]
    while below:
        value = below.pop()
        if isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise ValueError("not a JSON document: a key is no string")
            below += value.values()
        elif isinstance(value, list | tuple):
            below += value


def _read_small(text: bytes | str) -> Any:
    if len(text) > MOST_SIGNED_BYTES:
        raise _bad(f"it is longer than {MOST_SIGNED_BYTES} octets")
    return read_json(text)


def _is_signed_by(public_key: bytes, octets: bytes, signature: str) -> bool:
    # Imported here: a client that verifies nothing needs no cryptography.
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415 - as above
        Ed25519PublicKey,
    )

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(base64.b64decode(signature), octets)
    except (InvalidSignature, ValueError):
        return False
    return True


def _octets_of(text: object, length: int) -> bytes | None:
    """Base64 that can be written in this one way only (RFC 4648, 3.5)."""
    try:
        octets = base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return None
    canonically = base64.b64encode(octets).decode() == text
    return octets if canonically and len(octets) == length else None


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("a repeated key")
    return mapping


def _no_constant(name: str) -> object:
    raise ValueError(name)


def _bad(message: str) -> ArtifactError:
    return ArtifactError("BAD_ENVELOPE", message)


def _broken(message: str) -> ArtifactError:
    return ArtifactError("BAD_ARTIFACT", message)


def _no_key(message: str) -> ArtifactError:
    return ArtifactError("BAD_KEY", message)


_A_MOMENT: Final = "a moment in UTC such as 2026-01-31T12:00:00Z"
_GRAMMARS: Final[Mapping[str, tuple[Callable[[str], object], str]]] = {
    "registry_sha256": (_HEX_64.fullmatch, "64 lower-case hexadecimal digits"),
    "profile": (_PROFILE.fullmatch, "a profile such as default or client/profile"),
    "created_at": (_is_moment, _A_MOMENT),
    "key_id": (_KEY_ID.fullmatch, "16 lower-case hexadecimal digits"),
}
