"""Where the processes of one sidecar meet: a folder of their own, and what lies in it.

Made by the master before it forks, removed when all have ended. Knows nothing of what passes.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

_PREFIX: Final = "toolproxy-"
_SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - there even where nothing else can be written


class NoPlaceError(Exception):
    """There is nowhere to make the folder."""


class Place:
    """The folder, which only its owner can open; `links` and `callers` are sockets in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.links = str(folder / "links")
        self.callers = str(folder / "callers")

    def __repr__(self) -> str:
        return f"<Place {self.folder}>"

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def make_place() -> Place:
    """A new one; raises `NoPlaceError`."""
    why = ""
    for parent in (None, _SHARED_MEMORY):
        try:
            return Place(Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)))
        except OSError as error:
            why = os.strerror(error.errno).lower() if error.errno else str(error)
    raise NoPlaceError(f"workers: no folder can be made for their sockets ({why}): set TMPDIR")
