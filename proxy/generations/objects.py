"""Registries by what they are: the canonical octets under their SHA-256.

Knows names and hashes. Does not know what the octets mean, nor which of them are still needed.
"""

import hashlib
import re
from typing import Final

from proxy.generations.files import Folder, OddFileError, StoreError

_ROOM: Final = "objects"
_GENERATION: Final = re.compile(r"[0-9a-f]{64}")
_PREFIX: Final = re.compile(r"[0-9a-f]{8,64}")
_IN_ROOM: Final = re.compile(r"[0-9a-f]{2}")
_IN_SHELF: Final = re.compile(r"([0-9a-f]{62})\.json")
# A registry's text has at most 64 MiB; what is not ASCII grows when it is escaped.
_MOST_BYTES: Final = 256 * 1024**2


class MissingError(StoreError):
    """No such generation."""


class CorruptError(StoreError):
    """An object that is not what its name says."""


class Objects:
    """What was kept, found by generation (64 hexadecimal digits)."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def read(self, generation: str) -> bytes:
        """The octets, verified; raises `MissingError` or `CorruptError`."""
        if not _GENERATION.fullmatch(generation):
            raise MissingError("a generation has 64 lower-case hexadecimal digits: give all of it")
        try:
            octets = self._folder.read(_name(generation), _MOST_BYTES)
        except OddFileError as error:
            raise _corrupt(generation, str(error)) from None
        if octets is None:
            raise _missing(generation)
        if hashlib.sha256(octets).hexdigest() != generation:
            raise _corrupt(generation, "its content has another SHA-256")
        return octets

    def keep(self, generation: str, canonical: bytes) -> None:
        """Once; what lies there corrupt is put right."""
        if hashlib.sha256(canonical).hexdigest() != generation:
            raise _corrupt(generation, "what was to be kept has another SHA-256")
        try:
            self.read(generation)
        except (MissingError, CorruptError):
            self._folder.write(_name(generation), canonical)

    def find(self, prefix: str) -> str:
        """The one generation that begins so (at least 8 digits); raises `StoreError`."""
        if not _PREFIX.fullmatch(prefix):
            raise MissingError("a generation is given by 8 to 64 lower-case hexadecimal digits")
        match [each for each in self._shelf(prefix[:2]) if each.startswith(prefix)]:
            case []:
                raise _missing(prefix)
            case [generation]:
                return generation
            case several:
                shown = ", ".join(several[:3])
                raise StoreError(f"{prefix} begins {len(several)} generations ({shown}): give more")

    def all(self) -> set[str]:
        shelves = filter(_IN_ROOM.fullmatch, self._folder.names(_ROOM))
        return {generation for shelf in shelves for generation in self._shelf(shelf)}

    def remove(self, generation: str) -> None:
        self._folder.remove(_name(generation))

    def _shelf(self, shelf: str) -> list[str]:
        found = map(_IN_SHELF.fullmatch, self._folder.names(f"{_ROOM}/{shelf}"))
        return [shelf + match[1] for match in found if match]


def _name(generation: str) -> str:
    return f"{_ROOM}/{generation[:2]}/{generation[2:]}.json"


def _missing(generation: str) -> MissingError:
    return MissingError(f"generation {generation} is not in the store, which keeps the last ones")


def _corrupt(generation: str, why: str) -> CorruptError:
    return CorruptError(f"generation {generation} is corrupt: {why}; publish it again")
