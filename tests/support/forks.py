"""How is the command started? By a fork of what has imported it, or by an interpreter of its own.

A fork saves nearly all of a start's half second. An interpreter of its own is for tests of which
the start itself, or what a process holds from its start, is the point; and for an environment that
an interpreter reads as it starts.
"""

import atexit
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

import orjson

ROOT: Final = Path(__file__).parents[2]
_SERVER: Final = "tests.support.fork_server"
# The words that are shown to people are UTF-8, whatever the machine speaks.
_INTERPRETER: Final = {"PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
_READ_ONCE: Final = ("PYTHON", "SSL_")


class Process(Protocol):
    """What `subprocess.Popen` knows of a process, as far as tests ask."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...
    def kill(self) -> None: ...


class Streams(NamedTuple):
    """The descriptors of a process to be; they stay the caller's, who closes them."""

    stdin: int
    stdout: int
    stderr: int


class _Forked:
    """A child of the fork server, with the part of `Popen` that tests use."""

    def __init__(self, fate: socket.socket) -> None:
        with fate:
            self._fate = fate.makefile("rb", buffering=0)
        self._status: int | None = None
        self._looking = threading.Lock()
        self.pid = int(self._fate.readline())

    def poll(self) -> int | None:
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired("proxy", timeout or 0)
        return status

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ended in between
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout_s: float | None) -> int | None:
        with self._looking:
            if self._status is None:
                poll = select.poll()
                poll.register(self._fate, select.POLLIN)
                if poll.poll(None if timeout_s is None else timeout_s * 1000):
                    self._status = int(self._fate.readline())
                    self._fate.close()
            return self._status


class _ForkServer:
    """The fork server of this process."""

    _running: Self | None = None
    _beginning = threading.Lock()

    def __init__(self) -> None:
        self._orders, taken = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with taken:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", _SERVER, str(taken.fileno())],
                cwd=ROOT,
                env=os.environ | _INTERPRETER,
                pass_fds=[taken.fileno()],
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._end)

    @classmethod
    def running(cls) -> Self:
        """Started when first asked for."""
        with cls._beginning:
            cls._running = cls._running or cls()
            return cls._running

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], streams: Streams
    ) -> Process:
        order = orjson.dumps({"arguments": arguments, "environment": dict(environment)})
        fate, told = socket.socketpair()
        with told:
            socket.send_fds(self._orders, [order], [*streams, told.fileno()])
        return _Forked(fate)

    def _end(self) -> None:
        self._orders.close()
        self._process.wait()


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    streams: Streams,
    *,
    forked: bool = True,
) -> Process:
    """The command, running."""
    if forked and _read_once(environment) == _read_once(os.environ | _INTERPRETER):
        return _ForkServer.running().start(arguments, environment, streams)
    return subprocess.Popen(  # noqa: S603 - our own command, built of constants
        [sys.executable, "-m", "proxy", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=streams.stdin,
        stdout=streams.stdout,
        stderr=streams.stderr,
    )


class Piped(NamedTuple):
    """A process, and the reading ends of what it says."""

    process: Process
    stdout: FileIO
    stderr: FileIO

    def close(self) -> None:
        self.stdout.close()
        self.stderr.close()


def _pipe() -> tuple[FileIO, FileIO]:
    """The reading and the writing end."""
    read, write = os.pipe()
    return FileIO(read), FileIO(write, "w")


def start_piped(
    arguments: Sequence[str], environment: Mapping[str, str], *, forked: bool = True
) -> Piped:
    """The command, running, with a pipe for each stream that it writes."""
    (stdout, said), (stderr, complained) = _pipe(), _pipe()
    with said, complained, Path(os.devnull).open() as nothing:
        streams = Streams(nothing.fileno(), said.fileno(), complained.fileno())
        process = start(arguments, environment, streams, forked=forked)
    return Piped(process, stdout, stderr)


def finish(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    within_s: float,
    forked: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """The command, to its end."""
    with contextlib.ExitStack() as files:
        given, said, complained = (files.enter_context(tempfile.TemporaryFile()) for _ in range(3))
        given.write(stdin)
        given.seek(0)
        streams = Streams(given.fileno(), said.fileno(), complained.fileno())
        process = start(arguments, environment, streams, forked=forked)
        try:
            status = process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said.seek(0)
        complained.seek(0)
        return subprocess.CompletedProcess(arguments, status, said.read(), complained.read())


def _read_once(environment: Mapping[str, str]) -> dict[str, str]:
    """What is looked at once: by an interpreter as it starts, by aiohttp as it is imported."""
    return {name: value for name, value in environment.items() if name.startswith(_READ_ONCE)}
