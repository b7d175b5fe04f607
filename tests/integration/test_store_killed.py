"""Processes that are killed at any moment of their work, and two at once, on one store."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import IO

import pytest

from proxy.generations.store import Store
from tests.support.store_scene import activate, leftovers, name, opened
from tests.support.store_writer import client, is_publication

ROOT = Path(__file__).parents[2]
KILLS = 200
LONGEST_S = 0.02  # some changes; each takes a few milliseconds
WRITER = [sys.executable, "-m", "tests.support.store_writer"]


class Writer:
    """The processes, one at a time; knows what they said that they did."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own
            [*WRITER, str(folder)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._pid = 0
        self.begun = self.done = 0

    def start(self, number: int) -> None:
        """Return when it has begun with its first change."""
        there(self._process.stdin).write(b"%d\n" % number)
        there(self._process.stdin).flush()
        while not (self._pid and self.begun >= number):
            self._hear()

    def comes_to(self, number: int) -> None:
        while self.done < number:
            assert self._hear() != "gone"

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        while self._hear() != "gone":
            pass

    def close(self) -> None:
        if self._pid:
            self.kill()
        self._process.communicate()

    def _hear(self) -> str:
        said, number = there(self._process.stdout).readline().decode().split()
        if said == "pid":
            self._pid = int(number)
        elif said == "gone":
            self._pid = 0
        elif said == "begun":
            self.begun = int(number)
        elif said == "done":
            self.done = int(number)
        return said


def there(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def found(store: Store) -> tuple[str, str]:
    """What is active, and what is published."""
    active, published = store.active(), store.published(client(1), "default")
    return (
        active.activation.generation if active else "",
        published.generation if published else "",
    )


def after(state: tuple[str, str], first: int, last: int) -> tuple[str, str]:
    """What there is when these were done."""
    active, published = state
    for number in range(first, last + 1):
        if is_publication(number):
            published = name(number)
        else:
            active = name(number)
    return active, published


def is_sound(folder: Path, left: tuple[str, str]) -> bool:
    store = opened(folder)
    assert (found(store), store.problems, list(leftovers(folder))) == (left, [], [])
    for each in filter(None, left):
        assert store.read(each)
    assert [each.generation for each in store.history(1)] == [each for each in left[:1] if each]
    return True


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def writer(folder: Path) -> Iterator[Writer]:
    writer = Writer(folder)
    yield writer
    writer.close()


def test_whoever_is_killed_leaves_the_old_state_or_the_new(folder: Path, writer: Writer) -> None:
    chance = Random(7)  # noqa: S311 - no secret
    state, amid = ("", ""), 0

    for _ in range(KILLS):
        first = writer.begun + 1
        writer.start(first)
        time.sleep(chance.uniform(0, LONGEST_S))
        writer.kill()
        amid += writer.begun != writer.done

        left = found(Store(str(folder)))
        assert left in {after(state, first, last) for last in (writer.done, writer.begun)}
        assert is_sound(folder, left)
        state = left

    assert amid > KILLS / 10  # else nothing was seen


def test_a_lock_ends_with_its_holder(folder: Path, writer: Writer) -> None:
    writer.start(1)
    writer.kill()

    activate(opened(folder), 1_000_000)

    assert found(Store(str(folder)))[0] == name(1_000_000)


def test_two_at_once_change_one_store(folder: Path, writer: Writer) -> None:
    with closing(Writer(folder)) as other:
        writer.start(1)
        other.start(1_000_001)
        writer.comes_to(11)
        other.comes_to(1_000_011)
        writer.kill()

    store = opened(folder)
    changes = [*range(1, 12), *range(1_000_001, 1_000_012)]
    activations = {name(each) for each in changes if not is_publication(each)}
    assert activations <= {each.generation for each in store.history(10_000)}
    assert store.floor("default").version >= 1_000_011
    assert is_sound(folder, found(store))


def test_who_reads_meanwhile_sees_whole_states(folder: Path, writer: Writer) -> None:
    writer.start(1)
    store = Store(str(folder))
    seen: set[str] = set()

    while len(seen) < 20:
        seen |= {*found(store)} - {""}
        assert (store.problems, len(store.history(5)) <= 5) == ([], True)
    writer.kill()

    assert seen <= {name(number) for number in range(1, writer.begun + 1)}
