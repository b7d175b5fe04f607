"""Facts about the journal: what was appended is in the files, whole, once, and off the loop."""

import asyncio
import fcntl
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.events.journal import Journal

MIB = 1024**2
WRITER = """
import asyncio, sys
from proxy.events.journal import Journal
async def main(path, name, count):
    journal = Journal(path, 4_000, 50)
    for number in range(int(count)):
        journal.append(b'{"by": "%s", "n": %d}' % (name.encode(), number))
        if number % 10 == 9:
            journal._flush()  # many small batches, so that they meet
            await asyncio.sleep(0.001)
    while " waiting=0 " not in repr(journal):
        await asyncio.sleep(0.01)
    await journal.close()
    print(journal.dropped)
asyncio.run(main(*sys.argv[1:]))
"""
LITTLE_ROOM = """
import asyncio, resource, sys
from proxy.events.journal import Journal
async def main(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (25, resource.RLIM_INFINITY))
    journal = Journal(path, 1_000_000, 0)
    for number in range(5):
        journal.append(b'{"n": %03d}' % number)
    while not journal.problem:
        await asyncio.sleep(0.01)
    print(journal.problem, open(path, "rb").read(), sep="|")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    journal.reopen()
    await journal.close()
    print(journal.problem, journal.dropped)
asyncio.run(main(*sys.argv[1:]))
"""


def contents(journal: Journal) -> list[bytes]:
    """By file, oldest first."""
    return [each.read_bytes() for each in journal.files()]


def files_in(folder: Path) -> int:
    return len(list(folder.iterdir()))


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110 - of a thread
            await asyncio.sleep(0.005)


async def written(path: Path, *batches: list[bytes], size_bytes: int = MIB, keep: int = 5) -> None:
    for batch in batches:
        journal = Journal(str(path), size_bytes, keep)
        for line in batch:
            journal.append(line)
        await journal.close()


def start(program: str, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    )


def printed_by(process: "subprocess.Popen[str]") -> str:
    with process:
        return process.communicate(timeout=50)[0].strip()


async def test_lines_are_written_in_order_a_moment_later(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "var" / "events.jsonl"), MIB, 5)

    journal.append(b"{}")
    journal.append(b"[]")
    await until(journal.files)
    await until(lambda: contents(journal) == [b"{}\n[]\n"])

    journal.append(b"1")
    await until(lambda: contents(journal) == [b"{}\n[]\n1\n"])
    await journal.close()


async def test_owner_writes_a_group_reads_and_nobody_else(tmp_path: Path) -> None:
    await written(tmp_path / "events.jsonl", [b"{}"])

    mode = stat.S_IMODE((tmp_path / "events.jsonl").stat().st_mode)
    assert (mode & 0o137, mode & 0o600) == (0, 0o600)


async def test_line_that_came_before_the_loop_waits_for_it(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path / "events.jsonl"), MIB, 0)

    await asyncio.to_thread(journal.append, b"1")
    journal.append(b"2")

    await until(lambda: journal.files() and contents(journal) == [b"1\n2\n"])
    await journal.close()


async def test_full_file_moves_on_and_the_oldest_falls_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    await written(path, [b"a"], [b"b"], [b"c"], [b"d"], size_bytes=3, keep=2)

    journal = Journal(str(path), 3, 2)
    await journal.close()
    assert (contents(journal), files_in(tmp_path)) == ([b"b\n", b"c\n", b"d\n"], 3)


async def test_file_just_full_is_kept(tmp_path: Path) -> None:
    await written(tmp_path / "events.jsonl", [b"a"], [b"b"], [b"c"], size_bytes=4)

    assert (tmp_path / "events.jsonl.1").read_bytes() == b"a\nb\n"


async def test_with_none_kept_the_file_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    await written(path, [b"a"], [b"b"], size_bytes=3, keep=0)

    assert (path.read_bytes(), files_in(tmp_path)) == (b"b\n", 1)


async def test_batch_larger_than_a_file_is_a_file(tmp_path: Path) -> None:
    await written(tmp_path / "events.jsonl", [b"long" * 9, b"x"], [b"y" * 99], size_bytes=8)

    assert (tmp_path / "events.jsonl.1").read_bytes() == b"long" * 9 + b"\nx\n"
    assert (tmp_path / "events.jsonl").read_bytes() == b"y" * 99 + b"\n"


async def test_half_line_that_somebody_left_spoils_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'{}\n{"hal')

    await written(path, [b"{}"])

    assert path.read_bytes() == b'{}\n{"hal\n{}\n'


