"""A registry in a file: which text is there now, and what signature lies beside it?

Knows the file and `<file>.sig`. Does not know what is in either; a file that is missing is lent all
the same, since whoever reads it says best what is wrong.
"""

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import BinaryIO, Final

from proxy.config.document import MAX_BYTES
from proxy.generations.source import (
    SIGNATURE_BYTES,
    SIGNATURE_SUFFIX,
    Changed,
    Text,
    tag_of,
)
from proxy.generations.watch import Watch

_STEP_BYTES: Final = 1024**2
# A name too long for the suffix too: nothing can lie beside it.
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})


class FileSource:
    """The file at `path`: watched, and looked at every `poll_interval_s` seconds besides."""

    remote = False

    def __init__(self, path: str, poll_interval_s: float) -> None:
        self.name = path
        self._poll_interval_s = poll_interval_s

    def __repr__(self) -> str:
        return f"<FileSource {self.name}>"

    @asynccontextmanager
    async def fetch(self, known: str) -> AsyncIterator[Text | None]:
        """Lend the file where it lies."""
        text = await asyncio.get_running_loop().run_in_executor(None, _text_of, self.name)
        yield None if text.tag == known else text

    async def watch(self, changed: Changed) -> None:
        await Watch(self.name, self._poll_interval_s, changed).run()


def _text_of(path: str) -> Text:
    beside = path + SIGNATURE_SUFFIX
    try:
        signature, unreadable = _signature(beside), ""
    except OSError as error:  # not None alone: what was signed would pass for unsigned
        signature, unreadable = None, f"cannot read {beside}: {error.strerror}"
    tag = f"{_digest(path)} {unreadable}" if unreadable else tag_of(_digest(path), signature)
    return Text(path, tag, signature, unreadable)


def _digest(path: str) -> str:
    """The text's SHA-256, or why there is none: a file that goes and comes is two changes."""
    digest = hashlib.sha256()
    left_bytes = MAX_BYTES + 1  # what lies beyond is not read by anybody
    try:
        with _opened(path) as text:
            while step := text.read(min(left_bytes, _STEP_BYTES)):
                digest.update(step)
                left_bytes -= len(step)
    except OSError as error:
        return f"{type(error).__name__} {error.strerror}"
    return digest.hexdigest()


def _signature(path: str) -> bytes | None:
    """What lies beside the text, with one octet too many if there are more; None for nothing.

    Raises OSError for what is there and cannot be read.
    """
    try:
        with _opened(path) as file:
            return file.read(SIGNATURE_BYTES + 1)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise


def _opened(path: str) -> BinaryIO:
    # Not to wait for the writer of a pipe.
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115 - lent on
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.ENOTSUP, "not a regular file")
    return file
