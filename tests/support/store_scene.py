"""Registries for a store, numbered: the octets, the signature and the activation of each."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from proxy.artifact import Envelope, Signed
from proxy.generations.records import Activation, Reason
from proxy.generations.store import Store

AT = "2026-01-01T00:00:00Z"
_SIGNATURE = "A" * 86 + "=="


def octets(number: int, size_bytes: int = 0) -> bytes:
    return b'{"n":%d}' % number + b" " * size_bytes


def name(number: int, size_bytes: int = 0) -> str:
    return hashlib.sha256(octets(number, size_bytes)).hexdigest()


def signed(number: int, version: int | None = None, profile: str = "default") -> Signed:
    """By default of the version that is its number."""
    envelope = Envelope(name(number), profile, version or number, AT, "0" * 16)
    return Signed(envelope, _SIGNATURE)


def activation(
    number: int, signature: Signed | None = None, reason: Reason = "source"
) -> Activation:
    return Activation(AT, name(number), reason, "compatible", "registry.yaml", signature, 1, 2)


def activate(store: Store, number: int, reason: Reason = "source", against: str = "") -> None:
    """Signed, as the version that is its number."""
    store.activate(
        activation(number, signed(number), reason), octets(number), pinned_against=against
    )


def opened(folder: Path) -> Store:
    store = Store(str(folder))
    store.open()
    return store


def ran(store: Store) -> list[str]:
    """The generations of the log, oldest first."""
    return [each.generation for each in reversed(store.history(10_000))]


def kept(folder: Path) -> set[str]:
    """The objects on the disk."""
    return {f"{each.parent.name}{each.stem}" for each in folder.glob("objects/*/*.json")}


def leftovers(folder: Path) -> Iterator[Path]:
    return folder.rglob(".new-*")
