import os
import stat
from pathlib import Path

import pytest

from proxy.people.unusable import UnusableError
from proxy.publishing.files import read_octets, replace_octets


def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")

    assert read_octets(tmp_path / "link", 3) == b"abc"


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcd")

    with pytest.raises(UnusableError, match="longer than 3 octets"):
        read_octets(tmp_path / "file", 3)


@pytest.mark.parametrize("name", ["absent", "folder", "pipe", "loop", "nul\x00"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(UnusableError, match="cannot be read"):
        read_octets(tmp_path / name, 3)


@pytest.mark.parametrize("there", [True, False], ids=["there", "not-there"])
def test_a_file_is_replaced_whole(tmp_path: Path, *, there: bool) -> None:
    path = tmp_path / "file"
    if there:
        path.write_bytes(b"old and longer")

    replace_octets(path, b"new")

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"new")]


def test_a_replaced_file_is_for_all_to_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        replace_octets(tmp_path / "file", b"")
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o644


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere/file")

    replace_octets(tmp_path / "link", b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "file").read_bytes() == b"new"


def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(UnusableError, match="cannot be written: No space left"):
        replace_octets(tmp_path / "file", b"new")

    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize("name", ["absent/file", "folder", "nul\x00"])
def test_where_nothing_can_be_written_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(UnusableError, match="cannot be written"):
        replace_octets(tmp_path / name, b"")
