"""Trusted keys: whose signatures count?

A public key is a small JSON document in a folder. Private keys live where registries are published,
and never here. Every error says in one sentence which file it is about, never what is in it.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from proxy.artifact import MOST_SIGNED_BYTES, ArtifactError, TrustedKey, read_public

PUBLIC: Final = ".pub"
_MOST_KEYS: Final = 100
_MOST_ENTRIES: Final = 10_000
_MOST_TOLD: Final = 3


class KeysError(Exception):
    """A key, or a folder of them, cannot be used or made; one sentence."""


class Trusted(NamedTuple):
    """The keys of a folder by their ids, and what their files are called.

    `troubles` has a sentence for each file that is no key: it takes no other one away.
    """

    keys: Mapping[str, TrustedKey]
    names: Mapping[str, str]
    troubles: tuple[str, ...]


def read_trusted(folder: str | Path) -> Trusted:
    """Every `.pub` in a folder; raises `KeysError` when there is no key among them."""
    keys: dict[str, TrustedKey] = {}
    names: dict[str, str] = {}
    troubles = []
    for path in _public_files(Path(folder)):
        try:
            key = _read_public(path)
        except KeysError as error:
            troubles.append(str(error))
            continue
        before = keys.setdefault(key.key_id, key)
        if before.public_key != key.public_key:
            troubles.append(f"{path} has the key_id of another key: make a new one")
            continue
        keys[key.key_id] = _sooner(before, key)
        names.setdefault(key.key_id, path.stem)
    if not keys:
        why = "; ".join(troubles[:_MOST_TOLD]) or f"no file in it ends in {PUBLIC}"
        raise KeysError(f"{folder} holds no trusted key: {why}")
    return Trusted(keys, names, tuple(troubles))


def _sooner(one: TrustedKey, other: TrustedKey) -> TrustedKey:
    """Of one key in two files, the one that expires first."""
    ends = [each.expires_at for each in (one, other) if each.expires_at is not None]
    return one._replace(expires_at=min(ends, default=None))


def _public_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES + 1)]
    except (OSError, ValueError) as error:
        raise KeysError(f"trusted keys cannot be read from {folder}: {why(error)}") from None
    public = sorted(name for name in names if name.endswith(PUBLIC))
    # To take some of them would be to forget others at random.
    if len(names) > _MOST_ENTRIES or len(public) > _MOST_KEYS:
        raise KeysError(
            f"{folder} holds more than {_MOST_KEYS} keys, or {_MOST_ENTRIES} files:"
            " remove those that nobody signs with"
        )
    return [folder / name for name in public]


def _read_public(path: Path) -> TrustedKey:
    with opened(path) as handle:
        text = content_of(handle, path, MOST_SIGNED_BYTES)
    try:
        return read_public(text)
    except ArtifactError as error:
        raise KeysError(f"{path} is no public key: {error}") from None


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A regular file, by whatever links; a pipe is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise KeysError(f"{path} cannot be read: {why(error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise KeysError(f"{path} cannot be read: it is no regular file")
        yield handle
    finally:
        os.close(handle)


def content_of(handle: int, path: Path, most_bytes: int) -> bytes:
    try:
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {why(error)}") from None
    if len(content) > most_bytes:
        raise KeysError(f"{path} is no key: it is longer than {most_bytes} octets")
    return content


def why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
