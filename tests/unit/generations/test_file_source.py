"""Facts about the file as a source: what is lent, and when it passes for another text."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.config.document import MAX_BYTES
from proxy.generations.file_source import FileSource
from proxy.generations.source import SIGNATURE_BYTES, Text
from tests.support.descriptors import open_descriptors

NEVER_S = 3600.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text("old")
    return path


def beside(file: Path) -> Path:
    return file.with_name(file.name + ".sig")


async def lent(path: Path, known: str = "") -> Text | None:
    async with FileSource(str(path), NEVER_S).fetch(known) as text:
        return text


async def tag_of(path: Path) -> str:
    text = await lent(path)
    assert text is not None
    return text.tag


async def test_the_file_is_lent_where_it_lies(file: Path) -> None:
    beside(file).write_bytes(b"signed")

    text = await lent(file)

    assert text == Text(str(file), await tag_of(file), b"signed")


async def test_what_is_known_is_not_lent_again(file: Path) -> None:
    assert await lent(file, await tag_of(file)) is None


async def test_a_file_without_a_signature_is_unsigned(file: Path) -> None:
    text = await lent(file)

    assert text is not None
    assert text.signature is None


def rewritten(file: Path, content: str = "new") -> None:
    file.write_text(content)


def gone(file: Path) -> None:
    file.unlink()


def unreadable(file: Path) -> None:
    file.unlink()
    file.mkdir()


def signed(file: Path) -> None:
    beside(file).write_bytes(b"signed")


def signed_with_nothing(file: Path) -> None:
    beside(file).touch()


CHANGES = [rewritten, gone, unreadable, signed, signed_with_nothing]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
async def test_a_change_of_either_file_is_another_text(
    file: Path, change: Callable[[Path], None]
) -> None:
    known = await tag_of(file)

    change(file)

    assert await tag_of(file) != known


async def test_a_file_that_comes_back_as_it_was_is_the_text_it_was(file: Path) -> None:
    known = await tag_of(file)
    rewritten(file)
    assert await tag_of(file) != known

    rewritten(file, "old")

    assert await tag_of(file) == known


async def test_a_large_signature_is_lent_with_one_octet_too_many(file: Path) -> None:
    beside(file).write_bytes(b"x" * (2 * SIGNATURE_BYTES))

    text = await lent(file)

    assert text is not None
    assert len(text.signature or b"") == SIGNATURE_BYTES + 1


async def test_a_signature_that_cannot_be_read_does_not_pass_for_none(file: Path) -> None:
    beside(file).mkdir()

    text = await lent(file)

    assert text is not None
    assert (text.signature, text.unreadable) == (
        None,
        f"cannot read {beside(file)}: Is a directory",
    )


async def test_a_pipe_in_place_of_either_file_holds_nobody(file: Path) -> None:
    gone(file)
    os.mkfifo(file)
    assert await tag_of(file) == "OSError not a regular file unsigned"

    os.mkfifo(beside(file))
    assert (await tag_of(file)).endswith("not a regular file")


async def test_what_nobody_reads_is_not_read_for_the_tag(file: Path) -> None:
    os.truncate(file, MAX_BYTES + 1)
    known = await tag_of(file)

    os.truncate(file, 10 * 1024 * MAX_BYTES)  # a hole: it takes no place

    assert await tag_of(file) == known


async def test_no_descriptor_stays_open(file: Path) -> None:
    beside(file).write_bytes(b"signed")
    await lent(file)  # starts the executor
    held = open_descriptors()

    for _ in range(50):
        await lent(file)

    assert open_descriptors() == held


def test_it_is_named_as_it_was_written() -> None:
    source = FileSource("conf/registry.yaml", NEVER_S)

    assert (source.name, source.remote, repr(source)) == (
        "conf/registry.yaml",
        False,
        "<FileSource conf/registry.yaml>",
    )
