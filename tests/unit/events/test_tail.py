"""Facts about following another server's event file."""

import asyncio
import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.events.tail import Tail

MIB = 1024**2


class Follower:
    """A tail that looks when the test says so, and what it took."""

    def __init__(self, path: Path, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.taken: list[object] = []
        self.tail = Tail(str(path), lambda document: self.taken.append(document["n"]))

    def sees(self) -> list[object]:
        """What is new."""
        self.taken.clear()
        while self.runner.run(self.tail.look()):
            pass
        return list(self.taken)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def follower(path: Path) -> Iterator[Follower]:
    with asyncio.Runner() as runner:
        following = Follower(path, runner)
        yield following
        following.tail._source.close()


def lines(*numbers: int) -> str:
    return "".join(f'{{"n": {number}}}\n' for number in numbers)


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def rotate(path: Path, deepest: int) -> None:
    for number in range(deepest - 1, 0, -1):
        Path(f"{path}.{number}").rename(f"{path}.{number + 1}")
    path.rename(f"{path}.1")


def test_file_that_is_there_is_followed_from_its_end(path: Path, follower: Follower) -> None:
    add(path, lines(1, 2))
    assert follower.sees() == []

    add(path, lines(3, 4))

    assert follower.sees() == [3, 4]


def test_file_that_comes_later_is_read_from_its_beginning(path: Path, follower: Follower) -> None:
    assert follower.sees() == []

    add(path, lines(1, 2))

    assert follower.sees() == [1, 2]


def test_half_line_waits_for_its_end(path: Path, follower: Follower) -> None:
    add(path, lines(1) + '{"n"')  # begun before, ended after
    assert follower.sees() == []

    add(path, ": 2}\n{")
    assert follower.sees() == [2]
    add(path, '"n": ')
    assert follower.sees() == []
    add(path, "3}\n")

    assert (follower.sees(), follower.tail.bad) == ([3], 0)


def test_file_moved_away_is_read_to_its_end_before_the_new_one(
    path: Path, follower: Follower
) -> None:
    add(path, lines(1))
    follower.sees()
    add(path, lines(2))
    moved = path.rename(f"{path}.1")
    assert follower.sees() == [2]  # and its writer has not noticed yet

    add(moved, lines(3) + '{"n": 4}')  # nor ended its last line
    add(path, lines(5))

    assert (follower.sees(), follower.tail.bad) == ([3, 4, 5], 0)


def test_files_rotated_between_two_looks_are_all_read(path: Path, follower: Follower) -> None:
    add(path, lines(0))
    follower.sees()

    for number in range(1, 5):
        rotate(path, number)
        add(path, lines(number))

    assert follower.sees() == [1, 2, 3, 4]


@pytest.mark.parametrize("again", [lines(7), lines(7, 8, 9, 10)], ids=["shorter", "longer"])
def test_file_written_anew_in_place_is_read_from_its_beginning(
    path: Path, follower: Follower, again: str
) -> None:
    follower.sees()
    add(path, lines(1, 2) + '{"n":')
    assert follower.sees() == [1, 2]

    path.write_text(again)

    assert follower.sees() == [7, 8, 9, 10][: again.count("\n")]


def test_file_deleted_and_made_again_is_read(path: Path, follower: Follower) -> None:
    add(path, lines(1))
    follower.sees()
    add(path, lines(2) + '{"n": 3}')
    path.unlink()
    assert follower.sees() == [2, 3]
    follower.sees()
    assert follower.tail.problem == f"cannot read {path}: no such file or directory"
    assert not is_held(path)  # that would keep its room on the disk

    add(path, lines(4))

    assert (follower.sees(), follower.tail.problem) == ([4], "")


def is_held(path: Path) -> bool:
    held = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    return any(each.startswith(str(path)) for each in held)


def test_link_that_leads_elsewhere_is_followed(path: Path, follower: Follower) -> None:
    first, second = path.with_name("first"), path.with_name("second")
    add(first, lines(1))
    add(second, lines(3))
    path.symlink_to(first)
    follower.sees()
    add(first, lines(2))

    path.unlink()
    path.symlink_to(second)

    assert follower.sees() == [2, 3]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_no_file_is_refused_and_never_waited_for(
    path: Path, follower: Follower, kind: str
) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert follower.sees() == []
    assert follower.tail.problem == f"cannot read {path}: it is no regular file"

    path.rename(path.with_name("elsewhere"))
    add(path, lines(1))

    assert (follower.sees(), follower.tail.problem) == ([1], "")


def test_file_unreadable_for_a_while_is_read_from_where_it_was(
    path: Path,
    follower: Follower,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add(path, lines(1))
    with caplog.at_level(logging.INFO, "toolproxy.events"):
        with monkeypatch.context() as patch:  # root may read everything
            patch.setattr(os, "open", denied)
            assert follower.sees() == follower.sees() == []
            add(path, lines(2))

        assert follower.sees() == [2]

    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", f"cannot read {path}: permission denied"),
        ("INFO", f"{path} is read again"),
    ]


def test_handle_gone_stale_is_opened_again_where_it_was(
    path: Path, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.sees()
    add(path, lines(1) + '{"n"')
    assert follower.sees() == [1]
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", denied)
        assert follower.sees() == []

    add(path, ": 2}\n")

    assert follower.sees() == [2]


def denied(*_: object) -> int:
    raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def test_what_is_no_object_is_counted_and_said_once(
    path: Path, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    add(path, "")
    follower.sees()
    add(path, lines(1) + "rubbish\n\n  \r\n[]\n3\n" + "[" * 2000 + '\n{"n": 2}\r\n')

    with caplog.at_level(logging.WARNING, "toolproxy.events"):
        assert follower.sees() == [1, 2]

    assert (follower.tail.lines, follower.tail.bad, len(caplog.records)) == (2, 4, 1)
    assert repr(follower.tail) == f"<Tail {path} lines=2 bad=4>"


@pytest.mark.parametrize("pieces", [1, 40], ids=["at-once", "bit-by-bit"])
def test_line_too_long_is_skipped_and_counted_once(
    path: Path, follower: Follower, pieces: int
) -> None:
    follower.sees()
    for _ in range(pieces):
        add(path, "x" * (3 * MIB // pieces))
        follower.sees()

    add(path, "\n" + lines(1))

    assert (follower.sees(), follower.tail.bad) == ([1], 1)


def test_line_of_the_longest_length_is_taken(path: Path, follower: Follower) -> None:
    follower.sees()
    add(path, '{"n": 1}'.ljust(MIB) + "\n" + '{"n": 2}'.ljust(MIB + 1) + "\n")

    assert (follower.sees(), follower.tail.bad) == ([1], 1)


def test_long_piece_is_taken_in_short_turns(path: Path, follower: Follower) -> None:
    follower.sees()
    add(path, lines(*range(20_000)))  # about a piece

    async def turns_beside() -> int:
        turns = 0
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(follower.tail.look())
            while not looking.done():
                taken = len(follower.taken)
                await asyncio.sleep(0)
                turns += len(follower.taken) > taken
        return turns

    assert follower.runner.run(turns_beside()) > 2


async def test_run_follows_until_it_is_cancelled(path: Path) -> None:
    came = asyncio.Event()
    tail = Tail(str(path), lambda _: came.set())

    async with asyncio.TaskGroup() as group, asyncio.timeout(20):
        running = group.create_task(tail.run())
        while not tail.problem:  # noqa: ASYNC110 - till it has seen that there is none
            await asyncio.sleep(0.01)
        add(path, lines(1))
        await came.wait()
        running.cancel()

    assert (tail.lines, await tail.look(), is_held(path)) == (1, False, False)
