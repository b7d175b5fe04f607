"""Lines on their way to a file or a pipe: taken on the loop, written by a thread in batches.

Bounded: what finds no room is dropped and counted, so that a full disk or a stuck pipe costs no
call. Knows nothing of what a line says, and nothing of what it is written to.
"""

import asyncio
import contextlib
import logging
import os
import queue
import threading
from typing import Final, Protocol

_LOG = logging.getLogger("toolproxy.events")
_FLUSH_S: Final = 0.05
_MOST_LINES: Final = 10_000  # waiting
_MOST_BYTES: Final = 8 * 1024**2
_CLOSE_S: Final = 2.0
_LOOK_S: Final = 0.01  # how often it is looked at whether all is written, when closing
_PAUSE_S: Final = 0.5  # after an error, growing
_LONGEST_PAUSE_S: Final = 10.0


class Target(Protocol):
    """What lines are written to, by the thread."""

    @property
    def name(self) -> str: ...

    def append(self, lines: bytes) -> tuple[int, str]:
        """How many bytes of whole lines were written, and why not all; may raise OSError."""


class Lines:
    """Takes lines on the event loop's thread; a thread of its own writes them.

    `dropped` counts lines that found no room, `errors` attempts to write that failed, and `problem`
    says in one sentence what is wrong now, if anything is.
    """

    def __init__(self, target: Target) -> None:
        self.dropped = 0
        self._writer = Writer(target)
        self._waiting: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._most_lines = _MOST_LINES
        # All that was ever taken. The writer counts what is done: no number has two owners.
        self._lines = 0
        self._bytes = 0

    def __repr__(self) -> str:
        waiting = self._lines - self._writer.lines
        return (
            f"<{type(self).__name__} {self._writer.name} waiting={waiting} dropped={self.dropped}>"
        )

    @property
    def errors(self) -> int:
        return self._writer.errors

    @property
    def problem(self) -> str:
        return self._writer.problem

    def append(self, line: bytes) -> None:
        """Take one, without its newline. Never waits, never raises."""
        writer = self._writer
        size = self._bytes + len(line) + 1
        if self._lines - writer.lines >= self._most_lines or size - writer.bytes > _MOST_BYTES:
            self.dropped += 1
            return
        self._lines += 1
        self._bytes = size
        self._waiting.append(line)
        if self._timer is None:
            self._schedule()

    def reopen(self) -> None:
        """The file may be another now. Every batch opens it anew: only a pause has to end."""
        self._writer.hurry()

    async def close(self) -> None:
        """Write what waits, in 2 s at most; count as dropped what could not be written."""
        if self._timer is not None:
            self._timer.cancel()
        self._most_lines = 0  # what comes now is dropped
        self._flush()
        self._writer.finish()
        clock = asyncio.get_running_loop().time
        ends_at = clock() + _CLOSE_S
        while self._writer.lines < self._lines and clock() < ends_at:  # noqa: ASYNC110 - a thread
            await asyncio.sleep(_LOOK_S)
        self._writer.abandon()
        left = self._lines - self._writer.lines
        self._lines -= left
        self.dropped += left

    def _schedule(self) -> None:
        # Without a loop yet, or still, lines wait for the next one that comes with a loop.
        with contextlib.suppress(RuntimeError):
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._timer = None
        if self._waiting:
            self._writer.write(self._waiting)
            self._waiting = []


class Writer:
    """A daemon thread that writes batch after batch: it never keeps the process from its end."""

    def __init__(self, target: Target) -> None:
        self.lines = 0  # done; of the thread alone, as are all the public ones
        self.bytes = 0
        self.errors = 0
        self.problem = ""
        self.name = target.name
        self._target = target
        self._batches: queue.SimpleQueue[list[bytes] | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._abandoned = False
        threading.Thread(target=self._run, name=f"writes {target.name}", daemon=True).start()

    def write(self, lines: list[bytes]) -> None:
        self._batches.put(lines)

    def hurry(self) -> None:
        """Try at once, if it is a pause."""
        self._hurry.set()

    def finish(self) -> None:
        """End when all is written."""
        self._batches.put(None)
        self._hurry.set()

    def abandon(self) -> None:
        """End now, whatever is left."""
        self._abandoned = True
        self._hurry.set()

    def _run(self) -> None:
        while (batch := self._batches.get()) is not None:
            left = b"\n".join(batch) + b"\n"
            pause_s = _PAUSE_S
            while (left := self._attempt(left)) and not self._abandoned:
                if self._hurry.wait(pause_s):
                    self._hurry.clear()
                    pause_s = _PAUSE_S
                else:
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if self._abandoned:
                return

    def _attempt(self, lines: bytes) -> bytes:
        """Write; give back what is left to be written."""
        try:
            done, why = self._target.append(lines)
        except OSError as error:
            done, why = 0, reason(error)
        self._note(why)
        self.lines += lines.count(b"\n", 0, done)
        self.bytes += done
        return lines[done:]

    def _note(self, why: str) -> None:
        problem = f"cannot write {self._target.name}: {why}" if why else ""
        self.errors += bool(why)
        if problem and problem != self.problem:
            _LOG.warning("%s", problem)
        elif self.problem and not problem:
            _LOG.info("%s is written again", self._target.name)
        self.problem = problem


def reason(error: OSError) -> str:
    """The system's words for it."""
    return (error.strerror or str(error)).lower()


def write_all(handle: int, lines: bytes) -> tuple[int, str]:
    """Write to an open file or pipe: how much was written, and why not all."""
    written = 0
    try:
        while written < len(lines):
            written += os.write(handle, lines[written:])
    except OSError as error:
        return written, reason(error)
    return written, ""
