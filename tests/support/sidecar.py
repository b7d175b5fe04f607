"""The real command in a process of its own, with the files it reads and the words it says."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from tests.support import forks
from tests.support.caller import Answer, Caller

ROOT: Final = forks.ROOT
READY: Final = re.compile(r"toolproxy: listening on http://[^\s:]+:(\d+)")
START_WITHIN_S: Final = 20.0
STOP_WITHIN_S: Final = 40.0
OF_THE_COMMAND: Final = re.compile(
    "TOOLPROXY(?:CTL)?_.*|HOST|PORT|REGISTRY_PATH|POLL_INTERVAL|HEALTH_CHECK_INTERVAL"
)

# For upstreams that fail because the test is about failures: the next call is to reach them too.
NEVER_OPENS: Final = {"failures": 10**9}

Server = Mapping[str, object]


def server(
    namespace: str, url: str, *, tools: Sequence[object] = ("call",), **keys: object
) -> Server:
    """One server of a registry with one endpoint; a tool is a name or a whole mapping."""
    written = [{"name": tool} if isinstance(tool, str) else tool for tool in tools]
    return {
        "namespace": namespace,
        "name": f"server-{namespace}",
        "endpoints": [url],
        "tools": written,
        **keys,
    }


def registry(*servers: Server) -> str:
    return yaml.safe_dump({"version": "1.0", "servers": [dict(each) for each in servers]})


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of this process, without what would configure the command."""
    inherited = {k: v for k, v in os.environ.items() if not OF_THE_COMMAND.fullmatch(k)}
    return {**inherited, "PYTHONUNBUFFERED": "1", **extra}


def run_command(
    *arguments: str,
    extra: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    forked: bool = True,
) -> subprocess.CompletedProcess[str]:
    """The command, to its end."""
    done = forks.finish(
        arguments, environment(extra or {}), stdin=stdin, within_s=START_WITHIN_S, forked=forked
    )
    said, complained = (each.decode() for each in (done.stdout, done.stderr))
    return subprocess.CompletedProcess(done.args, done.returncode, said, complained)


class Sidecar:
    """A running sidecar. `close` proves that it ended well and never showed a traceback."""

    def __init__(
        self,
        directory: Path,
        servers: str,
        settings: Mapping[str, object] | None = None,
        extra: Mapping[str, str] | None = None,
        *,
        forked: bool = True,
    ) -> None:
        self.directory = directory
        self.registry_path = directory / "registry.yaml"
        self.settings_path = directory / "proxy.yaml"
        self.registry_path.write_text(servers)
        self.write_settings(settings or {})
        self._said: list[str] = []
        self._examined = 0
        read, write = os.pipe()
        self._stderr = os.fdopen(read)
        with os.fdopen(write, "wb") as said, Path(os.devnull).open("r+") as nothing:
            self._process = forks.start(
                ["run", "-c", str(self.settings_path)],
                environment(extra or {}),
                forks.Streams(nothing.fileno(), nothing.fileno(), said.fileno()),
                forked=forked,
            )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.port = self._wait_until_it_listens()

    def __repr__(self) -> str:
        return f"<Sidecar :{self.port}>"

    @property
    def stderr(self) -> str:
        return "".join(self._said)

    @property
    def pid(self) -> int:
        return self._process.pid

    def write_settings(self, settings: Mapping[str, object]) -> None:
        """Write `proxy.yaml`; nothing is told to a running process."""
        own = {"path": str(self.registry_path), "store": str(self.directory / "generations")}
        asked = dict(settings)
        of_registry = asked.pop("registry", {})
        assert isinstance(of_registry, Mapping)
        whole = {"listen": "127.0.0.1:0", "registry": own | dict(of_registry), **asked}
        self.settings_path.write_text(yaml.safe_dump(whole))

    def caller(self, *, receive_buffer_bytes: int | None = None) -> Caller:
        return Caller(self.port, receive_buffer_bytes=receive_buffer_bytes)

    def ask(self, request: bytes) -> Answer:
        """One request on a connection of its own, and its answer."""
        with self.caller() as caller:
            caller.send_as_far_as_it_goes(request)
            return caller.answer(request.lstrip().split(b" ")[0].decode("latin-1"))

    def get(self, path: str) -> Answer:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: sidecar\r\n\r\n".encode())

    def verdicts(self, request: bytes) -> list[int]:
        """The status of every answer until the sidecar closes the connection, which it must."""
        with self.caller() as caller:
            caller.send_as_far_as_it_goes(request)
            return [answer.status for answer in caller.answers_until_close()]

    def said(self, pattern: str) -> bool:
        return re.search(pattern, self.stderr) is not None

    def resident_bytes(self) -> int:
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        """The most that was resident since `forget_peak`."""
        return self._memory("VmHWM")

    def forget_peak(self) -> None:
        with contextlib.suppress(OSError):
            Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self) -> int | None:
        """The exit status, if there is one yet."""
        return self._process.poll()

    def exit_status(self, *, within_s: float = STOP_WITHIN_S) -> int:
        """Wait for the end."""
        status = self._process.wait(within_s)
        self._listener.join()
        return status

    def close(self) -> None:
        """Stop it if a test has not, and look at what it left behind."""
        ran = self.ended() is None
        if ran:
            self.signal(signal.SIGINT)
        try:
            status = self.exit_status()
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self.exit_status()
        self._let_go()
        self.assert_no_traceback()
        if ran:
            assert status == 0, (status, self.stderr)

    def assert_no_traceback(self) -> None:
        """Look at what was said since the last look, so that one fault fails one test."""
        said = self.stderr
        fresh, self._examined = said[self._examined :], len(said)
        assert "Traceback" not in fresh, fresh

    def _let_go(self) -> None:
        self.exit_status()
        self._stderr.close()

    def _listen(self) -> None:
        for line in self._stderr:
            self._said.append(line)

    def _wait_until_it_listens(self) -> int:
        ends_at = time.monotonic() + START_WITHIN_S
        while not (matched := READY.search(self.stderr)):
            if self.ended() is not None or time.monotonic() > ends_at:
                self._process.kill()
                self._let_go()
                raise AssertionError(f"it does not listen: {self.stderr}")
            time.sleep(0.005)
        return int(matched[1])

    def _memory(self, field: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        matched = re.search(rf"{field}:\s+(\d+) kB", status)
        assert matched, status
        return int(matched[1]) * 1024