async def test_link_leads_to_where_the_files_are(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "events.jsonl"
    link.symlink_to(tmp_path / "disk" / "e")

    await written(link, [b"a"], [b"b"], size_bytes=3)

    assert link.is_symlink()
    assert {each.name for each in (tmp_path / "disk").iterdir()} == {"e", "e.1"}


async def test_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "telemetry"
    journal = Journal(str(folder / "events.jsonl"), MIB, 5)
    journal.append(b"a")
    await until(lambda: journal.files() and contents(journal) == [b"a\n"])
    (folder / "events.jsonl").unlink()
    folder.rmdir()

    journal.append(b"b")

    await journal.close()
    assert (contents(journal), journal.errors) == ([b"b\n"], 0)


def test_processes_that_append_and_rotate_at_once_lose_and_repeat_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    running = [start(WRITER, str(path), name, "1500") for name in ("one", "two", "three")]

    assert [printed_by(each) for each in running] == ["0"] * 3
    files = Journal(str(path), 4_000, 50).files()
    lines = b"".join(each.read_bytes() for each in files).splitlines()
    for name in (b"one", b"two", b"three"):
        numbers = [int(line.split()[-1][:-1]) for line in lines if name in line]
        assert numbers == list(range(1500))
    assert (len(lines), len(files) > 20) == (4500, True)


async def test_file_moved_away_before_it_was_locked_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, moved = tmp_path / "events.jsonl", tmp_path / "moved"
    flock = fcntl.flock

    def late(handle: int, how: int) -> None:
        if not moved.exists():
            path.rename(moved)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", late)

    await written(path, [b"a"])

    assert (path.read_bytes(), moved.read_bytes()) == (b"a\n", b"")


def test_disk_that_is_full_costs_no_line_and_leaves_no_half_one(tmp_path: Path) -> None:
    full, over = printed_by(start(LITTLE_ROOM, str(path := tmp_path / "events.jsonl"))).split("\n")

    assert full == f"cannot write {path}: file too large|" + str(b'{"n": 000}\n{"n": 001}\n')
    assert over.split() == ["0"]
    assert path.read_text() == "".join(f'{{"n": {number:03}}}\n' for number in range(5))


async def test_trouble_is_said_once_and_its_end_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "events.jsonl"
    path.mkdir()
    journal = Journal(str(path), MIB, 5)

    with caplog.at_level(logging.INFO, "toolproxy.events"):
        journal.append(b"a")
        await until(lambda: journal.errors >= 2)
        problem = journal.problem
        path.rmdir()
        await journal.close()

    assert (problem, journal.problem) == (f"cannot write {path}: is a directory", "")
    assert [(each.levelname, each.message) for each in caplog.records] == [
        ("WARNING", problem),
        ("INFO", f"{path} is written again"),
    ]
    assert (contents(journal), repr(journal)) == (
        [b"a\n"],
        f"<Journal {path} waiting=0 dropped=0>",
    )


async def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    journal = Journal(str(tmp_path / "fifo"), MIB, 5)
    journal.append(b"a")

    await until(lambda: journal.problem)

    assert journal.problem == f"cannot write {tmp_path / 'fifo'}: it is no regular file"
    await journal.close()
    assert (journal.dropped, journal.files()) == (1, [])


async def test_lock_that_is_never_given_back_costs_no_call(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal = Journal(str(path), MIB, 5)
    with path.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        journal.append(b"a")
        await until(lambda: journal.problem)
        said, there = journal.problem, path.read_bytes()

    await journal.close()

    assert (said, there) == (f"cannot write {path}: another process keeps it locked", b"")
    assert path.read_bytes() == b"a\n"


@pytest.mark.parametrize(
    ("line", "room"), [(b"x" * 9, 10_000), (b"x" * (MIB - 1), 8)], ids=["lines", "bytes"]
)
async def test_what_waits_is_bounded_and_the_newest_dropped(
    tmp_path: Path, line: bytes, room: int
) -> None:
    path = tmp_path / "events.jsonl"
    path.mkdir()
    journal = Journal(str(path), 100 * MIB, 5)
    for _ in range(room - 1):
        journal.append(line)
    await until(lambda: journal.problem)  # what is handed over and not yet written waits too

    for _ in range(4):
        journal.append(line)

    assert journal.dropped == 3
    path.rmdir()
    journal.reopen()
    await until(lambda: not journal.problem)
    await until(lambda: path.stat().st_size == room * (len(line) + 1))
    journal.append(b"room again")
    await journal.close()
    assert (path.read_bytes()[-11:], journal.dropped) == (b"room again\n", 3)


async def test_closing_gives_up_in_the_end_and_counts_what_is_lost(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    journal = Journal(str(tmp_path / "events.jsonl"), MIB, 5)
    journal.append(b"a")
    clock = asyncio.get_running_loop().time
    began_at = clock()

    await journal.close()
    took_s = clock() - began_at
    journal.append(b"after the end")
    dropped = journal.dropped
    await journal.close()

    assert (dropped, journal.dropped, 1.9 < took_s < 20) == (2, 2, True)
