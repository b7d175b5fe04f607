"""Where a registry comes from, as the reload needs it: a text to be read now, and when to look.

A file, HTTPS, or a Redis key are one module each. Knows nothing of what a text means.
"""

import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import BinaryIO, Final, NamedTuple, Protocol

SIGNATURE_SUFFIX: Final = ".sig"  # of what lies beside a text
SIGNATURE_BYTES: Final = 16 * 1024  # more is lent with one octet too many, to be refused

Changed = Callable[[], Awaitable[None]]


class AwayError(Exception):
    """The source cannot be asked: what runs goes on. One sentence, without secrets."""


class SourceError(Exception):
    """A source cannot be used as it is configured; the text says what to do, and no secret."""


class Text(NamedTuple):
    """A registry's text, for as long as it is lent: where a child process can read it."""

    path: str  # for a child that inherits `handle`
    tag: str  # another one whenever the text, or what is signed of it, is another
    signature: bytes | None = None  # what lies beside it; an artifact has its own
    unreadable: str = ""  # why what lies beside it cannot be read, as something does
    handle: int | None = None


class Source(Protocol):
    """One place that a registry comes from."""

    name: str  # for people: a path, or a URL without its secrets
    remote: bool

    def fetch(self, known: str) -> AbstractAsyncContextManager[Text | None]:
        """Lend the text, or None while its tag is still `known`; raises `AwayError` on entry."""

    async def watch(self, changed: Changed) -> None:
        """Call `changed` whenever the text may have changed, until cancelled."""


def tag_of(digest: str, signature: bytes | None) -> str:
    """The tag of a text with this digest, and what is signed of it beside it."""
    beside = "unsigned" if signature is None else hashlib.sha256(signature).hexdigest()
    return f"{digest} {beside}"


def spool() -> BinaryIO:
    """A file without a name, which a child process can read as `/dev/fd/N`."""
    if hasattr(os, "memfd_create"):  # needs no folder that can be written
        return open(os.memfd_create("registry"), "w+b")  # noqa: PTH123 - lent on
    return tempfile.TemporaryFile()
