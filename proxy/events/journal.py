"""The events' file: one JSON document per line, appended in batches off the path of a call.

Knows files, locks and rotation. Does not know what a line says.

Several writers may share the file. Ours hold flock(2) on it while they append or rotate, and see
after taking it whether the path still leads to that file; those that hold no lock lose nothing as
long as they append whole lines (O_APPEND) and open the file anew when it was rotated.
"""

import contextlib
import fcntl
import os
import stat
import time
from pathlib import Path
from typing import Final

from proxy.telemetry.lines import Lines, reason

_LOCK_TRIES: Final = 100
_LOCK_PAUSE_S: Final = 0.005
# A file may be moved away between its opening and its locking, but not this often.
_OPEN_TRIES: Final = 20
# The owner writes, a group of log readers reads; events name callers and tools, so nobody else.
_FILE_MODE: Final = 0o640
_FOLDER_MODE: Final = 0o750
_OPEN: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Journal(Lines):
    """At `size_bytes` the file becomes `.1`, that becomes `.2`, up to `.keep`.

    With a `keep` of 0 it is begun anew.
    """

    def __init__(self, path: str, size_bytes: int, keep: int) -> None:
        self._file = _File(path, size_bytes, keep)
        super().__init__(self._file)

    def files(self) -> list[Path]:
        """Those that exist, oldest first."""
        # Path.is_file() raises where a folder may not be searched.
        return [each for each in reversed(self._file.names()) if os.path.isfile(each)]  # noqa: PTH113


class _File:
    """The file at the path, and those that it became. Blocks; opens anew for every batch.

    That costs microseconds, and leaves nothing to notice when a folder goes, comes, or is another.
    """

    def __init__(self, path: str, size_bytes: int, keep: int) -> None:
        self.name = path
        self._size_bytes = size_bytes
        self._keep = keep

    def names(self) -> list[Path]:
        """The file and what it becomes, newest first; of a link, where it leads to."""
        real = os.path.realpath(self.name)
        return [Path(real), *(Path(f"{real}.{number}") for number in range(1, self._keep + 1))]

    def append(self, lines: bytes) -> tuple[int, str]:
        """How many bytes of whole lines were written, and why not all."""
        for _ in range(_OPEN_TRIES):
            names = self.names()
            handle = _open(names[0])
            try:
                outcome = self._append(handle, names, lines)
            finally:
                os.close(handle)  # and so unlock
            if outcome is not None:
                return outcome
        raise OSError(0, "it is moved away again and again")

    def _append(self, handle: int, names: list[Path], lines: bytes) -> tuple[int, str] | None:
        """None if the path leads to another file by now."""
        _lock(handle)
        if not _is_at(handle, names[0]):
            return None
        size = os.fstat(handle).st_size
        if size and size + len(lines) > self._size_bytes:
            _rotate(names)
            return None
        if size and os.pread(handle, 1, size - 1) != b"\n":
            # Somebody ended in the middle of a line. It shall spoil only that one.
            os.write(handle, b"\n")
        return _write(handle, lines)


def _open(path: Path) -> int:
    try:
        handle = os.open(path, _OPEN, _FILE_MODE)
    except FileNotFoundError:
        path.parent.mkdir(_FOLDER_MODE, parents=True, exist_ok=True)
        handle = os.open(path, _OPEN, _FILE_MODE)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no regular file")
    return handle


def _lock(handle: int) -> None:
    for _ in range(_LOCK_TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_LOCK_PAUSE_S)
    raise OSError(0, "another process keeps it locked")


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _rotate(names: list[Path]) -> None:
    """Each name to the next. Whoever reads the file that falls out, reads it to its end."""
    for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
        with contextlib.suppress(FileNotFoundError):
            newer.replace(older)
    if len(names) == 1:
        names[0].unlink()


def _write(handle: int, lines: bytes) -> tuple[int, str]:
    written = 0
    try:
        while written < len(lines):  # once, but for a full disk: the second time says why
            written += os.write(handle, lines[written:])
    except OSError as error:
        whole = lines.rfind(b"\n", 0, written) + 1
        _take_back(handle, written - whole)
        return whole, reason(error)
    return written, ""


def _take_back(handle: int, size: int) -> None:
    end = os.lseek(handle, 0, os.SEEK_CUR)
    if os.fstat(handle).st_size == end:  # else a writer without the lock went on behind it
        os.ftruncate(handle, end - size)
