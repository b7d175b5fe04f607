"""Facts about files below a folder: whole or not at all, one writer at a time, nothing followed."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from proxy.generations import files
from proxy.generations.files import Folder, OddFileError, StoreError
from tests.support.store_faults import Died, Disk

ROOM = 1_000
NOBODY = 65_534


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "var" / "registry"))


@contextmanager
def somebody_else() -> Iterator[None]:
    """Root may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def make(folder: Folder) -> None:
    with folder.locked():
        folder.write("a", b"")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_was_written_is_read(folder: Folder) -> None:
    folder.write("a/b/c", b"first")

    folder.write("a/b/c", b"second")

    assert (folder.read("a/b/c", ROOM), folder.names("a"), folder.names("a/b")) == (
        b"second",
        ["b"],
        ["c"],
    )


def test_what_is_missing_is_nothing(folder: Folder) -> None:
    folder.write("file", b"")

    assert (folder.read("other", ROOM), folder.read("file/below", ROOM)) == (None, None)
    assert (folder.names("other"), folder.names("file")) == ([], [])


def test_what_is_appended_comes_behind(folder: Folder) -> None:
    folder.write("log", b"a\n")

    folder.append("log", b"b\n")

    assert folder.read("log", ROOM) == b"a\nb\n"


def test_a_folder_goes_with_its_last_file(folder: Folder) -> None:
    folder.write("a/1", b"")
    folder.write("a/2", b"")

    folder.remove("a/1")
    names = folder.names("a")
    folder.remove("a/2")
    folder.remove("a/2")  # as good as removed

    assert (names, folder.names("")) == (["2"], [])


def test_only_the_owner_writes_and_a_group_reads(folder: Folder, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with folder.locked():
            folder.write("a/b", b"")
    finally:
        os.umask(before)

    modes = {each.name: mode(each) for each in (tmp_path / "var").rglob("*")}
    assert modes == {"registry": 0o750, "a": 0o750, "b": 0o640, "lock": 0o640}
    assert mode(tmp_path / "var") == 0o750


def test_a_file_too_large_is_not_read(folder: Folder) -> None:
    folder.write("a", b"123456")

    with pytest.raises(OddFileError, match="larger than 5 bytes"):
        folder.read("a", 5)


@pytest.mark.parametrize("kind", ["folder", "link", "dangling", "pipe", "socket"])
def test_what_is_no_file_is_not_read(folder: Folder, tmp_path: Path, kind: str) -> None:
    folder.write("other", b"secret")
    path = tmp_path / "var" / "registry" / "a"
    match kind:
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("other")
        case "dangling":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)
        case _:
            os.mknod(path, stat.S_IFSOCK | 0o600)

    with pytest.raises(OddFileError, match="no regular file"):
        folder.read("a", ROOM)


def test_a_link_is_replaced_and_what_it_led_to_stays(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"theirs")
    folder.write("b", b"")
    (tmp_path / "var" / "registry" / "a").symlink_to(outside)
    (tmp_path / "var" / "registry" / "log").symlink_to(outside)

    folder.write("a", b"ours")
    with pytest.raises(StoreError, match="move away"):
        folder.append("log", b"ours")

    assert (outside.read_bytes(), folder.read("a", ROOM)) == (b"theirs", b"ours")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (errno.ENOSPC, "make room on its disk"),
        (errno.EDQUOT, "make room on its disk"),
        (errno.EROFS, "mount a volume there that can be written, or set registry.store"),
        (errno.EIO, "look after its disk"),
    ],
    ids=["disk-full", "quota", "read-only", "disk-broken"],
)
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(
    folder: Folder, tmp_path: Path, error: int, advice: str
) -> None:
    folder.write("a", b"before")
    whole = Disk()
    with whole.working():
        folder.write("a", b"before")

    for step in range(1, whole.calls):  # but for the last: the name is moved, and not yet synced
        with Disk(step, error).working(), pytest.raises(StoreError, match=advice):
            folder.write("a", b"after!")
        assert folder.read("a", ROOM) == b"before"

    with folder.locked():
        assert {each.name for each in (tmp_path / "var" / "registry").iterdir()} == {"a", "lock"}


