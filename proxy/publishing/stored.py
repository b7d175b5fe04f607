"""A store of generations, read where it lies: the same documents that a running sidecar gives.

Nothing is written, and nothing is locked: a sidecar may be using it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from proxy.artifact import Signed, read_json
from proxy.generations.store import MissingError, Store, StoreError
from proxy.people.unusable import UnusableError
from proxy.publishing.refusal import RefusedError

T = TypeVar("T")


def history(folder: str, limit: int) -> dict[str, object]:
    """As `GET /registry/history`."""
    found = _read(folder, lambda store: store.history(limit))
    return {"activations": [each.row() for each in found]}


def generation(folder: str, prefix: str) -> dict[str, object]:
    """As `GET /registry/generations/{id}`; raises `RefusedError` when there is none."""

    def read(store: Store) -> tuple[str, bytes, Signed | None]:
        found = store.find(prefix)
        return found, store.read(found), store.signed(found)

    found, octets, signed = _read(folder, read)
    unsigned: dict[str, object] = {"envelope": None, "signature": None}
    signature = unsigned if signed is None else signed.document()
    return {"artifact_id": found, "payload": read_json(octets), **signature}


def status(folder: str) -> dict[str, object]:
    """As much of `GET /registry` as a store knows."""
    active, latest = _read(folder, lambda store: (store.active(), store.latest()))
    row = None if active is None else active.activation
    envelope = None if row is None or row.signed is None else row.signed.envelope
    return {
        "active": row and row.generation,
        "latest": latest and latest.generation,
        "version": envelope and envelope.version,
        "signed_by": envelope and envelope.key_id,
        "profile": envelope and envelope.profile,
        "loaded_at": row and row.at,
        "source": row and row.source,
        "pinned": active is not None and bool(active.pinned_against),
        "held": latest.generation if latest and latest.state == "held" else None,
        "servers": row and row.servers,
        "tools": row and row.tools,
    }


def _read(folder: str, read: Callable[[Store], T]) -> T:
    if not Path(folder).is_dir():
        raise UnusableError(f"--store: {folder} is no folder")
    try:
        return read(Store(folder))
    except MissingError as error:
        raise RefusedError(str(error)) from None
    except StoreError as error:
        raise UnusableError(f"--store: {error}") from None
