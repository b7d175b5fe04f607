"""An event file of another server, followed as `tail -F` does: what was written to it now?

Knows files, rotation and lines. Does not know what an event means; what is no JSON object is
counted and skipped.

It begins at the end of a file that is there, and at the beginning of one that comes later. A file
that was moved away is read to its end first, then those that were rotated after it (`.1`, `.2`, as
far as they are there), then the new one. One that was cut off or written anew in place is read
from its beginning: lines that were not read before that are lost.
"""

import asyncio
import contextlib
import errno
import logging
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import orjson

_LOG = logging.getLogger("toolproxy.events")
_POLL_S: Final = 0.25
_TURN_S: Final = 0.001  # of parsing, then others have their turn
_PIECE_BYTES: Final = 256 * 1024
_LONGEST_LINE_BYTES: Final = 1024**2
# The end of what was read. When it is no longer there, the file is another, at the same place.
_MARK_BYTES: Final = 64
# As deep as rotated files are looked for.
_MOST_ROTATED: Final = 20
# Stands for a line that was not kept, and is counted as what it is: no JSON.
_TOO_LONG: Final = b"a line too long"
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Tail:
    """Gives every new line of the file, parsed, to `take`. Run it as a task; cancel it to end.

    `lines` counts what was given, `bad` what was skipped; `problem` says in one sentence why the
    file cannot be read now.
    """

    def __init__(self, path: str, take: Callable[[dict[str, object]], None]) -> None:
        self.lines = 0
        self.bad = 0
        self.problem = ""
        self._path = path
        self._take = take
        self._source = _Source(path)

    def __repr__(self) -> str:
        return f"<Tail {self._path} lines={self.lines} bad={self.bad}>"

    async def run(self) -> None:
        try:
            while True:
                if not await self.look():
                    await asyncio.sleep(_POLL_S)
        finally:
            self._source.close()

    async def look(self) -> bool:
        """Take what is there, one piece at most; whether there may be more."""
        loop = asyncio.get_running_loop()
        piece = await loop.run_in_executor(None, self._source.read)
        self._note(piece.problem)
        began_at = loop.time()
        for line in piece.lines:
            self._give(line)
            if loop.time() - began_at > _TURN_S:
                await asyncio.sleep(0)
                began_at = loop.time()
        return piece.more

    def _give(self, line: bytes) -> None:
        if not line or line.isspace():
            return
        document = None
        with contextlib.suppress(orjson.JSONDecodeError):
            document = orjson.loads(line)
        if isinstance(document, dict):
            self.lines += 1
            self._take(document)
            return
        if not self.bad:
            _LOG.warning("%s has lines that are no JSON objects: they are skipped", self._path)
        self.bad += 1

    def _note(self, problem: str) -> None:
        if problem and problem != self.problem:
            _LOG.warning("%s", problem)
        elif self.problem and not problem:
            _LOG.info("%s is read again", self._path)
        self.problem = problem


def rotated(path: str) -> list[Path]:
    """The file and what it was rotated to, as far as they are there, oldest first."""
    real = os.path.realpath(path)
    names = [real, *(f"{real}.{number}" for number in range(1, _MOST_ROTATED + 1))]
    return [Path(name) for name in reversed(names) if os.path.isfile(name)]  # noqa: PTH113 - raises


class _Piece(NamedTuple):
    """What one look found: whole lines, whether there may be more at once, what is wrong."""

    lines: list[bytes]
    more: bool = False
    problem: str = ""


class _Identity(NamedTuple):
    device: int
    inode: int


