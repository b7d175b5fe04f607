"""A real Redis in a process of its own, which a test may kill, stop, continue and start again."""

import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Final, Protocol

from tests.support.waiting import eventually

PROGRAM: Final = shutil.which("redis-server")
LOOPBACK: Final = "127.0.0.1"
_START_WITHIN_S: Final = 20.0
_ANSWER_WITHIN_S: Final = 20.0


class StartRedis(Protocol):
    """Starts a Redis that the test's end kills."""

    def __call__(self, *options: str, keeps: bool = False) -> "RedisServer": ...


class RedisServer:
    """One address, over all the lives of its process. With `keeps` every write is on disk first."""

    def __init__(self, directory: Path, *options: str, keeps: bool = False) -> None:
        self._directory = directory
        self._keeps = keeps
        self._options = options
        # Ours, also while nobody listens: Redis sets the same option.
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind((LOOPBACK, 0))
        self.port: int = self._reserved.getsockname()[1]
        self.socket_path = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<RedisServer :{self.port} {'alive' if self._process else 'dead'}>"

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket_path}"

    def start(self) -> None:
        """Begin to begin; `is_up` tells when it answers."""
        given = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "unixsocket": str(self.socket_path),
            "dir": str(self._directory),
            "save": "",
            "appendonly": "yes" if self._keeps else "no",
            "appendfsync": "always",
        }
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(  # noqa: S603 - Debian's own, with constants
            [PROGRAM or "redis-server", *words, *self._options],
            stdout=subprocess.DEVNULL,
        )

    def comes_up(self) -> None:
        self.start()
        assert eventually(self.is_up, within_s=_START_WITHIN_S), self

    def is_up(self) -> bool:
        try:
            return self.ask("PING").startswith((b"+", b"-NOAUTH"))
        except OSError:
            return False

    def ask(self, *words: str | bytes) -> bytes:
        """One command, and all of its answer that comes at once, as Redis writes it."""
        octets = [word.encode() if isinstance(word, str) else word for word in words]
        command = b"*%d\r\n" % len(octets)
        command += b"".join(b"$%d\r\n%b\r\n" % (len(each), each) for each in octets)
        with socket.create_connection((LOOPBACK, self.port), _ANSWER_WITHIN_S) as connection:
            connection.sendall(command)
            return connection.recv(1 << 20)

    def number(self, *words: str | bytes) -> int:
        """The answer of a command that answers with a number."""
        answer = self.ask(*words)
        assert answer.startswith(b":"), answer
        return int(answer[1:])

    def length(self, key: str) -> int:
        """How many entries the stream has."""
        return self.number("XLEN", key)

    def dies(self) -> None:
        """Killed with -9, and gone when this returns."""
        process, self._process = self._process, None
        assert process
        process.kill()
        process.wait()

    def stops(self) -> None:
        """Hangs; the kernel still accepts for it."""
        self._signal(signal.SIGSTOP)
        assert eventually(lambda: self._state() == "T")

    def goes_on(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process:
            self.dies()
        self._reserved.close()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)

    def _state(self) -> str:
        assert self._process
        status = Path(f"/proc/{self._process.pid}/stat").read_text()
        return status.rpartition(") ")[2][:1]
