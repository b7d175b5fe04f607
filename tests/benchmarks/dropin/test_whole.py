"""Who serves a connection, and what a caller is told of it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.dropin import whole
from benchmarks.dropin.whole import Caller, Whole

pytestmark = pytest.mark.sockets

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
# Accepts for ever, in a child of its own, and says where it listens.
FORKING = """\
import os, socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
if os.fork():
    os.wait()
kept = []
while True:
    kept.append(listener.accept())
"""


@pytest.fixture
def answering() -> Iterator[int]:
    """Answers a call, refuses the next, then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for answer in (GOOD, GOOD.replace(b"200", b"429")):
                    connection.recv(4096)
                    connection.sendall(answer)
                connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_caller_tells_an_answer_a_refusal_and_a_lost_connection(answering: int) -> None:
    with contextlib.closing(Caller(answering)) as caller:
        said = [caller.call(), caller.call()]
        with pytest.raises(OSError, match="closed"):
            caller.call()

    assert said == [True, False]


def test_a_connection_is_owned_by_the_process_that_accepted_it(tmp_path: Path) -> None:
    first = subprocess.Popen(  # noqa: S603 - the text above
        [sys.executable, "-c", FORKING], stdout=subprocess.PIPE, process_group=0
    )
    try:
        assert first.stdout
        port = int(first.stdout.readline())
        it = Whole(first, tmp_path, port, 0)
        with socket.create_connection(("127.0.0.1", port)) as caller:
            from_port = caller.getsockname()[1]
            whole.await_true(lambda: from_port in it.owners(), "the child accepts")
            owner = it.owners()[from_port]
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()

    assert owner != first.pid


def test_what_does_not_come_true_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "_PATIENCE_S", 0.01)

    with pytest.raises(OSError, match=r"not within 0.01 s: another certificate"):
        whole.await_true(lambda: False, "another certificate")