class _Source:
    """The file that is read, and how far. Blocks, for as long as a piece takes to read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = -1
        self._identity = _Identity(0, 0)
        self._offset = 0
        self._mark = b""
        self._lines = _Lines()
        # Where to begin in a file that was there before, even if it cannot be opened yet.
        self._begin_at: dict[_Identity, int] | None = None
        # A task that is cancelled leaves its thread behind, perhaps in the middle of a read.
        self._lock = threading.Lock()
        self._closed = False

    def read(self) -> _Piece:
        with self._lock:
            if self._closed:
                return _Piece([])
            try:
                return self._read()
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                return _Piece([], problem=f"cannot read {self._path}: {why}")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._let_go()

    def _read(self) -> _Piece:
        if self._begin_at is None:
            self._begin_at = _size_of(self._path)
        if self._handle < 0:
            handle, identity = _open(self._path)
            self._begin(handle, identity, self._begin_at.pop(identity, 0))
        # Asked before reading: what is written after this read is written to a file still there.
        is_over = not self._is_mine(self._path)
        lines, size = self._next()
        if size:
            return _Piece(lines, more=is_over or size == _PIECE_BYTES)
        if is_over:
            return self._follow()
        return _Piece([])

    def _begin(self, handle: int, identity: _Identity, offset: int = 0) -> None:
        self._handle, self._identity, self._offset = handle, identity, offset
        # A line may have begun before and not be ended there.
        before = min(offset, _LONGEST_LINE_BYTES)
        back = os.pread(handle, before, offset - before)
        self._lines = _Lines()
        self._lines.split(back)
        self._mark = back[-_MARK_BYTES:]

    def _next(self) -> tuple[list[bytes], int]:
        """The lines of a piece, and its size."""
        data = self._pread(self._offset - len(self._mark), _PIECE_BYTES + len(self._mark))
        if not data.startswith(self._mark):
            self._offset, self._mark, self._lines = 0, b"", _Lines()
            data = self._pread(0, _PIECE_BYTES)
        new = data[len(self._mark) :]
        self._mark = data[-_MARK_BYTES:]
        self._offset += len(new)
        return self._lines.split(new), len(new)

    def _pread(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._handle, size, offset)
        except OSError:  # a stale handle stays stale: open it again, and go on from here
            self._begin_at = {self._identity: self._offset}
            self._let_go()
            raise

    def _follow(self) -> _Piece:
        """Go on with what came after the file that is over.

        One that was only moved away is kept until its writer has begun another; one that was
        deleted is not: nobody else could read it, and its room on the disk is waited for.
        """
        opened = None
        try:
            opened = self._open_next()
        except FileNotFoundError:
            if os.fstat(self._handle).st_nlink:
                return _Piece([])
        last = self._lines.end()
        self._let_go()
        if opened:
            self._begin(*opened)
        return _Piece(last, more=opened is not None)

    def _open_next(self) -> tuple[int, _Identity]:
        """Of the rotated files the one before the file that is over, else the one at the path."""
        real = os.path.realpath(self._path)
        names = [real, *(f"{real}.{number}" for number in range(1, _MOST_ROTATED + 1))]
        found = max(at for at, name in enumerate(names) if not at or self._is_mine(name))
        opened = _open(names[max(found - 1, 0)])
        if found and not self._is_mine(names[found]):
            os.close(opened[0])  # rotated meanwhile: this one may be one too new
            raise FileNotFoundError
        return opened

    def _is_mine(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            return _identity_at(path) == self._identity
        return False

    def _let_go(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class _Lines:
    """Cuts what was read into lines, and keeps the half line at its end."""

    def __init__(self) -> None:
        self._half = b""
        self._skips = False  # the rest of a line too long

    def split(self, read: bytes) -> list[bytes]:
        lines = (self._half + read).split(b"\n")
        if self._skips:
            lines[0] = b""
            self._skips = len(lines) == 1
        self._half = lines.pop()
        lines = [line if len(line) <= _LONGEST_LINE_BYTES else _TOO_LONG for line in lines]
        if len(self._half) > _LONGEST_LINE_BYTES:
            lines.append(_TOO_LONG)
            self._half = b""
            self._skips = True
        return lines

    def end(self) -> list[bytes]:
        """The half line, when nothing more can come: perhaps only its newline is missing."""
        return [self._half] if self._half else []


def _size_of(path: str) -> dict[_Identity, int]:
    with contextlib.suppress(OSError):
        found = os.stat(path)  # noqa: PTH116 - as below
        return {_Identity(found.st_dev, found.st_ino): found.st_size}
    return {}


def _identity_at(path: str) -> _Identity:
    """Asked before anything is opened: to open a FIFO wakes its writer, a device may act."""
    found = os.stat(path)  # noqa: PTH116 - a `str` as realpath() gives it, four times a second
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is no regular file")
    return _Identity(found.st_dev, found.st_ino)


def _open(path: str) -> tuple[int, _Identity]:
    identity = _identity_at(path)
    handle = os.open(path, _OPEN)
    found = os.fstat(handle)
    if (found.st_dev, found.st_ino) != identity:
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "it is being replaced")
    return handle, identity
