"""Whose signatures does this caller believe?

Keys of a folder, of a mapping, or as they are. Knows nothing of what is signed.
"""

import base64
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from proxy.artifact import MOST_SIGNED_BYTES, ArtifactError, TrustedKey, read_public

_PUBLIC: Final = "*.pub"
_MOST_KEYS: Final = 100

TrustedKeys = str | os.PathLike[str] | Mapping[str, str] | Iterable[TrustedKey]


def keys_of(given: TrustedKeys) -> dict[str, TrustedKey]:
    """By key id; raises `ArtifactError` when there is none, or one that cannot be."""
    if isinstance(given, Mapping):
        found = [_key(key_id, written) for key_id, written in given.items()]
    elif isinstance(given, str | os.PathLike):
        found = list(_keys_in(Path(given)))
    else:
        found = list(given)
    if not found:
        raise ArtifactError("NO_TRUSTED_KEYS", "there is no trusted key")
    # Of one key that is there twice, what ends sooner holds.
    return {key.key_id: key for key in sorted(found, key=_ends_at, reverse=True)}


def _ends_at(key: TrustedKey) -> float:
    return float("inf") if key.expires_at is None else key.expires_at


def _key(key_id: str, written: str) -> TrustedKey:
    try:
        key = TrustedKey(base64.b64decode(written, validate=True))
    except ValueError:
        key = TrustedKey(b"")
    if key.key_id != key_id:
        raise ArtifactError("BAD_KEY", f"the public key of {key_id!r} is another one, or none")
    return key


def _keys_in(folder: Path) -> Iterator[TrustedKey]:
    """A file that is no key takes no other one away."""
    files = sorted(folder.glob(_PUBLIC)) if folder.is_dir() else []
    if len(files) > _MOST_KEYS:
        raise ArtifactError("NO_TRUSTED_KEYS", f"{folder} holds more than {_MOST_KEYS} keys")
    for file in files:
        try:
            yield read_public(_octets_of(file))
        except (ArtifactError, OSError):
            continue


def _octets_of(file: Path) -> bytes:
    # A pipe that nobody writes to would hold us.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError("not a regular file")
        return opened.read(MOST_SIGNED_BYTES + 1)
