"""Facts about the store: what is in force, what was, what is latest, and what may not come back."""

import errno
import os
import shutil
from pathlib import Path
from time import perf_counter

import pytest

from proxy.artifact import Floor
from proxy.generations import refs
from proxy.generations.objects import CorruptError, MissingError
from proxy.generations.records import Active, Latest, Published, Reason, State
from proxy.generations.store import Store, StoreError
from tests.support.store_scene import (
    AT,
    activate,
    activation,
    kept,
    name,
    octets,
    opened,
    ran,
    signed,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def store(folder: Path) -> Store:
    return opened(folder)


def hold(store: Store, number: int, state: State = "held") -> Latest:
    latest = Latest(name(number), AT, signed(number), state)
    store.note_latest(latest, octets(number))
    return latest


def test_a_new_store_knows_nothing(store: Store, folder: Path) -> None:
    assert (store.active(), store.latest(), store.history()) == (None, None, [])
    assert (store.floor("default"), store.problems) == (Floor(), [])
    assert repr(store) == f"<Store '{folder}' problems=0>"


def test_what_is_activated_is_active_and_latest_and_in_the_log(store: Store) -> None:
    activate(store, 1)
    activate(store, 2)

    assert store.active() == Active(activation(2, signed(2)))
    assert store.latest() == Latest(name(2), AT, signed(2), "active")
    assert store.history() == [activation(2, signed(2)), activation(1, signed(1))]
    assert (store.read(name(1)), store.read(name(2))) == (octets(1), octets(2))
    assert (store.find(name(1)[:8]), store.history(1), store.history(-1)) == (
        name(1),
        store.history()[:1],
        [],
    )


def test_another_process_sees_it_without_opening(store: Store, folder: Path) -> None:
    activate(store, 1)

    assert Store(str(folder)).active() == store.active()


# --- the latest, and pins ---


def test_a_pin_marks_the_latest_that_it_stands_against(store: Store) -> None:
    activate(store, 1)
    activate(store, 2)

    activate(store, 1, "rollback", name(2))

    assert store.active() == Active(activation(1, signed(1), "rollback"), name(2))
    assert store.latest() == Latest(name(2), AT, signed(2), "pinned")


def test_a_pin_leaves_what_never_ran(store: Store) -> None:
    activate(store, 1)
    activate(store, 2)
    held = hold(store, 3)

    activate(store, 1, "rollback", name(3))

    assert store.latest() == held


def test_without_a_pin_anything_may_come(store: Store) -> None:
    activate(store, 1)
    activate(store, 2)
    activate(store, 1, "rollback", name(2))

    store.unpin()
    store.unpin()

    assert store.active() == Active(activation(1, signed(1), "rollback"))
    assert len(store.history()) == 3


def test_a_store_without_an_active_one_can_be_unpinned(store: Store) -> None:
    store.unpin()

    assert store.active() is None


@pytest.mark.parametrize(
    ("reason", "latest"), [("source", 1), ("accept", 1), ("rollback", 2), ("start", 2)]
)
def test_only_who_asked_the_source_has_a_new_latest(
    store: Store, reason: Reason, latest: int
) -> None:
    activate(store, 1)
    hold(store, 2)

    activate(store, 1, reason)

    found = store.latest()
    assert found is not None
    assert found.generation == name(latest)


def test_the_latest_that_comes_into_force_is_active(store: Store) -> None:
    activate(store, 1)
    hold(store, 2)

    activate(store, 2, "accept")

    assert store.latest() == Latest(name(2), AT, signed(2), "active")


# --- objects ---


def test_what_is_here_needs_no_octets(store: Store) -> None:
    activate(store, 1)
    activate(store, 2)

    store.activate(activation(1), None, pinned_against=name(2))

    assert store.active() == Active(activation(1), name(2))


def test_what_is_not_here_whole_is_not_activated_without(store: Store, folder: Path) -> None:
    activate(store, 1)
    activate(store, 2)
    (folder / "objects" / name(1)[:2] / f"{name(1)[2:]}.json").write_bytes(b"{}")

    with pytest.raises(CorruptError, match="is corrupt"):
        store.activate(activation(1), None)
    with pytest.raises(MissingError, match="is not in the store"):
        store.activate(activation(3), None)

    assert store.active() == Active(activation(2, signed(2)))


def test_the_last_ten_are_kept(store: Store, folder: Path) -> None:
    for number in [*range(1, 15), 14, 13, 14]:
        activate(store, number)

    assert kept(folder) == {name(number) for number in range(5, 15)}
    assert len(store.history()) == 17


def test_what_is_named_is_kept(store: Store, folder: Path) -> None:
    activate(store, 1)
    store.publish("client", "default", octets(2), signed(2))
    activate(store, 3)
    activate(store, 1, "rollback", name(3))
    hold(store, 4)
    for number in range(20, 45):
        activate(store, 1 if number % 2 else number, "start", name(3))

    assert {name(number) for number in (1, 2, 3, 4)} < kept(folder)
    assert len(kept(folder)) == 4 + 9


def test_what_is_held_no_more_is_forgotten(store: Store, folder: Path) -> None:
    activate(store, 1)

    for number in range(2, 9):
        hold(store, number)

    assert kept(folder) == {name(1), name(8)}


def test_what_is_only_kept_stays_until_the_next_change(store: Store, folder: Path) -> None:
    activate(store, 1)

    store.keep(name(2), octets(2))
    store.note_latest(Latest(name(2), AT, None, "held"))
    store.keep(name(3), octets(3))
    before = kept(folder)
    store.keep(name(4), octets(4))

    assert (before, kept(folder)) == (
        {name(1), name(2), name(3)},
        {name(1), name(2), name(4)},
    )


def test_that_something_old_stays_is_told_and_no_failure(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "unlink", stuck)
    for number in range(1, 12):
        activate(store, number)
    problems = store.problems
    monkeypatch.undo()
    activate(store, 12)

    assert store.active() == Active(activation(12, signed(12)))
    assert ["input/output error" in each for each in problems] == [True]
    assert store.problems == []


# --- signatures, and what lies ready ---


def test_the_newest_signature_is_found(store: Store) -> None:
    activate(store, 1)
    store.activate(activation(1, signed(1, 7)), octets(1))
    store.activate(activation(1), octets(1))
    store.publish("client", "default", octets(2), signed(2))

    assert store.signed(name(1)) == signed(1, 7)
    assert store.signed(name(2)) == signed(2)
    assert store.signed(name(3)) is None


def test_a_signature_that_was_rejected_is_not_shown(store: Store) -> None:
    activate(store, 1)

    store.note_latest(Latest(name(1), AT, signed(1, 9), "rejected"))

    assert store.signed(name(1)) == signed(1, 1)


def test_what_is_published_lies_ready(store: Store) -> None:
    store.publish("client", "default", octets(1), signed(1))
    store.publish("client", "default", octets(2), signed(2))

    assert store.published("client", "default") == Published(name(2), AT, signed(2))
    assert store.read(name(2)) == octets(2)
    assert (store.published("client", "other"), store.active()) == (None, None)


def test_what_is_older_is_not_published(store: Store) -> None:
    store.publish("client", "default", octets(2), signed(2))
    store.publish("client", "default", octets(2), signed(2))

    for older in (signed(1), signed(1, 2)):
        with pytest.raises(StoreError, match="of client/default is not newer: sign it again"):
            store.publish("client", "default", octets(1), older)

    assert store.published("client", "default") == Published(name(2), AT, signed(2))


def test_what_is_not_what_was_signed_is_not_published(store: Store) -> None:
    with pytest.raises(CorruptError, match="another SHA-256"):
        store.publish("client", "default", octets(1), signed(2))


def test_one_profile_too_many_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs, "MOST_PROFILES", 1)
    store.publish("client", "default", octets(1), signed(1))

    with pytest.raises(StoreError, match="profiles already"):
        store.publish("client", "other", octets(2), signed(2))


