"""The same bytes to several proxies, each before an origin of its own: what did each forward?

Knows how to run the sidecar, nginx and HAProxy as plain reverse proxies, and to ask them. Judges
nothing.
"""

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from tests.support.fuzz_reading import Odd, Request, read_request
from tests.support.fuzz_run import fuzzed_sidecar
from tests.support.messages import ok

SIDECAR: Final = "sidecar"
# So long does a proxy wait for what never comes; long enough for any that comes.
_TIMEOUT_S: Final = 3
_PATIENCE_S: Final = 30.0
_STARTED_WITHIN_S: Final = 10.0
_GLANCE_S: Final = 0.02
_AT_ONCE: Final = 200
_WHOSE: Final = re.compile(rb"\r\nx-forwarded-for: ([0-9.]+)\r\n", re.IGNORECASE)
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([2-5][0-9][0-9]) ")
_DETAILS: Final = re.compile(rb'\r\nProxy-Status: [^\r]*; details="([^\r]*)"\r\n')

_NGINX: Final = """\
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 2048; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  client_header_timeout {timeout_s}s; client_body_timeout {timeout_s}s;
  keepalive_timeout {timeout_s}s;
  upstream origin {{ server 127.0.0.1:{origin_port}; keepalive 16; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://origin; proxy_http_version 1.1;
      proxy_read_timeout {timeout_s}s;
      proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr; }} }}
}}
"""
_HAPROXY: Final = """\
global
  maxconn 2048
defaults
  mode http
  timeout connect {timeout_s}s
  timeout client {timeout_s}s
  timeout server {timeout_s}s
  timeout http-request {timeout_s}s
frontend callers
  bind 127.0.0.1:{port}
  http-request set-header X-Forwarded-For %[src]
  default_backend origin
backend origin
  server origin 127.0.0.1:{origin_port}
"""
# Debian puts them where only root's PATH looks.
_SEARCHED: Final = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
INSTALLED: Final = {
    name: path
    for name in ("nginx", "haproxy")
    if (path := shutil.which(name, path=_SEARCHED)) is not None
}


@dataclass(slots=True)
class Outcome:
    """What became of one case at one proxy."""

    statuses: list[int] = field(default_factory=list)
    details: list[str] = field(default_factory=list)  # of the sidecar's problems
    forwarded: list[tuple[Request, bytes]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)  # what reached the origin, and is not strict

    @property
    def reached(self) -> int:
        return len(self.forwarded) + len(self.odd)

    def __str__(self) -> str:
        targets = [f"{each.method.decode()} {each.target!r}" for each, _ in self.forwarded]
        return f"answers {self.statuses} {self.details}, forwards {targets + self.odd}"


class _Origin(asyncio.Protocol):
    """Answers everything with 200, and notes whose it was."""

    def __init__(self, outcomes: dict[bytes, Outcome]) -> None:
        self._outcomes = outcomes
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        whose = _WHOSE.search(self._unread)
        outcome = self._outcomes.get(whose[1], Outcome()) if whose else Outcome()
        try:
            request, after = read_request(self._unread)
            if after < 0:
                raise Odd("its body")  # noqa: TRY301 - as any other verdict
        except Odd as odd:
            outcome.odd.append(f"{odd}: {self._unread!r}")
            self._transport.write(ok(b"", b"Connection: close"))
            self._transport.close()
            return
        if request is not None and request.complete:
            outcome.forwarded.append((request, self._unread[:after]))
            self._unread = self._unread[after:]
            body = b"" if request.method == b"HEAD" else b"ok"
            self._transport.write(ok(b"ok").removesuffix(b"ok") + body)


class _Caller(asyncio.Protocol):
    """Sends a case, and listens until the end."""

    def __init__(self, octets: bytes) -> None:
        self.heard = b""
        self.over = asyncio.get_running_loop().create_future()
        self._octets = octets

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._octets)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.over.done():
            self.over.set_result(None)


class Peer:
    """One running proxy, and the origin behind it."""

    def __init__(self, port: int, outcomes: dict[bytes, Outcome]) -> None:
        self._port = port
        self._outcomes = outcomes
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def ask(self, cases: Sequence[bytes]) -> list[Outcome]:
        """The outcome of each case, each on a connection of its own."""
        return await asyncio.gather(*(self._ask(n, case) for n, case in enumerate(cases, 1)))

    async def _ask(self, number: int, case: bytes) -> Outcome:
        address = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        self._outcomes[address.encode()] = outcome = Outcome()
        loop = asyncio.get_running_loop()
        async with self._room, asyncio.timeout(_PATIENCE_S):
            plain = socket.socket()
            plain.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
            plain.bind((address, 0))
            await loop.sock_connect(plain, ("127.0.0.1", self._port))
            transport, caller = await loop.create_connection(lambda: _Caller(case), sock=plain)
            try:
                await caller.over
            finally:
                transport.abort()
        outcome.statuses = [int(status) for status in _STATUS.findall(caller.heard)]
        outcome.details = [detail.decode() for detail in _DETAILS.findall(caller.heard)]
        return outcome


@contextlib.asynccontextmanager
async def running(name: str, folder: Path) -> AsyncIterator[Peer]:
    """A proxy of this name, with an origin behind it; its files go into `folder`."""
    outcomes: dict[bytes, Outcome] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Origin(outcomes), "127.0.0.1", 0, backlog=1024)
    origin_port = server.sockets[0].getsockname()[1]
    try:
        if name == SIDECAR:
            timeouts = {"timeout": f"{_TIMEOUT_S}s"}
            async with fuzzed_sidecar(folder, origin_port, **timeouts) as sidecar:
                yield Peer(sidecar.port, outcomes)
        else:
            async with _started(name, folder, origin_port) as port:
                yield Peer(port, outcomes)
    finally:
        server.close()


@contextlib.asynccontextmanager
async def _started(name: str, folder: Path, origin_port: int) -> AsyncIterator[int]:
    port = _free_port()
    process = _start(name, folder, port, origin_port)
    try:
        async with asyncio.timeout(_STARTED_WITHIN_S):
            while not _listens(port):
                assert process.poll() is None, f"{name} ended with {process.returncode}"
                await asyncio.sleep(_GLANCE_S)
        yield port
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


def _start(name: str, folder: Path, port: int, origin_port: int) -> subprocess.Popen[bytes]:
    conf = folder / f"{name}.conf"
    conf.write_text(
        {"nginx": _NGINX, "haproxy": _HAPROXY}[name].format(
            folder=folder, port=port, origin_port=origin_port, timeout_s=_TIMEOUT_S
        )
    )
    arguments = {
        "nginx": ["-p", str(folder), "-c", str(conf), "-e", str(folder / "error.log")],
        "haproxy": ["-db", "-q", "-f", str(conf)],
    }
    return subprocess.Popen([INSTALLED[name], *arguments[name]])  # noqa: S603 - constants


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
