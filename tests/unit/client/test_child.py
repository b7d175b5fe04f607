"""A child's end is told once all that it said has been read, in any order of the two."""

import asyncio

import pytest

from proxy.client.child import Child

STDOUT, STDERR = 1, 2
WORDS = "it ended with exit status 3; its last words: out of paper"


class Ended(asyncio.SubprocessTransport):
    """What is left of a process that has exited."""

    def get_returncode(self) -> int | None:
        return 3

    def get_pid(self) -> int:
        return 7


def child(lines: list[bytes], ends: list[str], most_line_bytes: int = 100) -> Child:
    made = Child(lines.append, ends.append, most_line_bytes)
    made.connection_made(Ended())
    return made


async def test_words_that_come_behind_the_exit_are_told() -> None:
    lines: list[bytes] = []
    ends: list[str] = []
    made = child(lines, ends)
    made.process_exited()
    made.pipe_data_received(STDERR, b"out of paper\n")
    made.pipe_data_received(STDOUT, b"answer\n")
    made.pipe_connection_lost(STDERR, None)
    made.pipe_connection_lost(STDOUT, None)

    assert (lines, ends) == ([b"answer"], [WORDS])


async def test_exit_behind_the_words_is_told() -> None:
    ends: list[str] = []
    made = child([], ends)
    made.pipe_data_received(STDERR, b"out of paper\n")
    made.pipe_connection_lost(STDOUT, None)
    made.pipe_connection_lost(STDERR, None)
    before = list(ends)
    made.process_exited()

    assert (before, ends) == ([], [WORDS])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_lines_are_whole_however_they_come(size: int) -> None:
    lines: list[bytes] = []
    made = child(lines, [])
    octets = b"one\n\nthree\r\nfour"
    for start in range(0, len(octets), size):
        made.pipe_data_received(STDOUT, octets[start : start + size])

    assert lines == [b"one", b"", b"three\r"]


async def test_endless_line_is_given_up_and_let_go() -> None:
    lines: list[bytes] = []
    ends: list[str] = []
    made = child(lines, ends)
    for _ in range(5):
        made.pipe_data_received(STDOUT, b"x" * 50)
    made.pipe_data_received(STDOUT, b"\nmore\n")

    assert (lines, ends) == ([], ["it sent a line of more than 100 bytes"])


async def test_only_the_last_words_are_kept() -> None:
    ends: list[str] = []
    made = child([], ends)
    made.pipe_data_received(STDERR, b"noise\n" * 100_000 + b"x" * 10_000)
    made.pipe_connection_lost(STDERR, None)
    made.pipe_connection_lost(STDOUT, None)
    made.process_exited()

    assert len(ends[0]) < 600
