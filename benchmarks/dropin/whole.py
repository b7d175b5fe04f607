"""A whole sidecar, which may be many processes, and callers who know which of them serves them."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.body_wire import Stream
from benchmarks.peers import certificate
from benchmarks.peers.toolproxy import EVERYTHING_ON, listener, registry, sidecar
from benchmarks.processes import ALL_CORES, LOOPBACK, Launch, free_port, listening

WORKERS: Final = 2
_PATIENCE_S: Final = 10.0
_GLANCE_S: Final = 0.01
_GOOD: Final = " 200 "
_ESTABLISHED: Final = "01"
_CALL: Final = (
    b"POST /tools/bench.echo HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
    b"Content-Length: 2\r\n%s\r\n{}"
)
_ONE_OF_MANY: Final = _CALL % b""
_LAST: Final = _CALL % b"Connection: close\r\n"


class Whole(NamedTuple):
    """One that runs."""

    process: subprocess.Popen[bytes]  # the first one; others are its children
    folder: Path
    port: int
    tls_port: int

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def owners(self) -> Mapping[int, int]:
        """The process that serves each connection to `port`, by the caller's port."""
        inodes = dict(_connections(self.port))
        found = {}
        for pid in _descendants(self.process.pid):
            for inode in _sockets(pid) & inodes.keys():
                found[inodes[inode]] = pid
        return found


class Caller:
    """One connection; one call at a time."""

    def __init__(self, port: int) -> None:
        self._connection = socket.create_connection((LOOPBACK[0], port), _PATIENCE_S)
        self._stream = Stream(self._connection)
        self.port = int(self._connection.getsockname()[1])

    def __repr__(self) -> str:
        return f"<Caller from {self.port}>"

    def call(self, *, last: bool = False) -> bool:
        """Was it answered with 200? OSError when the connection has broken off."""
        self._connection.sendall(_LAST if last else _ONE_OF_MANY)
        head = self._stream.head()
        if head is None:
            raise OSError("the connection was closed")
        self._stream.discard(head)
        return _GOOD in head.first_line

    def close(self) -> None:
        self._connection.close()


def configure(folder: Path, listen: Sequence[str], *lines: str) -> Path:
    """The settings, with these added to everything."""
    path = folder / "proxy.yaml"
    added = (f"listen: [{', '.join(listen)}]", *lines)
    path.write_text(EVERYTHING_ON.read_text() + "".join(f"{line}\n" for line in added))
    return path


@contextmanager
def running(
    home: Path, folder: Path, upstream: Sequence[str], *lines: str, server_keys: Sequence[str] = ()
) -> Iterator[Whole]:
    """One on every core, with these settings added; by its whole family until the block's end."""
    port, tls_port = free_port(), free_port()
    files = certificate.put_into(folder)
    conf = configure(folder, [listener(port), listener(tls_port, files)], *lines)
    path = folder / "registry.yaml"
    path.write_text(registry(upstream, {"bench": ["echo"]}, server_keys))
    launch = sidecar(home, path, conf=conf)
    with (
        contextlib.ExitStack() as afterwards,
        listening(_in_a_group(launch), port, ALL_CORES, folder) as process,
    ):
        afterwards.callback(_end_group, process.pid)
        yield Whole(process, folder, port, tls_port)


def callers_of_all(whole: Whole, at_least: int, until: contextlib.ExitStack) -> list[Caller]:
    """So many connections or more, of which every worker serves some."""
    callers: list[Caller] = []
    workers: set[int] = set()
    while len(callers) < at_least or len(workers) < WORKERS:
        if len(callers) >= 10 * at_least:
            raise OSError(f"{len(callers)} connections are served by {len(workers)} process")
        callers += [Caller(whole.port) for _ in range(at_least)]
        for each in callers[-at_least:]:
            until.callback(each.close)
            each.call()
        workers = {*whole.owners().values()}
    return callers


def await_true(fact: Callable[[], bool], words: str) -> None:
    """OSError when it does not come true in time."""
    ends_at = time.monotonic() + _PATIENCE_S
    while not fact():
        if time.monotonic() > ends_at:
            raise OSError(f"not within {_PATIENCE_S:g} s: {words}")
        time.sleep(_GLANCE_S)


def _in_a_group(launch: Launch) -> Launch:
    """A session of its own, so that those who come after the first can be ended with it."""
    return launch._replace(command=["setsid", *launch.command])


def _end_group(group: int) -> None:
    """What is left of it when the first has ended: its successor."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        ends_at = time.monotonic() + _PATIENCE_S
        while time.monotonic() < ends_at:
            os.killpg(group, 0)
            time.sleep(_GLANCE_S)
        os.killpg(group, signal.SIGKILL)


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):  # it may just have ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from _descendants(int(child))


def _sockets(pid: int) -> set[str]:
    """The inodes of its sockets."""
    found = set()
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found.update(re.findall(r"socket:\[(\d+)\]", str(each.readlink())))
    return found


def _connections(port: int) -> Iterator[tuple[str, int]]:
    """The inode of each that has come to this port, with the port that it came from."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, here, there, state, *_, inode = line.split()[:10]
        if state == _ESTABLISHED and int(here.partition(":")[2], 16) == port:
            yield inode, int(there.partition(":")[2], 16)
