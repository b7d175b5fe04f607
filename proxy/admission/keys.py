"""API keys: which application shows this one?

Knows digests of keys, and no key. Knows nothing of headers.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from proxy.config.access import ApiKey
from proxy.registry.secrets import resolve_template

_ANYWHERE: Final = "/"  # the operator's own settings may name any file
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ApiKeys:
    """All keys that are in force."""

    def __init__(self, keys: tuple[ApiKey, ...], environ: Mapping[str, str]) -> None:
        """Read what the settings name; raises ValueError, without a secret in it."""
        self._by_digest: dict[bytes, tuple[bytes, ApiKey]] = {}
        for each in keys:
            digest = _digest_of(each, environ)
            if digest in self._by_digest:
                other = self._by_digest[digest][1].name
                raise ValueError(f"auth.api_keys: {each.name} and {other} have the same key")
            self._by_digest[digest] = digest, each

    def __repr__(self) -> str:
        return f"<ApiKeys {len(self._by_digest)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKeys) and self._by_digest == other._by_digest

    def __hash__(self) -> int:
        return hash(frozenset(self._by_digest))

    def __bool__(self) -> bool:
        return bool(self._by_digest)

    def find(self, shown: bytes) -> ApiKey | None:
        """Whose key it is.

        What is looked up is a digest, so how long it takes says nothing of any key; the last word
        is a comparison in constant time.
        """
        digest = hashlib.sha256(shown).digest()
        found = self._by_digest.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]


def _digest_of(each: ApiKey, environ: Mapping[str, str]) -> bytes:
    try:
        filled = resolve_template(each.sha256 or each.key, environ, _ANYWHERE)
    except ValueError as error:
        raise ValueError(f"auth.api_keys: {each.name}: {error}") from None
    if each.key:
        filled = filled.strip()  # as a field's value is, too
        if not filled:
            raise ValueError(f"auth.api_keys: {each.name}: {each.key} is empty, or not set")
        return hashlib.sha256(filled.encode("latin-1")).digest()
    digest = filled.strip().lower()
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"auth.api_keys: {each.name}: {each.sha256} is not 64 hexadecimal digits")
    return bytes.fromhex(digest)
