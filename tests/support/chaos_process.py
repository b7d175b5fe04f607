"""An upstream process in a test's hand: started, told what to do, killed, stopped, continued.

What it does to a request is a list of steps, built here; what it saw is in `seen`.
"""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import orjson

from tests.support import chaos_upstream
from tests.support.chaos_sightings import Sightings
from tests.support.waiting import eventually

Step = chaos_upstream.Step

LOOPBACK: Final = "127.0.0.1"
ANSWERS: Final[Step] = ["answer", 200]
HOLDS: Final[Step] = ["hold"]
CLOSES: Final[Step] = ["close"]
RESETS: Final[Step] = ["reset"]
RESETS_IF_REUSED: Final[Step] = ["reset_if_reused"]
_STATE: Final = re.compile(r"\) (\w) ")


def answers(status: int) -> Step:
    return ["answer", status]


def sends(octets: bytes) -> Step:
    return ["send", octets.decode("latin-1")]


def waits(for_s: float) -> Step:
    return ["wait", float(for_s)]


def floods(size_bytes: int) -> Step:
    return ["flood", size_bytes]


class ReservedPort:
    """A port that is ours whether or not somebody listens on it; nobody does here."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind(("", 0))  # every loopback address, for names that have several
        self.number: int = self._socket.getsockname()[1]

    def give_up(self) -> None:
        self._socket.close()


class Upstream:
    """One upstream, over all the lives of its process."""

    def __init__(self, directory: Path, name: str, port: int, host: str = LOOPBACK) -> None:
        self.name = name
        self.port = port
        self.host = host
        self._record_path = directory / f"{name}.jsonl"
        self._record_path.touch()
        self.seen = Sightings(self._record_path)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<Upstream {self.name} {self.url} {'alive' if self._process else 'dead'}>"

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    # --- its life ---

    def start(self) -> None:
        """Begin to begin: `comes_up` waits for it, so that several can begin at once."""
        arguments = [self.name, self.host, str(self.port), str(self._record_path)]
        self._process = subprocess.Popen(  # noqa: S603 - our own script, built of constants
            [sys.executable, chaos_upstream.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def comes_up(self) -> None:
        """Listening; what it plays is anew the ordinary answer if its process is."""
        if self._process is None:
            self.start()
        self._order(listen=True)

    def goes_down(self) -> None:
        """The process lives on, listens no more, and ends its connections."""
        self._order(listen=False)

    def dies(self) -> None:
        """Killed with -9, and gone when this returns."""
        assert self._process
        self._process.kill()
        self._let_go()

    def stops(self) -> None:
        """Hangs, and with it all that it serves; the kernel still accepts for it."""
        self._signal(signal.SIGSTOP)
        assert eventually(lambda: self._state() == "T")

    def goes_on(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process:
            self.dies()

    # --- what it does ---

    def plays(self, *steps: Step, to: str = chaos_upstream.ANYTHING_ELSE) -> None:
        """From now on every request for this path is treated so."""
        self._order(play=to, steps=list(steps))

    def releases(self, path: str = chaos_upstream.ANYTHING_ELSE) -> None:
        """Let go on what it holds, and what it would have held."""
        self._order(release=path)

    def _order(self, **order: object) -> None:
        process = self._process
        assert process
        assert process.stdin
        assert process.stdout
        process.stdin.write(orjson.dumps(order) + b"\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"done\n", f"{self} did not obey {order}"

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _state(self) -> str:
        assert self._process
        matched = _STATE.search(Path(f"/proc/{self._process.pid}/stat").read_text())
        return matched[1] if matched else ""

    def _let_go(self) -> None:
        process, self._process = self._process, None
        assert process
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
        with self._record_path.open("ab") as record:
            record.write(orjson.dumps([time.monotonic(), "died", str(process.pid)]) + b"\n")
