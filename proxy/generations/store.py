"""Which registries were in force, which one is, and which may never be again?

Knows generations, the refs that name them, the log of activations and version floors. Knows no
event loop (every call blocks; one thread makes them), nor what a registry means.

Several processes may share a store. What changes it is done under a lock, and in an order that
leaves the state before or the one after it, wherever the process ends; whoever is next finishes
what is owed to the new state. Reading needs neither the lock nor `open`.
"""

import contextlib
from collections.abc import Iterator
from itertools import islice
from typing import Final

from msgspec.structs import replace

from proxy.artifact import Floor, Signed
from proxy.generations.activations import Activations
from proxy.generations.files import Folder, StoreError
from proxy.generations.objects import CorruptError, MissingError, Objects
from proxy.generations.records import Activation, Active, Latest, Published
from proxy.generations.refs import Refs

__all__ = [
    "Activation",
    "Active",
    "CorruptError",
    "Latest",
    "MissingError",
    "Published",
    "Store",
    "StoreError",
]

_GENERATIONS_KEPT: Final = 10
_NONE: Final = Floor()
# The source was not asked: what it said last stays the latest.
_NOT_ASKED: Final = frozenset({"rollback", "start"})


class Store:
    """The store in a folder. Everything here may raise `StoreError` when the disk refuses."""

    def __init__(self, folder: str) -> None:
        self._folder = Folder(folder)
        self._problems: dict[str, str] = {}
        self._objects = Objects(self._folder)
        self._refs = Refs(self._folder, self._problems)
        self._log = Activations(self._folder, self._problems)
        # By profile. A store that is deleted, or full, does not let this process go back.
        self._floors: dict[str, Floor] = {}

    def __repr__(self) -> str:
        return f"<Store {self._folder.name!r} problems={len(self._problems)}>"

    @property
    def problems(self) -> list[str]:
        """What is broken, of what was read last."""
        return list(self._problems.values())

    def open(self) -> None:
        """Make it, or mend it after a sudden end; `StoreError` when it cannot be written."""
        with self._changing():
            self._folder.try_out()
            self._save_floors()

    # --- questions ---

    def active(self) -> Active | None:
        """What is in force; None also when that cannot be told (see `problems`)."""
        return self._refs.active()

    def latest(self) -> Latest | None:
        """What the source had last."""
        return self._refs.latest()

    def floor(self, profile: str) -> Floor:
        """The newest version that was ever in force for a profile."""
        try:
            return self._known_floors().get(profile, _NONE)
        except StoreError:
            if profile in self._floors:
                return self._floors[profile]
            raise

    def read(self, generation: str) -> bytes:
        """Its canonical octets, verified; raises `MissingError` or `CorruptError`."""
        return self._objects.read(generation)

    def find(self, prefix: str) -> str:
        """The generation that begins so; raises `StoreError` when it is none, or several."""
        return self._objects.find(prefix)

    def signed(self, generation: str) -> Signed | None:
        """The newest signature of it that was believed."""
        of_it = (signed for each, signed in self._signatures() if each == generation and signed)
        return next(of_it, None)

    def history(self, limit: int = 100) -> list[Activation]:
        """The last activations, newest first."""
        return list(islice(self._log.newest_first(), max(0, limit)))

    def published(self, client: str, profile: str) -> Published | None:
        """What lies ready for them."""
        return self._refs.published(client, profile)

    # --- changes ---

    def keep(self, generation: str, canonical: bytes) -> None:
        """The object alone: until the next change, unless a ref names it by then."""
        with self._changing(spare=generation):
            self._objects.keep(generation, canonical)

    def activate(
        self, activation: Activation, canonical: bytes | None, *, pinned_against: str = ""
    ) -> None:
        """Make it the active one; without octets it must be here.

        What came from the source, or was accepted, becomes the latest too. A pin marks the latest
        that it stands against.
        """
        # Whatever becomes of the disk, it is in force by now.
        self._lift(activation.signed)
        with self._changing():
            if canonical is None:
                self._objects.read(activation.generation)
            else:
                self._objects.keep(activation.generation, canonical)
            # Before it is active: else a sudden end would leave an older one to be replayed.
            self._save_floors()
            active = Active(activation, pinned_against)
            self._refs.set_active(active)
            self._conclude(active)

    def note_latest(self, latest: Latest, canonical: bytes | None = None) -> None:
        """What the source has, and what became of it; with its octets when it may be accepted."""
        with self._changing():
            if canonical is not None:
                self._objects.keep(latest.generation, canonical)
            self._refs.set_latest(latest)

    def unpin(self) -> None:
        """What is active stays so, until anything else arrives."""
        with self._changing():
            active = self._refs.active()
            if active is not None and active.pinned_against:
                self._refs.set_active(replace(active, pinned_against=""))

    def publish(self, client: str, profile: str, canonical: bytes, signed: Signed) -> None:
        """Lay it ready for a client and profile; an older version than what lies there is not."""
        envelope = signed.envelope
        with self._changing():
            there = self._refs.published(client, profile)
            if there is not None and not _floor_of(there.signed).admits(envelope):
                message = f"version {envelope.version} of {client}/{profile} is not newer"
                raise StoreError(f"{message}: sign it again, with a higher one")
            generation = envelope.registry_sha256
            self._objects.keep(generation, canonical)
            published = Published(generation, envelope.created_at, signed)
            self._refs.set_published(client, profile, published)

    # --- how ---

    @contextlib.contextmanager
    def _changing(self, *, spare: str = "") -> Iterator[None]:
        with self._folder.locked():
            active = self._refs.active()
            if active is not None and self._log.newest() != active.activation:
                self._conclude(active)
            yield
            self._forget({spare})

    def _conclude(self, active: Active) -> None:
        """What follows from a new active one. The log is last: by it one sees that it was done."""
        latest = self._latest_after(active)
        if latest is not None:
            self._refs.set_latest(latest)
        self._log.append(active.activation)

    def _latest_after(self, active: Active) -> Latest | None:
        """None when it stays what it is."""
        activation, latest = active.activation, self._refs.latest()
        if active.pinned_against:
            return _pinned(latest, active.pinned_against)
        other = latest is not None and latest.generation != activation.generation
        if other and activation.reason in _NOT_ASKED:
            return None
        return Latest(activation.generation, activation.at, activation.signed, "active")

    def _signatures(self) -> Iterator[tuple[str, Signed | None]]:
        """Of each generation, the newest first; not of one that was rejected, maybe for it."""
        latest = self._refs.latest()
        if latest is not None and latest.state != "rejected":
            yield latest.generation, latest.signed
        for activation in self._log.newest_first():
            yield activation.generation, activation.signed
        for published in self._refs.all_published():
            yield published.generation, published.signed

    def _known_floors(self) -> dict[str, Floor]:
        """Of the disk and of this process, the higher ones."""
        floors = self._refs.floors()
        if floors is None:  # gone or broken: what was in force tells
            for activation in self._log.newest_first():
                self._lift(activation.signed)
        for profile, floor in (floors or {}).items():
            self._lift_to(profile, floor)
        return self._floors

    def _lift(self, signed: Signed | None) -> None:
        if signed is not None:
            self._lift_to(signed.envelope.profile, _floor_of(signed))

    def _lift_to(self, profile: str, floor: Floor) -> None:
        if floor.version > self._floors.get(profile, _NONE).version:
            self._floors[profile] = floor

    def _save_floors(self) -> None:
        floors = self._known_floors()
        if floors != self._refs.floors():
            self._refs.set_floors(floors)

    def _forget(self, spared: set[str]) -> None:
        """Objects that nothing needs. That one cannot be removed is no failure of the change."""
        self._problems.pop("objects", None)
        try:
            for each in self._objects.all() - self._needed() - spared:
                self._objects.remove(each)
        except StoreError as error:
            self._problems["objects"] = str(error)

    def _needed(self) -> set[str]:
        needed: set[str] = set()
        for activation in self._log.newest_first():
            needed.add(activation.generation)
            if len(needed) == _GENERATIONS_KEPT:
                break
        if active := self._refs.active():
            needed |= {active.activation.generation, active.pinned_against}
        if latest := self._refs.latest():
            needed.add(latest.generation)
        return needed | {each.generation for each in self._refs.all_published()}


def _pinned(latest: Latest | None, against: str) -> Latest | None:
    """It ran and does no more; one that was held or rejected stays that."""
    if latest is None or (latest.generation, latest.state) != (against, "active"):
        return None
    return replace(latest, state="pinned")


def _floor_of(signed: Signed | None) -> Floor:
    if signed is None:
        return _NONE
    return Floor(signed.envelope.version, signed.envelope.registry_sha256)
