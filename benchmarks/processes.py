"""Processes: start one on a core of its own, wait for it, see what it uses, end it.

Knows /proc. Knows nothing of proxies.
"""

import contextlib
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

# What is measured has the first core to itself; load, upstreams and this process share the last.
_CORES: Final = sorted(os.sched_getaffinity(0))
PROXY_CORES: Final = frozenset(_CORES[:1])
OTHER_CORES: Final = frozenset(_CORES[-1:])
ALL_CORES: Final = frozenset(_CORES)
# On Linux all of 127.0.0.0/8 is here: a port at three addresses is an upstream of three endpoints.
LOOPBACK: Final = ("127.0.0.1", "127.0.0.2", "127.0.0.3")

_STARTS_WITHIN_S: Final = 60.0  # 100 000 tools take their time
_ENDS_WITHIN_S: Final = 15.0
_GLANCE_S: Final = 0.002


class UnusableError(Exception):
    """This machine cannot do what was asked; the text is the one sentence that helps."""


def proxy_cores(workers: int) -> frozenset[int]:
    """A core for each worker; all of them where there are too few for load to keep the last."""
    own = _CORES[:-1][:workers]
    return frozenset(own if len(own) == workers else _CORES)


class Launch(NamedTuple):
    """A command with what it runs in."""

    command: list[str]
    environment: Mapping[str, str] = os.environ
    folder: Path | None = None


@contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """This thread, and every process started meanwhile, runs on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def listening(
    launch: Launch,
    port: int,
    cores: frozenset[int],
    folder: Path,
    *,
    host: str = LOOPBACK[0],
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens there, until the end of the block; `said` in the folder hears it."""
    said = folder / "said"
    with said.open("wb") as ear, on_cores(cores):
        process = subprocess.Popen(  # noqa: S603 - commands of this package
            launch.command, env=launch.environment, cwd=launch.folder, stdout=ear, stderr=ear
        )
    try:
        _wait_for((host, port), process, said)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port(hosts: Sequence[str] = LOOPBACK) -> int:
    """One port that is free at each of these addresses."""
    port = 0
    with contextlib.ExitStack() as until:
        for host in hosts:
            probe = until.enter_context(socket.socket())
            probe.bind((host, port))
            port = int(probe.getsockname()[1])
    return port


def _wait_for(address: tuple[str, int], process: subprocess.Popen[bytes], said: Path) -> None:
    ends_at = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < ends_at and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(address) == 0:
                return
        time.sleep(_GLANCE_S)
    raise UnusableError(f"{process.args!r} does not listen: {said.read_text(errors='replace')}")


def cpu_s(pid: int) -> float:
    """Time on a CPU of a process with all its threads and children."""
    # schedstat counts nanoseconds; /proc/PID/stat counts ticks of 10 ms.
    return sum(_nanoseconds(task) for each in _family(pid) for task in _tasks(each)) / 1e9


def resident_bytes(pid: int) -> int:
    """Resident memory of a process with its children; what they share counts for each."""
    return sum(_memory_bytes(each, "VmRSS") for each in _family(pid))


def peak_bytes(pid: int) -> int:
    """The most that was resident since `forget_peak`: of each at its own time, added up."""
    return sum(_memory_bytes(each, "VmHWM") for each in _family(pid))


def forget_peak(pid: int) -> None:
    for each in _family(pid):
        Path(f"/proc/{each}/clear_refs").write_text("5")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in _tasks(pid):
        for child in _text(task / "children").split():
            yield from _family(int(child))


def _tasks(pid: int) -> list[Path]:
    with contextlib.suppress(OSError):  # it may just have ended
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _nanoseconds(task: Path) -> int:
    return int((_text(task / "schedstat") or "0").split()[0])


def _memory_bytes(pid: int, field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", _text(Path(f"/proc/{pid}/status")))
    return int(found[1]) * 1024 if found else 0


def _text(path: Path) -> str:
    with contextlib.suppress(OSError):  # as above
        return path.read_text()
    return ""
