"""What a registry is called: the SHA-256 of its canonical form, whatever it was written in.

Knows documents, also those with values that JSON does not have. Knows nothing of what they mean.
"""

import hashlib
import json  # noqa: TID251 - an identity is that of json.dumps, to the octet
from typing import Final, NamedTuple

from proxy.artifact import canonical
from proxy.config.compose import Odd
from proxy.config.document import MAX_BYTES

# Aliases let a small text stand for a large document.
_MAX_CANONICAL_BYTES: Final = 4 * MAX_BYTES
_AROUND_BYTES: Final = 4  # comma, colon, brackets


class Canonical(NamedTuple):
    """A document's one form; not `exact` when it has values that JSON lacks: nobody can sign it."""

    octets: bytes
    exact: bool = True

    @property
    def identity(self) -> str:
        return hashlib.sha256(self.octets).hexdigest()


def canonical_of(document: object, *, shares: bool = True) -> Canonical:
    """The canonical form; ValueError for a document that `shares` parts so often that it is huge.

    A date, a set or another value that JSON does not have stands there as YAML would tag it.
    """
    if shares and _size(document, {}) > _MAX_CANONICAL_BYTES:
        raise ValueError(f"aliases unfold to more than {_MAX_CANONICAL_BYTES // 1024**2} MiB")
    try:
        return Canonical(canonical(document))
    except ValueError:
        text = json.dumps(document, sort_keys=True, separators=(",", ":"), default=_tagged)
        return Canonical(text.encode("ascii"), exact=False)


def _tagged(value: object) -> dict[str, str]:
    if isinstance(value, Odd):
        return {f"!{value.kind}": value.text}
    raise TypeError(type(value).__name__)


def _size(value: object, known: dict[int, int]) -> int:
    """About how long it is written; a part that is shared is looked at once."""
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, str):
        size = len(json.dumps(value)) + _AROUND_BYTES
    elif isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        size = sum(_size(part, known) + _AROUND_BYTES for part in parts)
    else:
        size = _AROUND_BYTES
    known[id(value)] = size
    return size
