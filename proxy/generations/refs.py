"""Which generation is meant by a name: active, latest, a client's profile; and how old is too old.

Knows where each record lies and what a broken one is worth: as much as none, but it is told.
"""

import re
from collections.abc import Iterator
from typing import Final

from proxy.artifact import Floor
from proxy.generations.files import Folder, OddFileError, StoreError
from proxy.generations.records import (
    MOST_PROFILES,
    NAME,
    Active,
    Floors,
    Latest,
    Published,
    R,
    read_record,
    written,
)

_ACTIVE: Final = "refs/active"
_LATEST: Final = "refs/latest"
_FLOORS: Final = "refs/floors"
_PROFILES: Final = "refs/profiles"
_NAME: Final = re.compile(NAME)
_MOST_BYTES: Final = 512 * 1024


class Refs:
    """Records by name; `problems` gets a sentence for each that is broken, by its name."""

    def __init__(self, folder: Folder, problems: dict[str, str]) -> None:
        self._folder = folder
        self._problems = problems

    def active(self) -> Active | None:
        return self._read(_ACTIVE, Active)

    def latest(self) -> Latest | None:
        return self._read(_LATEST, Latest)

    def floors(self) -> dict[str, Floor] | None:
        floors = self._read(_FLOORS, Floors)
        return None if floors is None else floors.floors()

    def published(self, client: str, profile: str) -> Published | None:
        if not (_NAME.fullmatch(client) and _NAME.fullmatch(profile)):
            return None  # could never be published
        return self._read(f"{_PROFILES}/{client}/{profile}", Published)

    def all_published(self) -> Iterator[Published]:
        for client, profile in self._profiles():
            if published := self.published(client, profile):
                yield published

    def set_active(self, active: Active) -> None:
        self._write(_ACTIVE, active)

    def set_latest(self, latest: Latest) -> None:
        self._write(_LATEST, latest)

    def set_floors(self, floors: dict[str, Floor]) -> None:
        self._write(_FLOORS, Floors.of(floors))

    def set_published(self, client: str, profile: str, published: Published) -> None:
        if not (_NAME.fullmatch(client) and _NAME.fullmatch(profile)):
            raise StoreError("a client or profile has up to 64 letters, digits, '.', '_' and '-'")
        profiles = list(self._profiles())
        if (client, profile) not in profiles and len(profiles) >= MOST_PROFILES:
            raise StoreError(f"there are {MOST_PROFILES} profiles already: remove some first")
        self._write(f"{_PROFILES}/{client}/{profile}", published)

    def _profiles(self) -> Iterator[tuple[str, str]]:
        for client in filter(_NAME.fullmatch, self._folder.names(_PROFILES)):
            for profile in filter(_NAME.fullmatch, self._folder.names(f"{_PROFILES}/{client}")):
                yield client, profile

    def _read(self, name: str, kind: type[R]) -> R | None:
        self._problems.pop(name, None)
        try:
            octets = self._folder.read(name, _MOST_BYTES)
            return None if octets is None else read_record(octets, kind)
        except (OddFileError, ValueError) as error:
            self._problems[name] = f"{name} is broken, and taken for missing: {error}"
            return None

    def _write(self, name: str, record: R) -> None:
        try:
            octets = written(record)
        except ValueError as error:
            raise StoreError(f"{name} cannot be written down: {error}") from None
        self._folder.write(name, octets)
