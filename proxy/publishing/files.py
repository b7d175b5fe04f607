"""Files of publishers: read within bounds, and replaced whole or not at all."""

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from proxy.people.unusable import UnusableError

_MODE: Final = 0o644  # registries and signatures are for every sidecar; the umask may take from it


def read_octets(path: Path, most_bytes: int) -> bytes:
    """All of a regular file; `UnusableError` when that cannot be, or is too much."""
    try:
        # A pipe that nobody writes to would hold us.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnusableError(f"{path} cannot be read: it is no regular file")
            octets = file.read(most_bytes + 1)
    except (OSError, ValueError) as error:  # a path with a null byte is a ValueError
        raise UnusableError(f"{path} cannot be read: {_why(error)}") from None
    if len(octets) > most_bytes:
        raise UnusableError(f"{path} is longer than {most_bytes} octets")
    return octets


def replace_octets(path: Path, octets: bytes) -> None:
    """Put them in the place of what is there, if anything; `UnusableError` when that fails.

    Whoever reads meanwhile, or after a crash, finds either the old file or the new one.
    """
    try:
        # Beside what a link leads to: a link to a registry elsewhere stays one.
        target = Path(os.path.realpath(path))
        written = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        handle = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(octets)
                file.flush()
                os.fsync(handle)
            written.replace(target)
        except BaseException:
            written.unlink()
            raise
        _sync(target.parent)
    except (OSError, ValueError) as error:
        raise UnusableError(f"{path} cannot be written: {_why(error)}") from None


def _sync(folder: Path) -> None:
    """The new name must outlive a crash, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
