"""A file as a target: the text with its signature beside it, or an artifact where it ends in .json.

The signature goes first. A sidecar that looks between the two then finds the text that it knows,
with a signature that is not that text's: it keeps what runs. The other way round, one that requires
no signature would take up a text before anything vouched for it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from proxy.config.document import MAX_BYTES
from proxy.generations.source import SIGNATURE_BYTES, SIGNATURE_SUFFIX
from proxy.people.unusable import UnusableError
from proxy.publishing.files import read_octets, replace_octets
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There, Told, overtaken

_ARTIFACT: Final = ".json"


class FileTarget:
    """A path. Raises `UnusableError` for one that cannot be read or written."""

    profile = "default"

    def __init__(self, path: str) -> None:
        self.name = path
        self._path = Path(path)
        self._beside = Path(path + SIGNATURE_SUFFIX)
        self.keeps_text = self._path.suffix != _ARTIFACT

    def __repr__(self) -> str:
        return f"<FileTarget {self.name}>"

    def look(self) -> There | None:
        if not self._path.exists():
            return None
        signed = self.keeps_text and self._beside.exists()
        signature = read_octets(self._beside, SIGNATURE_BYTES) if signed else None
        return There(read_octets(self._path, MAX_BYTES), signature)

    def put(self, parcel: Parcel, before: There | None, told: Told) -> None:
        _ = told  # it is done in a moment
        with self._alone():
            if self.look() != before:
                raise RefusedError(overtaken(self.name))
            if not self.keeps_text:
                replace_octets(self._path, parcel.artifact)
                return
            if parcel.signature is None:
                self._beside.unlink(missing_ok=True)
            else:
                replace_octets(self._beside, parcel.signature)
            replace_octets(self._path, parcel.text)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One publisher at a time, as far as the file system keeps them apart."""
        folder = self._path.parent
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise UnusableError(f"{folder} cannot be written to: {error.strerror}") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
