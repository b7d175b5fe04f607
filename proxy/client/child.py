"""A child process that speaks in lines, and its end.

Lines may have any length up to a bound. Everything that it says is read as it comes: nothing waits
in a pipe, and nothing waits for us. Knows nothing of what the lines say.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from proxy.client.errors import LocalServerError

MOST_LINE_BYTES: Final = 64 << 20
_STDERR_BYTES: Final = 8192  # the last of what it said, for errors
_STDERR_LINES: Final = 3
_STDERR_CHARACTERS: Final = 500
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_LAST_WORDS_WITHIN_S: Final = 0.25  # of its end; who inherited its pipes may hold them for ever


class Child(asyncio.SubprocessProtocol):
    """One process. `on_line` gets each line of its output, `on_end` is told once that it ended."""

    def __init__(
        self,
        on_line: Callable[[bytes], None],
        on_end: Callable[[str], None],
        most_line_bytes: int,
    ) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._most_line_bytes = most_line_bytes
        self._line = bytearray()
        self._stderr = b""
        self._transport: asyncio.SubprocessTransport | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._speaking = {_STDOUT, _STDERR}
        self._settling: asyncio.TimerHandle | None = None
        self.exited = asyncio.Event()
        self.reason = ""  # why it is of no more use

    def __repr__(self) -> str:
        return f"<Child pid={self.pid} returncode={self.returncode}>"

    @property
    def pid(self) -> int:
        return self._transport.get_pid() if self._transport else 0

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._transport.get_returncode() if self._transport else None

    # --- orders ---

    def write(self, octets: bytes) -> None:
        stdin = self._stdin
        if stdin is not None and not stdin.is_closing():
            stdin.write(octets)

    async def writable(self) -> None:
        """Wait until what was written before has gone, mostly."""
        await self._writable.wait()

    @property
    def has_room(self) -> bool:
        return self._writable.is_set()

    async def stop(self, grace_s: float) -> None:
        """Close its input, then ask it to end, then end it; each after `grace_s` seconds.

        When this returns, the process is gone and reaped.
        """
        if self._transport is None:
            return
        if self._stdin is not None:
            self._stdin.close()
        for order in (self._transport.terminate, self._transport.kill):
            if await self._ends_within(grace_s):
                break
            with contextlib.suppress(ProcessLookupError):
                order()
        await self.exited.wait()
        self._settle()
        self._transport.close()

    def give_up(self, reason: str) -> None:
        """It broke the protocol: no line of it counts any more."""
        self.reason = self.reason or reason
        self._line.clear()
        self._writable.set()
        self._on_end(self.reason)

    async def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.exited.wait(), seconds)
        return self.exited.is_set()

    @property
    def _stdin(self) -> asyncio.WriteTransport | None:
        pipe = self._transport.get_pipe_transport(_STDIN) if self._transport else None
        return cast("asyncio.WriteTransport | None", pipe)  # by fd 0; uvloop's is no subclass

    # --- asyncio.SubprocessProtocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)  # by asyncio's contract

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd != _STDOUT:
            self._stderr = (self._stderr + data)[-_STDERR_BYTES:]
        elif not self.reason:
            self._receive(data)

    def process_exited(self) -> None:
        self.exited.set()
        self._settle_soon()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self._speaking.discard(fd)
        self._settle_soon()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _settle_soon(self) -> None:
        """It ends, in any order of exit and last words: wait for both, but not for long."""
        exited = self.exited.is_set()
        if exited and not self._speaking:
            self._settle()
        elif self._settling is None and (exited or _STDOUT not in self._speaking):
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(_LAST_WORDS_WITHIN_S, self._settle)

    def _settle(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        if self.exited.is_set():
            self.give_up(f"it ended with {_exit_words(self.returncode)}{self._last_words()}")
        else:
            self.give_up("it closed its output")

    def _receive(self, octets: bytes) -> None:
        first, *others = octets.split(b"\n")
        self._line += first
        for following in others:
            line = bytes(self._line)
            self._line = bytearray(following)
            self._on_line(line)
        if len(self._line) > self._most_line_bytes:
            self.give_up(f"it sent a line of more than {self._most_line_bytes} bytes")

    def _last_words(self) -> str:
        lines = self._stderr.decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        words = " | ".join(said[-_STDERR_LINES:])[-_STDERR_CHARACTERS:]
        return f"; its last words: {words}" if words else ""


def _exit_words(status: int | None) -> str:
    if status is not None and status < 0:
        return f"signal {-status}"
    return f"exit status {status}"


async def started(
    child: Callable[[], Child],
    command: Sequence[str],
    cwd: str | os.PathLike[str] | None,
    env: Mapping[str, str] | None,
) -> Child:
    """Start a process. `env` is its whole environment; None gives it ours.

    The program is looked up in its own PATH, or in ours where `env` has none. Raises
    `LocalServerError`.
    """
    if isinstance(command, str) or not command:
        raise ValueError('command is a list: ["python", "server.py"]')
    program = command[0]
    if os.sep not in program:
        program = shutil.which(program, path=(env or {}).get("PATH")) or program
    try:
        _, made = await asyncio.get_running_loop().subprocess_exec(
            child, program, *command[1:], cwd=cwd, env=None if env is None else dict(env)
        )
    except (OSError, ValueError) as error:
        raise LocalServerError(f"{command[0]} cannot be started: {error}") from None
    return made
