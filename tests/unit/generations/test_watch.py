"""Facts about watching: every way in which a file changes is a reason to look again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.generations import watch
from proxy.generations.watch import Watch

NEVER_S = 3600.0
WITHIN_S = 10.0
GONE = "gone"


class Looks:
    """What was in the file each time that `changed` was called."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: list[str] = []
        self._news = asyncio.Event()

    async def changed(self) -> None:
        self.seen.append(self.path.read_text() if self.path.exists() else GONE)
        self._news.set()

    async def until(self, content: str, *, times: int = 1) -> None:
        """Wait until this was looked at so often; no longer than `WITHIN_S`."""
        async with asyncio.timeout(WITHIN_S):
            while self.seen.count(content) < times:
                self._news.clear()
                await self._news.wait()


@asynccontextmanager
async def watching(
    path: Path, poll_interval_s: float = NEVER_S, looks: Looks | None = None
) -> AsyncIterator[Looks]:
    looks = looks or Looks(path)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(Watch(str(path), poll_interval_s, looks.changed).run())
        try:
            yield looks
        finally:
            task.cancel()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text("old")
    return path


def renamed_over(file: Path, content: str) -> None:
    other = file.with_name(".registry.yaml.tmp")
    other.write_text(content)
    other.rename(file)


def written_in_place(file: Path, content: str) -> None:
    with file.open("r+") as opened:
        opened.write(content)


def truncated_and_written(file: Path, content: str) -> None:
    with file.open("w") as opened:
        opened.flush()
        opened.write(content)


def removed(file: Path) -> None:
    file.unlink()


def removed_and_made_anew(file: Path, content: str) -> None:
    removed(file)
    file.write_text(content)


WAYS = [renamed_over, written_in_place, truncated_and_written, removed_and_made_anew]


async def test_file_is_looked_at_once_the_watch_stands(file: Path) -> None:
    async with watching(file) as looks:
        await looks.until("old")


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__)
async def test_change_is_seen_and_the_one_after_it(
    file: Path, change: Callable[[Path, str], None]
) -> None:
    async with watching(file) as looks:
        await looks.until("old")

        for content in ("new", "top"):
            change(file, content)
            await looks.until(content)


async def test_file_that_vanishes_is_seen_and_so_is_its_return(file: Path) -> None:
    async with watching(file) as looks:
        await looks.until("old")

        removed(file)
        await looks.until(GONE)
        renamed_over(file, "new")
        await looks.until("new")
        written_in_place(file, "top")
        await looks.until("top")


async def test_file_that_was_never_there_is_seen_when_it_comes(tmp_path: Path) -> None:
    file = tmp_path / "registry.yaml"
    async with watching(file) as looks:
        await looks.until(GONE)

        file.write_text("new")
        await looks.until("new")


def config_map(folder: Path, generation: str) -> None:
    """What the kubelet does: a new folder, and one link that is renamed to lead there."""
    (folder / f"..{generation}").mkdir()
    (folder / f"..{generation}" / "registry.yaml").write_text(generation)
    (folder / "..data_tmp").symlink_to(f"..{generation}")
    (folder / "..data_tmp").rename(folder / "..data")


async def test_swap_of_a_config_map_is_seen_each_time(tmp_path: Path) -> None:
    config_map(tmp_path, "first")
    file = tmp_path / "registry.yaml"
    file.symlink_to("..data/registry.yaml")
    async with watching(file) as looks:
        await looks.until("first")

        for generation in ("second", "third"):
            config_map(tmp_path, generation)
            await looks.until(generation)


async def test_file_behind_a_link_is_watched_where_it_lies(file: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "linked.yaml"
    link.symlink_to(file)
    async with watching(link) as looks:
        await looks.until("old")

        renamed_over(file, "new")
        await looks.until("new")


def beside(file: Path) -> Path:
    return file.with_name(file.name + ".sig")


async def test_a_signature_beside_the_file_is_watched_like_the_file(file: Path) -> None:
    removed(file)
    looks = Looks(beside(file))
    async with watching(file, looks=looks):
        await looks.until(GONE)

        for content in ("signed", "signed anew"):
            renamed_over(beside(file), content)
            await looks.until(content)
        removed(beside(file))
        await looks.until(GONE, times=2)


async def test_a_signature_behind_a_link_is_watched_where_it_lies(
    file: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "signature"
    target.write_text("signed")
    beside(file).symlink_to(target)
    looks = Looks(beside(file))
    async with watching(file, looks=looks):
        await looks.until("signed")

        renamed_over(target, "signed anew")
        await looks.until("signed anew")


async def test_a_signature_that_is_linked_to_another_place_is_seen(
    file: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "signature").write_text(name)
    beside(file).symlink_to(tmp_path / "first" / "signature")
    looks = Looks(beside(file))
    async with watching(file, looks=looks):
        await looks.until("first")

        link = tmp_path / "link"
        link.symlink_to(tmp_path / "second" / "signature")
        link.rename(beside(file))
        await looks.until("second")


async def test_a_signature_that_leads_nowhere_hinders_nobody(file: Path, tmp_path: Path) -> None:
    beside(file).symlink_to(tmp_path / "nowhere" / "signature")
    async with watching(file) as looks:
        await looks.until("old")

        renamed_over(file, "new")
        await looks.until("new")


async def test_relative_path_is_watched(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    async with watching(Path(file.name)) as looks:
        await looks.until("old")

        written_in_place(file, "new")
        await looks.until("new")


async def test_other_files_of_the_folder_are_no_reason_to_look(file: Path) -> None:
    async with watching(file) as looks:
        await looks.until("old")
        looked = len(looks.seen)

        for n in range(5):
            file.with_name(f"other{n}.yaml").write_text("x")
        renamed_over(file, "new")
        await looks.until("new")

        assert set(looks.seen[looked:]) == {"new"}


async def test_file_is_polled_where_it_can_not_be_watched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "mounted" / "registry.yaml"
    async with watching(file, poll_interval_s=0.01) as looks:
        await looks.until(GONE)

        file.parent.mkdir()
        file.write_text("new")
        await looks.until("new")

    assert "can't be watched, only polled" in caplog.text


async def test_folder_that_comes_later_is_watched_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_RETRY_S", 0.01)
    file = tmp_path / "mounted" / "registry.yaml"
    async with watching(file) as looks:
        file.parent.mkdir()
        file.write_text("old")
        await looks.until("old")

        written_in_place(file, "new")
        await looks.until("new")


async def test_file_is_polled_as_often_as_asked(file: Path) -> None:
    async with watching(file, poll_interval_s=0.01) as looks:
        await looks.until("old", times=5)

    assert set(looks.seen) == {"old"}
