"""Facts about a store whose process ends, or whose disk fails, at any system call of a change."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.generations import activations
from proxy.generations.records import Latest, Published
from proxy.generations.store import Store, StoreError
from tests.support.store_faults import Died, Disk
from tests.support.store_scene import (
    AT,
    activate,
    activation,
    kept,
    leftovers,
    name,
    octets,
    opened,
    ran,
    signed,
)

Change = Callable[[Store], None]
Facts = tuple[object, ...]

CHANGES: dict[str, Change] = {
    "activate": lambda store: activate(store, 30),
    "again": lambda store: activate(store, 23, "accept"),
    "rollback": lambda store: store.activate(
        activation(19, signed(19), "rollback"), None, pinned_against=name(23)
    ),
    "accept": lambda store: activate(store, 25, "accept"),
    "unpin": Store.unpin,
    "hold": lambda store: store.note_latest(Latest(name(30), AT, None, "held"), octets(30)),
    "publish": lambda store: store.publish("client", "default", octets(30), signed(30)),
    "open": Store.open,
}


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that is rewritten with the next activation; a pin, and one that is held."""
    monkeypatch.setattr(activations, "_KEPT", 11)
    folder = tmp_path / "before"
    store = opened(folder)
    store.publish("client", "default", octets(1), signed(1))
    for number in range(2, 24):
        activate(store, number, against=name(1))
    store.note_latest(Latest(name(25), AT, signed(25), "held"), octets(25))
    return folder


def facts(store: Store) -> Facts:
    return (
        store.active(),
        store.latest(),
        store.published("client", "default"),
        store.floor("default"),
        ran(store),
    )


def state(store: Store) -> tuple[object, Published | None]:
    """What a change turns over at one moment."""
    return store.active(), store.published("client", "default")


def is_sound(folder: Path) -> bool:
    """What is named is there, whole; what is owed to the active one was done; nothing is left."""
    store = Store(str(folder))
    active, latest = store.active(), store.latest()
    published = store.published("client", "default")
    assert active is not None
    assert latest is not None
    assert published is not None
    for each in (active.activation.generation, latest.generation, published.generation):
        store.read(each)
    assert active.activation.signed is not None
    assert store.floor("default").version >= active.activation.signed.envelope.version
    assert store.history(1) == [active.activation]
    assert list(leftovers(folder)) == []
    assert store.problems == []
    return True


def after(before: Path, change: Change) -> tuple[Facts, set[str], int]:
    """What a change leads to, when all goes well, and how many system calls it makes."""
    folder, disk = before.parent / "after", Disk()
    shutil.copytree(before, folder)
    with disk.working():
        change(Store(str(folder)))
    opened(folder)
    return facts(Store(str(folder))), kept(folder), disk.calls


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_sudden_end_leaves_the_old_state_or_the_new(before: Path, change: Change) -> None:
    goal, objects, calls = after(before, change)
    old, new = state(Store(str(before))), (goal[0], goal[2])
    seen = []

    for step in range(1, calls + 1):
        folder = before.parent / str(step)
        shutil.copytree(before, folder)
        with Disk(step).working(), pytest.raises(Died):
            change(Store(str(folder)))
        seen.append(state(Store(str(folder))))
        store = opened(folder)
        assert (state(store), is_sound(folder)) == (seen[-1], True)
        assert seen[-1] in (old, new)
        assert seen[-1] == old or facts(store) == goal
        change(store)
        opened(folder)
        assert (facts(store)[:4], kept(folder)) == (goal[:4], objects)

    assert seen == sorted(seen, key=[old, new].index)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_full_disk_leaves_the_old_state_or_the_new(before: Path, change: Change) -> None:
    goal, objects, calls = after(before, change)
    old, new = state(Store(str(before))), (goal[0], goal[2])

    for step in range(1, calls + 1):
        folder = before.parent / str(step)
        shutil.copytree(before, folder)
        store, disk = Store(str(folder)), Disk(step, errno.ENOSPC)
        with disk.working():
            try:
                change(store)
            except StoreError as error:
                assert "make room on its disk" in str(error)  # noqa: PT017 - not always
            else:
                assert facts(store) == goal
        assert state(store) in (old, new)
        change(opened(folder))
        assert (facts(store)[:4], kept(folder)) == (goal[:4], objects)
        assert is_sound(folder)


def test_what_a_dead_one_owed_is_done_by_who_comes_next(before: Path) -> None:
    calls = after(before, CHANGES["activate"])[2]
    for step in range(1, calls + 1):
        folder = before.parent / str(step)
        shutil.copytree(before, folder)
        with Disk(step).working(), pytest.raises(Died):
            activate(Store(str(folder)), 30)

        Store(str(folder)).note_latest(Latest(name(25), AT, signed(25), "held"), octets(25))

        assert is_sound(folder)
