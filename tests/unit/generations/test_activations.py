"""Facts about the log of activations: whole lines, the newest last, not too many."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from proxy.generations import activations
from proxy.generations.activations import Activations
from proxy.generations.files import Folder
from proxy.generations.records import written
from tests.support.store_scene import activation, name


@pytest.fixture
def problems() -> dict[str, str]:
    return {}


@pytest.fixture
def log(tmp_path: Path, problems: dict[str, str]) -> Activations:
    return Activations(Folder(str(tmp_path)), problems)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "activations.jsonl"


def append(log: Activations, *numbers: int) -> None:
    for number in numbers:
        log.append(activation(number))


def numbers(log: Activations, most: int = 50) -> list[int]:
    """Oldest first."""
    known = {name(number): number for number in range(most)}
    return [known[each.generation] for each in log.newest_first()][::-1]


def test_the_newest_is_first(log: Activations) -> None:
    append(log, 1, 2, 3)

    assert (log.newest(), numbers(log)) == (activation(3), [1, 2, 3])


def test_an_empty_log_has_none(log: Activations, problems: dict[str, str]) -> None:
    assert (log.newest(), numbers(log), problems) == (None, [], {})


def test_a_line_is_put_behind_the_others(log: Activations, file: Path) -> None:
    append(log, 1)
    before = file.stat().st_ino

    append(log, 2)

    assert (file.stat().st_ino, file.read_bytes()) == (
        before,
        written(activation(1)) + written(activation(2)),
    )


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_a_torn_line_is_passed_over_and_gone_with_the_next(
    log: Activations, file: Path, problems: dict[str, str], cut: int
) -> None:
    append(log, 1, 2)
    file.write_bytes(file.read_bytes()[:-cut])

    assert (numbers(log), problems) == ([1], {})

    append(log, 3)
    assert (numbers(log), file.read_bytes().count(b"\n")) == ([1, 3], 2)


def test_a_line_that_cannot_be_read_is_told_until_the_next(
    log: Activations, file: Path, problems: dict[str, str]
) -> None:
    append(log, 1, 2, 3)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"\xff junk\n\n" + lines[2])

    assert numbers(log) == [1, 3]
    assert "has a line that is passed over: " in problems["activations.jsonl"]

    append(log, 4)
    assert (numbers(log), problems, file.read_bytes().count(b"\n")) == ([1, 3, 4], {}, 3)


def test_as_many_are_kept_as_are_worth_it(
    log: Activations, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activations, "_KEPT", 5)
    most = 0

    for number in range(30):
        append(log, number)
        most = max(most, file.read_bytes().count(b"\n"))
        assert numbers(log)[-5:] == list(range(max(0, number - 4), number + 1))

    assert most == 10


def test_a_folder_in_place_of_the_log_is_told(
    log: Activations, file: Path, problems: dict[str, str]
) -> None:
    file.mkdir()

    assert (log.newest(), list(problems)) == (None, ["activations.jsonl"])


def test_a_file_beyond_measure_is_begun_anew(
    log: Activations, file: Path, monkeypatch: pytest.MonkeyPatch, problems: dict[str, str]
) -> None:
    monkeypatch.setattr(activations, "_MOST_BYTES", 1_000)
    file.write_bytes(b"x" * 1_001)

    append(log, 1)

    assert (numbers(log), problems) == ([1], {})


def test_the_largest_log_can_be_read() -> None:
    longest = replace(activation(1), source="\x01" * 4_096, change_class="\x01" * 64)

    assert 2 * activations._KEPT * (len(written(longest)) + 1_000) < activations._MOST_BYTES
