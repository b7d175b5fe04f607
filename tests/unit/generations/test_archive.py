"""Facts about the store of a running sidecar: what fails is said, and in nobody's way."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy import errors
from proxy.artifact import Floor, canonical, identity
from proxy.generations.archive import Archive
from proxy.generations.records import Activation, Latest
from proxy.generations.store import Store, StoreError
from tests.support.generations_scene import of_tools
from tests.support.signing import AT, Signer

DOCUMENT = of_tools("t")
OCTETS, A = canonical(DOCUMENT), identity(DOCUMENT)
SIGNED = Signer().signs(DOCUMENT, 7, profile="fleet/prod")
HELD = Latest(A, AT, None, "held")
ACTIVATION = Activation(AT, A, "source", None, "registry.yaml", SIGNED, 1, 1)


@asynccontextmanager
async def archive(folder: Path | str) -> AsyncIterator[Archive]:
    opened = Archive(str(folder))
    try:
        await opened.open()
        yield opened
    finally:
        opened.close()


@asynccontextmanager
async def broken(tmp_path: Path) -> AsyncIterator[Archive]:
    """A file lies where its folder should be."""
    (tmp_path / "file").write_text("")
    async with archive(tmp_path / "file" / "store") as opened:
        yield opened


async def test_what_is_activated_can_be_read_again(tmp_path: Path) -> None:
    async with archive(tmp_path) as kept:
        await kept.activate(ACTIVATION, OCTETS, "")

        assert await kept.read(A) == (OCTETS, SIGNED)
        assert await kept.find(A[:8]) == A
        assert await kept.history(10) == [ACTIVATION]
        assert await kept.floor("fleet/prod") == Floor(7, A)
        assert (kept.problem, kept.is_writable, repr(kept)) == ("", True, f"<Archive {tmp_path}>")
        active = await kept.active()
        assert active is not None
        assert active.activation == ACTIVATION


async def test_what_is_kept_does_not_run(tmp_path: Path) -> None:
    async with archive(tmp_path) as kept:
        await kept.keep(HELD, OCTETS)

        assert await kept.active() is None
        assert (await kept.read(A))[0] == OCTETS


async def test_pin_ends(tmp_path: Path) -> None:
    async with archive(tmp_path) as kept:
        await kept.activate(ACTIVATION, OCTETS, "0" * 64)

        await kept.unpin()

        active = await kept.active()
        assert active is not None
        assert active.pinned_against == ""


async def test_what_is_published_lies_ready(tmp_path: Path) -> None:
    async with archive(tmp_path) as kept:
        await kept.publish("fleet", "prod", OCTETS, SIGNED)

        found = await kept.published("fleet", "prod")
        assert found is not None
        assert (found.generation, await kept.published("fleet", "other")) == (A, None)


WRITES: dict[str, Callable[[Archive], Any]] = {
    "open": Archive.open,
    "keep": lambda it: it.keep(HELD, OCTETS),
    "activate": lambda it: it.activate(ACTIVATION, OCTETS, ""),
    "unpin": Archive.unpin,
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_write_that_fails_is_said_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, write: Callable[[Archive], Any]
) -> None:
    async with broken(tmp_path) as kept:
        for _ in range(3):
            await write(kept)

        assert (bool(kept.problem), kept.is_writable) == (True, False)
        assert caplog.text.count(f"Generations are not kept: {kept.problem}") == 1


async def test_write_that_succeeds_ends_the_problem(tmp_path: Path) -> None:
    async with broken(tmp_path) as kept:
        (tmp_path / "file").unlink()

        await kept.activate(ACTIVATION, OCTETS, "")

        assert (kept.problem, kept.is_writable) == ("", True)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_without_a_folder_nothing_is_written(write: Callable[[Archive], Any]) -> None:
    async with archive("") as kept:
        await write(kept)

        assert (kept.problem, kept.is_writable, repr(kept)) == ("", False, "<Archive none>")


LOOKS: dict[str, tuple[Callable[[Archive], Any], object]] = {
    "active": (Archive.active, None),
    "floor": (lambda it: it.floor("default"), None),  # which is not to say that there is none
    "history": (lambda it: it.history(10), []),
}


async def test_look_without_a_folder_finds_nothing() -> None:
    async with archive("") as kept:
        assert await kept.active() is None
        assert await kept.history(10) == []
        assert await kept.floor("default") == Floor()


@pytest.mark.parametrize(("look", "nothing"), LOOKS.values(), ids=LOOKS)
async def test_look_that_fails_finds_nothing_and_is_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    look: Callable[[Archive], Any],
    nothing: object,
) -> None:
    def fails(*_: object) -> None:
        raise StoreError("the disk is gone: put it back")

    for name in LOOKS:
        monkeypatch.setattr(Store, name, fails)

    async with archive(tmp_path) as kept:
        assert await look(kept) == nothing

    assert "cannot be read: the disk is gone: put it back" in caplog.text


READS: dict[str, Callable[[Archive], Any]] = {
    "find": lambda it: it.find(A),
    "read": lambda it: it.read(A),
    "published": lambda it: it.published("fleet", "prod"),
    "publish": lambda it: it.publish("fleet", "prod", OCTETS, SIGNED),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_read_without_a_folder_says_what_is_off(read: Callable[[Archive], Any]) -> None:
    async with archive("") as kept:
        with pytest.raises(errors.StoreUnavailableError, match=r"registry\.store"):
            await read(kept)


@pytest.mark.parametrize("read", [READS["find"], READS["read"]], ids=["find", "read"])
async def test_generation_that_is_not_kept_is_not_found(
    tmp_path: Path, read: Callable[[Archive], Any]
) -> None:
    async with archive(tmp_path) as kept:
        with pytest.raises(errors.GenerationNotFoundError):
            await read(kept)


async def test_publication_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    async with broken(tmp_path) as kept:
        with pytest.raises(errors.StoreUnavailableError, match="move away"):
            await READS["publish"](kept)


async def test_corrupt_generation_says_so(tmp_path: Path) -> None:
    async with archive(tmp_path) as kept:
        await kept.activate(ACTIVATION, OCTETS, "")
        (tmp_path / "objects" / A[:2] / f"{A[2:]}.json").write_bytes(b"{}")

        with pytest.raises(errors.StoreUnavailableError, match="corrupt"):
            await kept.read(A)


async def test_disk_that_hangs_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(Store, "unpin", lambda _: released.wait(20))

    async with archive(tmp_path) as kept, asyncio.TaskGroup() as group:
        hanging = group.create_task(kept.unpin())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not hanging.done()
        released.set()
