"""Facts about lines on their way: in order, bounded, tried again, and never waited for."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from typing import Final

import pytest

from proxy.telemetry import lines
from proxy.telemetry.lines import Lines, reason, write_all
from tests.support.waiting import eventually

LONG_S: Final = 60.0


class Sink:
    """Takes lines, or what of them it may; fails for as long as it is told to."""

    name = "sink"

    def __init__(self) -> None:
        self.written = b""
        self.attempts = 0
        self.room = 1 << 30
        self.error: OSError | None = None
        self.gate = threading.Event()
        self.gate.set()

    def append(self, given: bytes) -> tuple[int, str]:
        self.attempts += 1
        self.gate.wait(LONG_S)
        if self.error is not None:
            raise self.error
        taken = given[: self.room]
        self.room -= len(taken)
        self.written += taken
        return len(taken), "" if taken == given else "no space left on device"


async def until(fact: Callable[[], object]) -> None:
    """Without holding up the loop that the lines are flushed on."""
    assert await asyncio.get_running_loop().run_in_executor(None, lambda: eventually(fact))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_PAUSE_S", LONG_S)
    monkeypatch.setattr(lines, "_LONGEST_PAUSE_S", LONG_S)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_PAUSE_S", 0.001)


async def test_lines_are_written_in_order_each_with_its_end(sink: Sink) -> None:
    taking = Lines(sink)

    for number in range(1000):
        taking.append(b"%d" % number)
    await taking.close()

    assert sink.written == b"".join(b"%d\n" % number for number in range(1000))


async def test_lines_of_a_moment_are_one_batch(sink: Sink) -> None:
    taking = Lines(sink)

    for _ in range(100):
        taking.append(b"line")
    await until(lambda: sink.written)

    assert (sink.attempts, sink.written) == (1, b"line\n" * 100)
    await taking.close()


async def test_line_is_written_without_another_behind_it(sink: Sink) -> None:
    taking = Lines(sink)

    taking.append(b"only")

    await until(lambda: sink.written == b"only\n")
    await taking.close()


async def test_nothing_is_asked_of_a_target_that_is_stuck(sink: Sink) -> None:
    sink.gate.clear()
    taking = Lines(sink)
    taking.append(b"first")
    await until(lambda: sink.attempts)

    began_at = time.monotonic()
    for _ in range(lines._MOST_LINES + 5):
        taking.append(b"x")

    assert time.monotonic() - began_at < 1
    assert taking.dropped == 6
    sink.gate.set()
    await taking.close()
    assert (sink.written.count(b"\n"), taking.dropped) == (lines._MOST_LINES, 6)


async def test_bytes_that_wait_are_bounded_too(sink: Sink) -> None:
    sink.gate.clear()
    taking = Lines(sink)

    for _ in range(10):
        taking.append(b"x" * (1024**2 - 1))

    assert taking.dropped == 2
    sink.gate.set()
    await taking.close()
    assert len(sink.written) == 8 * 1024**2


async def test_room_comes_back_with_what_was_written(sink: Sink) -> None:
    taking = Lines(sink)
    for _ in range(3):
        for _ in range(lines._MOST_LINES):
            taking.append(b"x")
        await until(lambda: " waiting=0 " in repr(taking))

    assert (taking.dropped, sink.written.count(b"\n")) == (0, 3 * lines._MOST_LINES)
    await taking.close()


async def test_trouble_is_said_and_over_when_it_is(
    sink: Sink, short_pauses: None, caplog: pytest.LogCaptureFixture
) -> None:
    del short_pauses
    caplog.set_level("INFO")
    sink.error = OSError(28, "No space left on device")
    taking = Lines(sink)
    taking.append(b"line")
    await until(lambda: taking.errors > 3)
    shown = taking.problem

    sink.error = None
    await until(lambda: not taking.problem)

    assert (shown, sink.written) == ("cannot write sink: no space left on device", b"line\n")
    assert [each.getMessage() for each in caplog.records] == [shown, "sink is written again"]
    await taking.close()


async def test_what_was_not_taken_of_a_batch_follows_later(sink: Sink, short_pauses: None) -> None:
    del short_pauses
    sink.room = 7
    taking = Lines(sink)
    for word in (b"one", b"two", b"three"):
        taking.append(word)
    await until(lambda: taking.problem)

    sink.room = 1 << 30

    await until(lambda: sink.written == b"one\ntwo\nthree\n")
    await until(lambda: " waiting=0 dropped=0" in repr(taking))
    await taking.close()


@pytest.mark.usefixtures("long_pauses")
async def test_reopening_ends_a_pause(sink: Sink) -> None:
    sink.error = OSError(2, "No such file or directory")
    taking = Lines(sink)
    taking.append(b"line")
    await until(lambda: taking.problem)
    sink.error = None

    taking.reopen()

    await until(lambda: sink.written == b"line\n")
    await taking.close()


@pytest.mark.usefixtures("long_pauses")
async def test_end_tries_once_more(sink: Sink) -> None:
    sink.error = OSError(2, "No such file or directory")
    taking = Lines(sink)
    taking.append(b"line")
    await until(lambda: taking.problem)
    sink.error = None

    await taking.close()

    assert (sink.written, taking.dropped) == (b"line\n", 0)


async def test_end_waits_for_a_stuck_target_only_so_long(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "_CLOSE_S", 0.05)
    sink.gate.clear()
    taking = Lines(sink)
    for _ in range(3):
        taking.append(b"line")

    await asyncio.wait_for(taking.close(), 5)

    assert taking.dropped == 3
    sink.gate.set()


async def test_line_after_the_end_is_dropped(sink: Sink) -> None:
    taking = Lines(sink)
    await taking.close()

    taking.append(b"late")

    assert (taking.dropped, sink.written) == (1, b"")


def test_line_before_there_is_a_loop_is_kept(sink: Sink) -> None:
    taking = Lines(sink)
    taking.append(b"early")

    asyncio.run(_append_and_close(taking))

    assert sink.written == b"early\nlater\n"


async def _append_and_close(taking: Lines) -> None:
    taking.append(b"later")
    await taking.close()


def test_reason_is_the_system_s_words() -> None:
    assert [reason(OSError(28, "No Space")), reason(OSError("odd"))] == ["no space", "odd"]


def test_pipe_whose_reader_is_gone_says_why() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    said = write_all(writer, b"line\n")
    os.close(writer)

    assert said == (0, "broken pipe")