# --- the disk ---


def test_a_store_that_was_deleted_is_made_again(store: Store, folder: Path) -> None:
    activate(store, 1)
    shutil.rmtree(folder)

    activate(store, 2)

    assert (ran(store), kept(folder)) == ([name(2)], {name(2)})


def test_a_broken_active_one_is_none_and_told(store: Store, folder: Path) -> None:
    activate(store, 1)
    (folder / "refs" / "active").write_bytes(b"{")

    again = opened(folder)

    assert (again.active(), len(again.problems)) == (None, 1)
    activate(again, 2)
    assert (again.active(), again.problems) == (Active(activation(2, signed(2))), [])


@pytest.mark.parametrize("way", ["", "refs", "objects", "lock/", "refs/floors/"])
def test_what_lies_in_the_way_is_told(folder: Path, way: str) -> None:
    (folder / way).parent.mkdir(parents=True, exist_ok=True)
    if way.endswith("/"):
        (folder / way).mkdir()
    else:
        (folder / way).write_text("a file")

    with pytest.raises(StoreError, match="move away what lies there"):
        activate(opened(folder), 1)


@pytest.mark.parametrize("way", ["/dev/null/registry", "/proc/registry"])
def test_a_store_where_none_can_be_is_told(way: str) -> None:
    with pytest.raises(StoreError, match=r"^the registry store fails at [^;]*; .*$"):
        opened(Path(way))

    assert (Store(way).active(), Store(way).history()) == (None, [])


def test_ten_thousand_tools_are_stored_in_no_time(store: Store) -> None:
    large = 5_000_000
    newest = activation(1)
    registry = type(newest)(AT, name(1, large), "source", None, "", None, 100, 10_000)
    began_at = perf_counter()

    store.activate(registry, octets(1, large))

    assert perf_counter() - began_at < 3  # of a busy machine; some 30 ms alone
