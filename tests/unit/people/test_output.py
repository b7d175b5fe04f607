import asyncio
import errno
import os

import pytest

from proxy.people.output import (
    STDERR,
    STDOUT,
    Look,
    Output,
    OutputClosedError,
    OutputError,
    Progress,
    write_all,
)
from proxy.people.tables import Sheet


class Streams:
    """What was written to each stream."""

    def __init__(self) -> None:
        self.written = {STDOUT: b"", STDERR: b""}

    def write(self, stream: int, octets: bytes) -> None:
        self.written[stream] += octets

    def output(self, *, terminal: bool, json: bool = False, encoding: str = "utf-8") -> Output:
        look = Look(terminal, terminal, json, Sheet(20, colour=False), encoding)
        return Output(look, self.write)


def test_json_goes_on_one_line_into_a_pipe() -> None:
    streams = Streams()

    streams.output(terminal=False).document({"a": ["\x9b", "\ud800"]})

    assert streams.written[STDOUT] == '{"a":["\x9b","\\ud800"]}\n'.encode()


def test_json_is_laid_out_and_harmless_on_a_terminal() -> None:
    streams = Streams()

    streams.output(terminal=True).document({"a": ["\x9b", "\ud800"]})

    assert streams.written[STDOUT] == b'{\n  "a": [\n    "\\u009b",\n    "\\ud800"\n  ]\n}\n'


def test_json_is_utf_8_whatever_the_terminal_speaks() -> None:
    streams = Streams()

    streams.output(terminal=False, encoding="ascii").json_lines([{"ž": 1}, 2])

    assert streams.written[STDOUT] == '{"ž":1}\n2\n'.encode()


def test_words_that_a_terminal_cannot_show_are_spelled() -> None:
    streams = Streams()

    streams.output(terminal=True, encoding="ascii").lines(["ž"])

    assert streams.written[STDOUT] == b"\\u017e\n"


@pytest.mark.parametrize(
    ("terminal", "json", "people"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_tables_are_for_terminals(*, terminal: bool, json: bool, people: bool) -> None:
    assert Streams().output(terminal=terminal, json=json).for_people is people


def test_a_complaint_is_one_harmless_line() -> None:
    streams = Streams()

    streams.output(terminal=False).complain("a\nb\x1b")

    assert streams.written[STDERR] == b"toolproxy: a b\\u001b\n"


def test_notes_are_for_people_alone() -> None:
    streams = Streams()

    streams.output(terminal=False).note("one")
    streams.output(terminal=True).note("two")

    assert streams.written[STDERR] == b"two\n"


def test_a_complaint_that_nobody_hears_is_no_failure() -> None:
    def closed(_stream: int, _octets: bytes) -> None:
        raise OutputClosedError

    look = Look(out_is_terminal=False, err_is_terminal=False, json=False, sheet=Sheet(9, False))  # noqa: FBT003 - a tuple's field

    Output(look, closed).complain("a")


def test_a_closed_pipe_is_told_from_other_failures() -> None:
    inside, outside = os.pipe()
    os.close(inside)

    with pytest.raises(OutputClosedError):
        write_all(outside, b"x")

    os.close(outside)
    with pytest.raises(OutputError, match=os.strerror(errno.EBADF)):
        write_all(outside, b"x")


def test_what_is_taken_piecemeal_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(_stream: int, octets: memoryview) -> int:
        taken.append(bytes(octets[:2]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)

    write_all(STDOUT, b"12345")

    assert taken == [b"12", b"34", b"5"]


async def test_progress_is_silent_for_a_second_then_told_and_taken_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: now[0])
    streams = Streams()
    progress = Progress(streams.output(terminal=True), "tools")

    progress(1000, 3000)
    quiet = streams.written[STDERR]
    now[0] += 1.0
    progress(2000, 3000)
    progress(3000, None)
    progress.end()

    assert (quiet, streams.written[STDERR]) == (b"", b"\r\x1b[K2000 of 3000 tools\r\x1b[K")
