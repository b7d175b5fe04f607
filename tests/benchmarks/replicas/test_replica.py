"""The replica that goes bad when it is told."""

import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.body_wire import Stream
from benchmarks.processes import ALL_CORES, LOOPBACK, free_port
from benchmarks.replicas.replica import SLOW
from benchmarks.replicas.scene import replica
from tests.support.waiting import eventually

pytestmark = pytest.mark.sockets

HOST = LOOPBACK[1]
CALL = b"POST /tools/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
Process = subprocess.Popen[bytes]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[Process, Callable[[], str]]]:
    """One, and a call of it over a connection of its own: the answer's first line."""
    port = free_port()

    def call() -> str:
        with socket.create_connection((HOST, port), 10) as connection:
            connection.sendall(CALL)
            head = Stream(connection).head()
            assert head is not None
            return head.first_line

    with replica(tmp_path / "replica", HOST, port) as process:
        yield process, call


def test_it_answers_at_its_own_address(started: tuple[Process, Callable[[], str]]) -> None:
    _, call = started

    assert call() == "HTTP/1.1 200 OK"


def test_a_signal_makes_it_slow(started: tuple[Process, Callable[[], str]]) -> None:
    process, call = started

    process.send_signal(signal.SIGUSR1)

    def is_slow() -> bool:
        began_at = time.monotonic()
        return call() == "HTTP/1.1 200 OK" and time.monotonic() - began_at >= SLOW.takes_s

    assert eventually(is_slow)


def test_another_makes_it_fail(started: tuple[Process, Callable[[], str]]) -> None:
    process, call = started

    process.send_signal(signal.SIGUSR2)

    assert eventually(lambda: call() == "HTTP/1.1 503 Service Unavailable")


def test_it_may_use_every_core(started: tuple[Process, Callable[[], str]]) -> None:
    process, _ = started

    affinity = Path(f"/proc/{process.pid}/status").read_text()

    assert f"Cpus_allowed:\t{sum(1 << core for core in ALL_CORES):x}" in affinity
