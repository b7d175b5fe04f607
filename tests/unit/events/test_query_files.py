"""Facts about reading event files backwards: what is found, and how much is read for it."""

import os
import string
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import Mock

import orjson
import pytest

from proxy.events.query import Asked, Event, read_files
from tests.support.questions import asked

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def event(number: int, **keys: object) -> Event:
    at = (BEGUN + timedelta(seconds=number)).isoformat()
    return {"event_type": "x", "n": number, "timestamp": at, **keys}


def written(path: Path, *events: Event) -> Path:
    path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in events))
    return path


def numbers(files: list[Path], wanted: Asked, block_bytes: int = 100) -> list[object]:
    return [each["n"] for each in read_files(files, wanted, block_bytes=block_bytes)]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Thirty events in three files."""
    parts = (range(10), range(10, 20), range(20, 30))
    return [
        written(tmp_path / f"{part.start}", *(event(number) for number in part)) for part in parts
    ]


def test_newest_are_given_oldest_first(files: list[Path]) -> None:
    assert numbers(files, asked(limit=12)) == list(range(18, 30))
    assert numbers(files, asked(limit=99)) == list(range(30))
    assert numbers(files, asked(limit=0)) == numbers(files, asked(limit=-1)) == []
    assert numbers([], asked()) == []


def test_limit_counts_what_is_wanted(tmp_path: Path) -> None:
    path = written(tmp_path / "e", *(event(n, trace_id=f"t{n % 3}") for n in range(30)))

    assert numbers([path], asked(trace_id="t1", limit=3)) == [22, 25, 28]


def test_rubbish_half_lines_and_long_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "e"
    long = b'{"event_type": "x", "n": 9, "s": "' + b"x" * 1024**2 + b'"}'
    one, two, three = (orjson.dumps({"event_type": "x", "n": number}) for number in (1, 2, 3))
    rubbish = [b"", b"[]", b"\xff\xfe", b'{"n": 2}', long]
    path.write_bytes(b"\n".join([one, *rubbish, two, long, three, one[:-1]]))

    assert numbers([path], asked(), 64 * 1024) == [1, 2, 3]
    assert numbers([path], asked(), 4 * 1024**2) == [1, 2, 3]


def test_last_line_that_lacks_only_its_newline_is_read(tmp_path: Path) -> None:
    path = tmp_path / "e"
    path.write_bytes(b'{"event_type": "x", "n": 1}\n{"event_type": "x", "n": 2}')

    assert numbers([path], asked()) == [1, 2]


def test_files_that_are_gone_or_no_files_are_passed_over(files: list[Path]) -> None:
    files[1].unlink()
    os.mkfifo(files[1])
    files[2].unlink()
    gone = files[2].with_name("gone")
    files[2].mkdir()

    assert numbers([*files, gone], asked()) == list(range(10))


def test_file_met_twice_while_files_are_rotated_is_read_once(files: list[Path]) -> None:
    os.link(files[2], moved := files[2].with_name("moved"))

    assert numbers([*files[:2], moved, files[2]], asked()) == list(range(30))


def test_file_that_shrinks_meanwhile_is_no_error(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pread = os.pread

    def shrunk(handle: int, size: int, offset: int) -> bytes:
        os.truncate(files[2], 0)
        return pread(handle, size, offset)

    monkeypatch.setattr(os, "pread", shrunk)

    assert numbers(files, asked()) == list(range(20))


@pytest.mark.parametrize(
    "value",
    ["plain-1.2:3_4", 'quote"s', "slash/es\\", "tab\t", "é", "事件", "<&>", "💡"],
    ids=ascii,
)
@pytest.mark.parametrize("key", ["trace_id", "server_name"])
def test_value_is_found_however_its_writer_escapes_it(tmp_path: Path, value: str, key: str) -> None:
    odd = "".join(
        sign if sign in string.ascii_letters + string.digits + "_.:-" else escaped(sign)
        for sign in value
    )
    path = written(tmp_path / "e", event(1, **{key: value}), event(2, **{key: value + "."}))
    with path.open("a") as file:
        file.write(f'{{"event_type": "x", "n": 3, "{key}": "{odd}"}}\n')
    wanted = asked(trace_id=value) if key == "trace_id" else asked(server=value)

    assert numbers([path], wanted) == [1, 3]


def escaped(sign: str) -> str:
    units = sign.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def test_lines_without_the_value_are_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "e", *(event(n, trace_id=f"t-{n:03}") for n in range(300)))
    loads = Mock(wraps=orjson.loads)
    monkeypatch.setattr(orjson, "loads", loads)

    found = numbers([path], asked(trace_id="t-007"), block_bytes=1000)

    assert (found, loads.call_count) == ([7], 1)


def test_reading_ends_a_minute_before_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "e", *(event(n) for n in range(2000)))
    pread = Mock(wraps=os.pread)
    monkeypatch.setattr(os, "pread", pread)

    found = numbers([path], asked(since=BEGUN + timedelta(seconds=1990)), block_bytes=1000)

    assert (found, pread.call_count < 10) == (list(range(1990, 2000)), True)


def test_line_written_a_minute_late_is_found(tmp_path: Path) -> None:
    order = [*range(30), 85, *range(30, 85), *range(86, 100)]
    path = written(tmp_path / "e", *(event(number) for number in order))

    found = numbers([path], asked(since=BEGUN + timedelta(seconds=80)))

    assert found == [number for number in order if number >= 80]


def test_one_clock_that_is_wrong_does_not_end_the_reading(tmp_path: Path) -> None:
    order = [n if n % 10 else n - 86_400 for n in range(1, 100)]
    path = written(tmp_path / "e", *(event(number) for number in order))

    found = numbers([path], asked(since=BEGUN), block_bytes=1000)

    assert found == [number for number in order if number >= 0]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_ends_of_time_are_no_error(tmp_path: Path, at: str) -> None:
    path = written(tmp_path / "e", event(1) | {"timestamp": at})

    found = [numbers([path], asked(since=since)) for since in (EARLIEST, LATEST)]

    assert found == [[1] if at.startswith("9") else [], [1] if at.startswith("9") else []]
