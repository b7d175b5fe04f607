"""The real nginx on a configuration, and the real sidecar on what became of the same one."""

import getpass
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import trustme

from proxy.config.settings import load_settings
from proxy.conversion.notes import LeftOut
from proxy.conversion.reading import read
from proxy.conversion.whole import convert
from proxy.policy.route_order import out_of_reach
from tests.support.sidecar import READY, ROOT, environment
from tests.support.waiting import eventually

NGINX: Final = shutil.which("nginx")
CONFIGURATIONS: Final = Path(__file__).parent / "configurations"
_SCRATCH: Final = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_WITHIN_S: Final = 30.0


def free_ports(count: int) -> list[int]:
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def configured(name: str, folder: Path, ports: Mapping[str, int]) -> Path:
    """The configuration with its places filled in, and the files that it names."""
    folder.mkdir()
    text = (CONFIGURATIONS / f"{name}.conf").read_text()
    for place, value in {**ports, "folder": folder, "user": getpass.getuser()}.items():
        text = text.replace(f"%{place}%", str(value))
    path = folder / "nginx.conf"
    path.write_text(text)
    scratch = [f"{each}_temp_path {folder}/{each};" for each in _SCRATCH]
    (folder / "scratch.conf").write_text("\n".join(scratch))
    (folder / "mime.types").write_text("types { text/html html; image/png png; }")
    if "tls" in ports:
        authority = trustme.CA()
        for each in ("one", "two"):
            certificate = authority.issue_cert(f"{each}.example")
            certificate.cert_chain_pems[0].write_to_path(str(folder / f"{each}.pem"))
            certificate.private_key_pem.write_to_path(str(folder / f"{each}.key"))
    return path


class _Process:
    """Ends when it is left, whatever happened."""

    def __init__(self, command: list[str], said: Path) -> None:
        self._said = said
        with said.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - constants and our own paths
                command, cwd=ROOT, env=environment({}), stdout=file, stderr=file
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)  # for both: at once
        self._process.wait(_WITHIN_S)
        assert "Traceback" not in self.said, self.said

    @property
    def said(self) -> str:
        return self._said.read_text(errors="replace")


class Nginx(_Process):
    """As people start it."""

    def __init__(self, configuration: Path, port: int) -> None:
        folder = configuration.parent
        command = [NGINX or "nginx", "-p", str(folder), "-c", str(configuration)]
        super().__init__([*command, "-g", "daemon off;"], folder / "said")
        self._port = port
        assert eventually(self._listens), self.said

    def _listens(self) -> bool:
        assert self._process.poll() is None, self.said
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


class Converted(_Process):
    """The sidecar on what `convert` makes of a configuration; two things are said otherwise.

    One worker will do for the time that a test has, and the operator's port may be taken.
    """

    def __init__(self, configuration: Path) -> None:
        folder = configuration.parent
        self.left_out, self.settings = converted(configuration)
        command = [sys.executable, "-m", "proxy", "run", "-c", str(self.settings)]
        own = ["--set", "workers=1", "--set", "admin=", "--set", "registry.store="]
        super().__init__([*command, *own, "--log-level", "info"], folder / "said")
        ends_at = time.monotonic() + _WITHIN_S
        while not READY.search(self.said):
            assert self._process.poll() is None, self.said
            assert time.monotonic() < ends_at, self.said
            time.sleep(0.005)


def converted(configuration: Path) -> tuple[list[LeftOut], Path]:
    """What was left out, and where the settings lie."""
    settings = configuration.with_name("proxy.yaml")
    registry = configuration.with_name("registry.yaml")
    found = convert(read(str(configuration)), str(configuration), str(registry))
    settings.write_text(found.proxy)
    registry.write_text(found.registry)
    routes = load_settings(str(settings), {}, {}).routes
    assert list(out_of_reach(routes)) == []  # what `toolproxy check` would warn of
    return found.left_out, settings
