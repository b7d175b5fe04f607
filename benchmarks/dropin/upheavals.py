"""Promises about upheavals: a worker is killed, all is reloaded, a new sidecar takes over.

Callers go on meanwhile; what is counted is whom it cost something.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import uvloop

from benchmarks import upstreams
from benchmarks.dropin import whole
from benchmarks.dropin.handshakes import trusting
from benchmarks.dropin.ping_pong import Player
from benchmarks.dropin.whole import Caller, Whole
from benchmarks.moments import rename_over
from benchmarks.peers import certificate
from benchmarks.peers.toolproxy import listener, registry
from benchmarks.processes import LOOPBACK
from proxy.descriptors import raise_limit

SOCKETS: Final = 1000
_CALLERS: Final = 32
_FRESH_CALLERS: Final = 4
_WORKERS: Final = f"workers: {whole.WORKERS}"
_BACK_WITHIN_S: Final = 10.0  # later is missed anyway
_AFTERWARDS_S: Final = 1.0
_PAUSE_S: Final = 0.002
_AT_ONCE: Final = 8  # connections, so that no worker takes them all
_PAYLOAD_BYTES: Final = 32
_OPEN_WITHIN_S: Final = 120.0
# Each WebSocket is a request and a connection of the upstream's for as long as it is open.
_ROOM: Final = (f"limits: {{max_connections: {2 * SOCKETS}, max_requests: {2 * SOCKETS}}}",)
_ROUTE: Final = "{{match: {{prefix: {prefix}}}, to: bench, rewrite: /}}"
_FRESH: Final = "{match: {exact: /fresh}, respond: {status: 200, body: ok}}"


class Aftermath(NamedTuple):
    """What came of a killed worker."""

    back_s: float
    bystanders: int  # connections of other workers that broke off, or calls that failed on them


def back_seconds(home: Path, folder: Path) -> list[float]:
    """From `kill -9` to a call that its replacement answers."""
    return [_kill_one(home, folder).back_s]


def bystanders_hurt(home: Path, folder: Path) -> list[float]:
    return [_kill_one(home, folder).bystanders]


def sockets_dropped(home: Path, folder: Path) -> list[float]:
    """Of WebSockets over TLS, when certificate, routes and registry are others at once."""
    raise_limit()
    (folder / "upstream").mkdir()
    routes = ("routes:", f"  - {_ROUTE.format(prefix='/ws/')}")
    with (
        upstreams.sockets(folder / "upstream") as upstream,
        whole.running(home, folder, upstream, _WORKERS, *routes, server_keys=_ROOM) as it,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        players = runner.run(_opened(it.tls_port))
        _change_all(it, upstream[0], routes)
        return [runner.run(_dropped(players))]


def refused_by_upgrade(home: Path, folder: Path) -> list[float]:
    """Calls that failed, each on a connection of its own, while a successor took over."""
    (folder / "upstream").mkdir()
    with (
        upstreams.answers(folder / "upstream") as upstream,
        whole.running(home, folder, upstream, _WORKERS) as it,
        _calling(lambda: _call_afresh(it.port), _FRESH_CALLERS) as failures,
    ):
        time.sleep(_AFTERWARDS_S)
        it.signal(signal.SIGUSR2)
        whole.await_true(lambda: it.process.poll() is not None, "the old sidecar ends")
        time.sleep(_AFTERWARDS_S)
        return [len(failures)]


def _kill_one(home: Path, folder: Path) -> Aftermath:
    (folder / "upstream").mkdir()
    with contextlib.ExitStack() as until:
        upstream = until.enter_context(upstreams.answers(folder / "upstream"))
        it = until.enter_context(whole.running(home, folder, upstream, _WORKERS))
        callers = whole.callers_of_all(it, _CALLERS, until)
        owners = it.owners()
        victim = min(owners.values())
        others = [each for each in callers if owners.get(each.port) != victim]
        failures = until.enter_context(_calling_each(others))
        os.kill(victim, signal.SIGKILL)
        back_s = _until_replaced(it, {*owners.values()})
        time.sleep(_AFTERWARDS_S)
        return Aftermath(back_s, len(failures))


def _until_replaced(it: Whole, known: set[int]) -> float:
    """Until a process serves us that was not there before."""
    began = time.monotonic()
    while time.monotonic() - began < _BACK_WITHIN_S:
        with contextlib.ExitStack() as until:
            for _ in range(_AT_ONCE):
                with contextlib.suppress(OSError):  # the victim's, which nobody had accepted
                    caller = Caller(it.port)
                    until.callback(caller.close)
                    caller.call()
            if {*it.owners().values()} - known:
                return time.monotonic() - began
    return _BACK_WITHIN_S


@contextmanager
def _calling(call: Callable[[], None], threads: int) -> Iterator[list[OSError]]:
    """Calls without end, on so many threads, until the end of the block; those that failed."""
    failures: list[OSError] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(_PAUSE_S):
            try:
                call()
            except OSError as error:
                failures.append(error)

    running = [threading.Thread(target=go_on) for _ in range(threads)]
    for each in running:
        each.start()
    try:
        yield failures
    finally:
        over.set()
        for each in running:
            each.join()


@contextmanager
def _calling_each(callers: list[Caller]) -> Iterator[list[OSError]]:
    """The same on each of these connections in turn."""
    turn = itertools.cycle(callers)

    def call() -> None:
        caller = next(turn)
        if not caller.call():
            raise OSError(f"{caller} was refused")

    with _calling(call, 1) as failures:
        yield failures


def _call_afresh(port: int) -> None:
    caller = Caller(port)
    try:
        if not caller.call(last=True):
            raise OSError("refused")
    finally:
        caller.close()


async def _opened(port: int) -> list[Player]:
    loop = asyncio.get_running_loop()
    context = trusting()
    players = []
    async with asyncio.timeout(_OPEN_WITHIN_S):
        for _ in range(SOCKETS):
            _, player = await loop.create_connection(
                lambda: Player("/ws/echo", _PAYLOAD_BYTES), LOOPBACK[0], port, ssl=context
            )
            await player.opened
            players.append(player)
    return players


async def _dropped(players: list[Player]) -> int:
    """Those on which no message comes back."""
    for each in players:
        each.end()
        each.play()
    done, _ = await asyncio.wait([each.over for each in players], timeout=_BACK_WITHIN_S)
    return len(players) - sum(each.exception() is None for each in done)


def _change_all(it: Whole, upstream: str, routes: tuple[str, ...]) -> None:
    """Certificate, routes and registry become others; wait until all of that is seen."""
    before = _shown(it.tls_port)
    files = certificate.write(it.folder, *certificate.make())
    listen = [listener(it.port), listener(it.tls_port, files)]
    whole.configure(it.folder, listen, _WORKERS, *routes, f"  - {_FRESH}")
    changed = registry([upstream], {"bench": ["echo", "fresh"]}, _ROOM)
    rename_over(it.folder / "registry.yaml", changed)
    it.signal(signal.SIGHUP)
    whole.await_true(lambda: _shown(it.tls_port) != before, "another certificate")
    whole.await_true(lambda: _fetched(it.port, "/fresh") == b"ok", "another route")
    whole.await_true(lambda: b'"fresh"' in _fetched(it.port, "/tools"), "another tool")


def _shown(port: int) -> str:
    """The certificate that a caller sees."""
    with (
        socket.create_connection((LOOPBACK[0], port), _BACK_WITHIN_S) as plain,
        trusting().wrap_socket(plain) as connection,
    ):
        return ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True) or b"")


def _fetched(port: int, path: str) -> bytes:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK[0]}:{port}{path}") as answer:
            return bytes(answer.read())
    except OSError:  # 404 until it is there
        return b""