def test_a_sudden_end_leaves_the_old_file_or_the_new(folder: Folder) -> None:
    whole, seen = Disk(), []
    folder.write("a", b"before")
    with whole.working():
        folder.write("a", b"before")

    for step in range(1, whole.calls + 1):
        folder.write("a", b"before")
        with Disk(step).working(), pytest.raises(Died):
            folder.write("a", b"after")
        seen.append(folder.read("a", ROOM))

    assert (seen[0], seen[-1], set(seen)) == (b"before", b"after", {b"before", b"after"})


def test_what_is_written_is_on_the_disk_before_it_has_its_name(folder: Folder) -> None:
    folder.write("a", b"before")
    written, appended = Disk(), Disk()

    with written.working():
        folder.write("a", b"after")
    with appended.working():
        folder.append("a", b"more")

    assert written.log == ["open", "write", "fsync", "replace", "fsync"]
    assert appended.log == ["write", "fsync"]


def test_what_dead_ones_left_goes_with_the_next_change(folder: Folder, tmp_path: Path) -> None:
    folder.write("a", b"before")
    with Disk(3).working(), pytest.raises(Died):
        folder.write("a", b"after")
    left = list(tmp_path.rglob(".new-*"))

    with folder.locked():
        pass

    assert (len(left), list(tmp_path.rglob(".new-*"))) == (1, [])


def test_a_folder_that_may_not_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    folder = Folder(str(tmp_path / "registry"))

    with somebody_else(), pytest.raises(StoreError, match="permission denied; let this user"):
        folder.locked().__enter__()

    tmp_path.chmod(0o755)


@pytest.mark.parametrize("there", ["", "/lock", "/a"], ids=["root", "lock", "target"])
def test_what_lies_in_the_way_is_told(tmp_path: Path, there: str) -> None:
    folder = Folder(str(tmp_path / "registry"))
    if there:
        (tmp_path / f"registry{there}").mkdir(parents=True)
    else:
        (tmp_path / "registry").write_text("a file")

    with pytest.raises(StoreError, match=rf"fails at \S*registry{there}: [^;]*; move away"):
        make(folder)


def test_a_store_that_cannot_be_written_is_found_out(folder: Folder) -> None:
    with folder.locked():
        with Disk(1, errno.ENOSPC).working(), pytest.raises(StoreError, match="no space left"):
            folder.try_out()
        folder.try_out()

    assert folder.names("") == ["lock"]


def test_nobody_waits_without_end(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_LOCK_WAIT_S", 0.03)
    other = Folder(folder.name)

    with folder.locked(), pytest.raises(StoreError, match="keeps it locked; try again"):
        other.locked().__enter__()

    with other.locked():
        pass


def test_a_change_that_fails_gives_the_lock_back(folder: Folder) -> None:
    with pytest.raises(RuntimeError), folder.locked():
        raise RuntimeError

    with Folder(folder.name).locked():
        pass


def test_a_lock_that_was_moved_away_is_none(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "var" / "registry" / "lock"
    real, looks = fcntl.flock, [lock.unlink]

    def flock(handle: int, operation: int) -> None:
        while looks:
            looks.pop()()
        real(handle, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(files, "_LOCK_WAIT_S", 0.03)

    with folder.locked(), pytest.raises(StoreError, match="keeps it locked"):
        Folder(folder.name).locked().__enter__()


@pytest.mark.parametrize("error", [errno.EINVAL, errno.EIO], ids=["cannot", "fails"])
def test_a_folder_that_cannot_be_synced_is_no_failure(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    folder.write("a", b"")
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(error, os.strerror(error))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)

    with nullcontext() if error == errno.EINVAL else pytest.raises(StoreError):
        folder.write("a", b"b")
