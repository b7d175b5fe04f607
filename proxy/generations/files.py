"""How is a file there whole or not at all, whoever dies while writing it?

Knows temp files, renames, fsync and flock(2) below one folder. Does not know what is in a file.

A file is replaced by renaming another one over it, under a lock; readers need none. Nothing here
makes links, so where a file should be none is followed: it could lead anywhere, or to a pipe that
nobody writes. The folder itself may be one.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# A registry may hold what its author should have put into a secret. So the owner writes, a group
# of operators (for the command line) reads, and nobody else; umask may take more away.
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_LOCK_WAIT_S: Final = 5.0
_LOCK_PAUSE_S: Final = 0.01
_LOCK: Final = "lock"
_TEMP: Final = ".new-"
# No link is followed, no pipe is waited for.
_ODD_SAFE: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_NO_FILE: Final = "it is no regular file"
_ODD: Final = frozenset({errno.ELOOP, errno.ENXIO})
# Some network file systems cannot; they keep names in their own way.
_NO_FOLDER_SYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP})
_ELSEWHERE: Final = "or set registry.store to another folder"
_ADVICE: Final = {
    errno.ENOSPC: "make room on its disk",
    errno.EDQUOT: "make room on its disk",
    errno.EROFS: f"mount a volume there that can be written, {_ELSEWHERE}",
    errno.EACCES: f"let this user read and write there, {_ELSEWHERE}",
    errno.EPERM: f"let this user read and write there, {_ELSEWHERE}",
    errno.ELOOP: "move away what lies there",
    errno.EEXIST: "move away what lies there",
    errno.ENOTDIR: "move away what lies there",
    errno.EISDIR: "move away what lies there",
    errno.EWOULDBLOCK: "try again when the other process is done",
}


class StoreError(Exception):
    """The store cannot do it. One sentence that says why, and what to do."""


class OddFileError(Exception):
    """Something lies there that was never written here; says what."""


class Folder:
    """The files below one folder, by their relative names."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._root = Path(path).absolute()

    def read(self, name: str, most_bytes: int) -> bytes | None:
        """None when it is missing; `OddFileError` when it is no file, or larger than that."""
        with self._telling(name):
            try:
                handle = os.open(self._root / name, os.O_RDONLY | _ODD_SAFE)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                if error.errno in _ODD:
                    raise OddFileError(_NO_FILE) from None
                raise
            return _read(handle, most_bytes)

    def names(self, name: str) -> list[str]:
        """What lies in a folder, in order; nothing when it is missing."""
        with self._telling(name):
            try:
                return sorted(each.name for each in (self._root / name).iterdir())
            except (FileNotFoundError, NotADirectoryError):
                return []

    def write(self, name: str, octets: bytes) -> None:
        """Put these octets in the place of what the file was."""
        with self._telling(name):
            target = self._root / name
            _make(target.parent)
            temp = self._fill(octets)
            try:
                temp.replace(target)
            except OSError:
                _discard(temp)
                raise
            _sync(target.parent)

    def append(self, name: str, octets: bytes) -> None:
        """To a file that is there; killed meanwhile, it ends in a part of them."""
        with self._telling(name):
            handle = os.open(self._root / name, os.O_WRONLY | os.O_APPEND | _ODD_SAFE)
            _write(handle, octets)

    def remove(self, name: str) -> None:
        """The file, and its folder when it was the last one."""
        with self._telling(name):
            path = self._root / name
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone, among those that change something, and rid of what dead ones left half-written."""
        with contextlib.ExitStack() as stack:
            with self._telling(_LOCK):
                _make(self._root)
                stack.callback(os.close, self._lock())  # closed is unlocked
                for each in self._root.glob(f"{_TEMP}*"):
                    each.unlink(missing_ok=True)
            yield

    def try_out(self) -> None:
        """Raise `StoreError` when nothing can be written."""
        with self._telling(""):
            self._fill(b"\n").unlink()

    def _lock(self) -> int:
        path = self._root / _LOCK
        ends_at = time.monotonic() + _LOCK_WAIT_S
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _ODD_SAFE, _FILE_MODE)
            if _takes(handle, path):
                return handle
            os.close(handle)
            if time.monotonic() > ends_at:
                raise BlockingIOError(errno.EWOULDBLOCK, "another process keeps it locked")
            time.sleep(_LOCK_PAUSE_S)

    def _fill(self, octets: bytes) -> Path:
        """A temp file with this in it, on the disk."""
        # A name for each: on some network shares locks are an empty promise.
        temp = self._root / f"{_TEMP}{secrets.token_hex(8)}"
        try:
            handle = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _ODD_SAFE, _FILE_MODE)
            _write(handle, octets)
        except OSError:
            _discard(temp)
            raise
        return temp

    @contextlib.contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            advice = _ADVICE.get(error.errno or 0, "look after its disk")
            where = error.filename2 or error.filename or self._root / name
            raise StoreError(f"the registry store fails at {where}: {why}; {advice}") from None


def _make(folder: Path) -> None:
    """The folder and those above it; Path.mkdir would give these the modes of a public place."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        _make(folder.parent)
    folder.mkdir(_FOLDER_MODE, exist_ok=True)
    _sync(folder.parent)


def _takes(handle: int, path: Path) -> bool:
    """Is it locked now, and still the file that others would lock?"""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(handle), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _read(handle: int, most_bytes: int) -> bytes:
    """All of it; closes."""
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OddFileError(_NO_FILE)
        with open(handle, "rb", closefd=False) as file:
            octets = file.read(most_bytes + 1)
    finally:
        os.close(handle)
    if len(octets) > most_bytes:
        raise OddFileError(f"it is larger than {most_bytes} bytes")
    return octets


def _write(handle: int, octets: bytes) -> None:
    """All of it, down to the disk; closes."""
    try:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    """A name that was made or moved is on the disk when its folder is."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def _discard(temp: Path) -> None:
    with contextlib.suppress(OSError):
        temp.unlink()
