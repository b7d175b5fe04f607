"""Facts about version floors: they rise with what was in force, and nothing lowers them."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from proxy.artifact import Floor
from proxy.generations.store import Store, StoreError
from tests.support.store_faults import Disk
from tests.support.store_scene import activate, activation, name, octets, opened, signed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def store(folder: Path) -> Store:
    return opened(folder)


def test_the_floor_rises_with_what_is_signed(store: Store) -> None:
    for number in (3, 2, 5, 4):
        activate(store, number)

    assert store.floor("default") == Floor(5, name(5))
    assert store.floor("other") == Floor()


def test_each_profile_has_its_own_floor(store: Store) -> None:
    for version, profile in ((7, "default"), (2, "client/default")):
        store.activate(activation(1, signed(1, version, profile)), octets(1))

    assert store.floor("default") == Floor(7, name(1))
    assert store.floor("client/default") == Floor(2, name(1))


def test_a_rollback_never_lowers_the_floor(store: Store) -> None:
    activate(store, 5)

    activate(store, 3, "rollback", name(5))

    assert store.floor("default") == Floor(5, name(5))


def test_a_rollback_to_what_was_only_held_lifts_the_floor(store: Store) -> None:
    activate(store, 5)

    activate(store, 9, "rollback", name(5))

    assert store.floor("default") == Floor(9, name(9))


def test_what_is_not_signed_leaves_the_floor(store: Store) -> None:
    activate(store, 5)

    store.activate(activation(6), octets(6))

    assert store.floor("default") == Floor(5, name(5))


@pytest.mark.parametrize("broken", [None, b"", b'{"profiles": {"default": 3}}'])
def test_a_lost_floor_is_found_in_the_log(store: Store, folder: Path, broken: bytes | None) -> None:
    activate(store, 5)
    activate(store, 3, "rollback", name(5))
    floors = folder / "refs" / "floors"
    floors.unlink()
    if broken is not None:
        floors.write_bytes(broken)

    assert Store(str(folder)).floor("default") == Floor(5, name(5))

    assert (opened(folder).floor("default"), floors.stat().st_size > 50) == (
        Floor(5, name(5)),
        True,
    )


def test_a_process_remembers_its_floor_when_the_store_is_deleted(
    store: Store, folder: Path
) -> None:
    activate(store, 5)
    shutil.rmtree(folder)

    assert (store.active(), store.floor("default")) == (None, Floor(5, name(5)))

    store.activate(activation(2), octets(2))
    assert Store(str(folder)).floor("default") == Floor(5, name(5))


def test_a_process_remembers_its_floor_when_the_disk_is_full(store: Store, folder: Path) -> None:
    with Disk(1, errno.ENOSPC).working(), pytest.raises(StoreError, match="make room"):
        activate(store, 5)

    assert store.floor("default") == Floor(5, name(5))
    assert Store(str(folder)).floor("default") == Floor()


def test_a_floor_that_cannot_be_asked_is_not_taken_for_none(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate(store, 5)
    real = os.open

    def no_more(path: Path, *rest: int) -> int:
        if path.name == "floors":
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *rest)

    monkeypatch.setattr(os, "open", no_more)

    assert store.floor("default") == Floor(5, name(5))
    with pytest.raises(StoreError, match="too many open files"):
        Store(str(folder)).floor("default")
