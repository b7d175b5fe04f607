"""Private keys in files: PKCS#8 in PEM that nobody but its owner can open.

They live where registries are published, never on a sidecar. Every error says in one sentence which
file it is about, never what is in it.
"""

import os
import re
import stat
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

from proxy.artifact import TrustedKey, key_id_of, moment, public_document
from proxy.generations.keys import PUBLIC, KeysError, content_of, opened, why

_PRIVATE: Final = ".key"
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
_MOST_PRIVATE_BYTES: Final = 16 * 1024
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
_FOLDER_MODES: Final = {PRIVATE_MODE: 0o700, PUBLIC_MODE: 0o755}


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
    public_path = (public_folder or folder) / f"{name}{PUBLIC}"
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
    with opened(path) as handle:
        # Asked of what was opened: what the path leads to may be another file by now.
        mode = os.fstat(handle).st_mode
        if mode & _OTHERS:
            raise KeysError(
                f"{path} can be used by others (mode {stat.S_IMODE(mode):04o}), who may have read"
                f" it: make a new key, or chmod 600 {path} if nobody did"
            )
        pem = content_of(handle, path, _MOST_PRIVATE_BYTES)
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
        raise KeysError(f"{path} cannot be written: {why(error)}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(handle, mode)
            os.fsync(handle)
    except OSError as error:
        path.unlink()
        raise KeysError(f"{path} cannot be written: {why(error)}") from None
