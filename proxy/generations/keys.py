"""Keys in files: which private key signs here, and whose signatures count?

A private key is PKCS#8 in PEM that nobody but its owner can open, and lives where registries are
published. A public key is a small JSON document in a folder of trusted ones. Knows nothing of what
is signed. Every error says in one sentence which file it is about, never what is in it.
"""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from proxy.artifact import (
    MOST_SIGNED_BYTES,
    ArtifactError,
    TrustedKey,
    key_id_of,
    moment,
    public_document,
    read_public,
)

_PRIVATE: Final = ".key"
_PUBLIC: Final = ".pub"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MOST_PRIVATE_BYTES: Final = 16 * 1024
_MOST_KEYS: Final = 100
_MOST_ENTRIES: Final = 10_000
_MOST_TOLD: Final = 3
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
_FOLDER_MODES: Final = {PRIVATE_MODE: 0o700, PUBLIC_MODE: 0o755}


class KeysError(Exception):
    """A key, or a folder of them, cannot be used or made; one sentence."""


class PrivateKey:
    """What signs. It is never shown."""

    __slots__ = ("_key", "public_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"<PrivateKey {self.key_id}>"

    @property
    def key_id(self) -> str:
        return key_id_of(self.public_key)

    def sign(self, octets: bytes) -> bytes:
        """Ed25519 (RFC 8032): 64 octets."""
        return self._key.sign(octets)


class Made(NamedTuple):
    """A pair of keys that was written to files."""

    private: Path
    public: Path
    key: TrustedKey


class Trusted(NamedTuple):
    """The keys of a folder by their ids, and what their files are called.

    `troubles` has a sentence for each file that is no key: it takes no other one away.
    """

    keys: Mapping[str, TrustedKey]
    names: Mapping[str, str]
    troubles: tuple[str, ...]


def make_keys(
    name: str,
    folder: Path,
    *,
    now: float,
    expires_at: float | None = None,
    public_folder: Path | None = None,
) -> Made:
    """Write `<name>.key` and `<name>.pub` (moments in seconds of the epoch); raises `KeysError`.

    Nothing is ever overwritten. Where the public key cannot be written, no private one is left.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(
            f"{name!r} cannot be the name of a key: letters, digits, '.', '_' and '-', up to 64"
        )
    private_path = folder / f"{name}{_PRIVATE}"
    public_path = (public_folder or folder) / f"{name}{_PUBLIC}"
    private = Ed25519PrivateKey.generate()
    key = TrustedKey(PrivateKey(private).public_key, expires_at)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    document = orjson.dumps(
        public_document(key, moment(now)), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
    write_new(private_path, pem, PRIVATE_MODE)
    try:
        write_new(public_path, document, PUBLIC_MODE)
    except KeysError:
        private_path.unlink()
        raise
    return Made(private_path, public_path, key)


def read_private(path: Path) -> PrivateKey:
    """The key in a file that is its owner's alone; raises `KeysError`."""
    with _opened(path) as handle:
        # Asked of what was opened: what the path leads to may be another file by now.
        mode = os.fstat(handle).st_mode
        if mode & _OTHERS:
            raise KeysError(
                f"{path} can be used by others (mode {stat.S_IMODE(mode):04o}), who may have read"
                f" it: make a new key, or chmod 600 {path} if nobody did"
            )
        pem = _content(handle, path, _MOST_PRIVATE_BYTES)
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError:
        raise KeysError(
            f"{path} is encrypted, and nobody is here to be asked for a password: "
            "give a key in PKCS#8 without one"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise KeysError(f"{path} is no private key in PEM: make one with keygen") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysError(f"{path} is no Ed25519 key: make one with keygen")
    return PrivateKey(key)


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
        why = "; ".join(troubles[:_MOST_TOLD]) or f"no file in it ends in {_PUBLIC}"
        raise KeysError(f"{folder} holds no trusted key: {why}")
    return Trusted(keys, names, tuple(troubles))


def write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that was not there, and its folder; raises `KeysError`.

    Nobody but its owner can open it before it has its `mode`.
    """
    try:
        path.parent.mkdir(_FOLDER_MODES[mode], parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_MODE)
    except FileExistsError as error:  # the file, or one in the place of its folder
        raise KeysError(f"{error.filename} is there already, and is not overwritten") from None
    except (OSError, ValueError) as error:
        raise KeysError(f"{path} cannot be written: {_why(error)}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
    except OSError as error:
        path.unlink()
        raise KeysError(f"{path} cannot be written: {_why(error)}") from None


def _sooner(one: TrustedKey, other: TrustedKey) -> TrustedKey:
    """Of one key in two files, the one that expires first."""
    ends = [each.expires_at for each in (one, other) if each.expires_at is not None]
    return one._replace(expires_at=min(ends, default=None))


def _public_files(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES + 1)]
    except (OSError, ValueError) as error:
        raise KeysError(f"trusted keys cannot be read from {folder}: {_why(error)}") from None
    public = sorted(name for name in names if name.endswith(_PUBLIC))
    # To take some of them would be to forget others at random.
    if len(names) > _MOST_ENTRIES or len(public) > _MOST_KEYS:
        raise KeysError(
            f"{folder} holds more than {_MOST_KEYS} keys, or {_MOST_ENTRIES} files:"
            " remove those that nobody signs with"
        )
    return [folder / name for name in public]


def _read_public(path: Path) -> TrustedKey:
    with _opened(path) as handle:
        text = _content(handle, path, MOST_SIGNED_BYTES)
    try:
        return read_public(text)
    except ArtifactError as error:
        raise KeysError(f"{path} is no public key: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """A regular file, by whatever links; a pipe is not waited for."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise KeysError(f"{path} cannot be read: {_why(error)}") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise KeysError(f"{path} cannot be read: it is no regular file")
        yield handle
    finally:
        os.close(handle)


def _content(handle: int, path: Path, most_bytes: int) -> bytes:
    try:
        with os.fdopen(handle, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise KeysError(f"{path} cannot be read: {_why(error)}") from None
    if len(content) > most_bytes:
        raise KeysError(f"{path} is no key: it is longer than {most_bytes} octets")
    return content


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
