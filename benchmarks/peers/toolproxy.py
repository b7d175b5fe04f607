"""The sidecar: from this checkout as it is, compiled, and with ten or 100 000 tools."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers.builds import CHECKOUT, OURS
from benchmarks.peers.certificate import Files, put_into
from benchmarks.peers.peer import Peer, Place
from benchmarks.peers.tools import TOOLS
from benchmarks.processes import Launch
from benchmarks.wrk import API_KEY

EVERYTHING_ON: Final = CHECKOUT / "benchmarks" / "conf" / "everything.yaml"

_OF_THE_COMMAND: Final = re.compile(
    "TOOLPROXY_.*|HOST|PORT|REGISTRY_PATH|POLL_INTERVAL|HEALTH_CHECK_INTERVAL"
)
_ROUTES: Final = (
    "{match: {prefix: /api/}, to: bench, rewrite: /}",
    "{match: {prefix: /ws/}, to: bench, rewrite: /}",
)
_SERVER: Final = """\
  - namespace: {namespace}
    name: {namespace}
    endpoints: [{endpoints}]
    tools: [{tools}]
"""


def registry(
    upstream: Sequence[str],
    servers: dict[str, list[str]],
    server_keys: Sequence[str] = (),
    tool_keys: str = "",
) -> str:
    """The text of a registry: namespaces with their tools, all at these addresses.

    `server_keys` and `tool_keys` are written into each server and each tool.
    """
    endpoints = ", ".join(f"http://{address}" for address in upstream)
    keys = "".join(f"    {each}\n" for each in server_keys)
    rows = (
        _SERVER.format(
            namespace=namespace,
            endpoints=endpoints,
            tools=", ".join(f"{{name: {tool}{tool_keys}}}" for tool in tools),
        )
        + keys
        for namespace, tools in servers.items()
    )
    return 'version: "1.0"\nservers:\n' + "".join(rows)


def sidecar(home: Path, registry_path: Path, *more: str, conf: Path = EVERYTHING_ON) -> Launch:
    """The command, with the code that lies in `home`."""
    command = [sys.executable, "-m", "proxy", "run", "-c", str(conf)]
    command += ["--registry", str(registry_path), *more]
    inherited = {k: v for k, v in os.environ.items() if not _OF_THE_COMMAND.fullmatch(k)}
    # It runs where its registry lies, so that what it keeps goes when the round is over.
    return Launch(command, {**inherited, "PYTHONPATH": str(home)}, registry_path.absolute().parent)


def many_routes() -> list[str]:
    """1 000, as an application grown over years has them: exact paths, prefixes, with hosts."""
    exact = [f"{{match: {{exact: /page{n:03}}}, to: bench}}" for n in range(400)]
    prefix = [f"{{match: {{prefix: /part{n:03}/}}, to: bench, rewrite: /}}" for n in range(400)]
    host = [f"{{match: {{host: h{n:03}.example, prefix: /}}, to: bench}}" for n in range(200)]
    return [*exact, *prefix, *host]


def every_tool() -> dict[str, list[str]]:
    return {"bench": [*TOOLS]}


def ten_tools() -> dict[str, list[str]]:
    return {"bench": [f"t{n:04}" for n in range(10)]}


def many_tools() -> dict[str, list[str]]:
    """100 000 tools in 991 servers; 1 000 of them are `bench`'s, as are all of `ten_tools`."""
    others = {f"other{n:04}": [f"tool{m:03}" for m in range(100)] for n in range(990)}
    return {"bench": [f"t{n:04}" for n in range(1000)]} | others


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A sidecar as it is run: where its code lies, what its registry says, and its flags."""

    home: Callable[[], Path]
    servers: Callable[[], dict[str, list[str]]] = every_tool
    endpoints: int | None = None  # so many of the upstream's addresses; all of them
    server_keys: Sequence[str] = ()
    tool_keys: str = ""
    flags: Sequence[str] = ()
    journal: bool = False  # every event is written to a file, too
    routes: Sequence[str] = ()  # of which none is ever called

    def version(self) -> str:
        command, environment, folder = sidecar(self.home(), Path("-"))
        said = subprocess.run(  # noqa: S603 - our own command
            [*command[:3], "--version"],
            env=environment,
            cwd=folder,
            capture_output=True,
            check=True,
        )
        return said.stdout.decode().split()[1]

    def launch(self, place: Place) -> Launch:
        path = place.folder / "registry.yaml"
        upstream = place.upstream[: self.endpoints]
        path.write_text(registry(upstream, self.servers(), self.server_keys, self.tool_keys))
        flags = list(self.flags)
        if self.journal:
            flags += ["--set", f"events.journal={place.folder / 'events.jsonl'}"]
        conf = place.folder / "proxy.yaml"
        settings = "".join(f"{line}\n" for line in _settings(place, self.routes))
        conf.write_text(EVERYTHING_ON.read_text() + settings)
        return sidecar(self.home(), path, *flags, conf=conf)


def _settings(place: Place, routes: Sequence[str]) -> Iterator[str]:
    """What is added to everything: how it stands towards its callers."""
    files = put_into(place.folder) if place.front.tls else None
    yield f"listen: {listener(place.port, files)}"
    if place.front.workers > 1:  # the key is younger than some sources that are measured
        yield f"workers: {place.front.workers}"
    if routes := [*routes, *(_ROUTES if place.front.routed else ())]:
        yield "routes:"
        yield from (f"  - {each}" for each in routes)


def listener(port: int, certificate: Files | None = None) -> str:
    """An item of `listen`."""
    if certificate is None:
        return f"127.0.0.1:{port}"
    files = f"cert: {certificate.chain}, key: {certificate.key}"
    return f'{{address: 127.0.0.1:{port}, tls: {{{files}, min_version: "1.3"}}}}'


_APART: Final = (
    "everything on that `benchmarks/conf/everything.yaml` switches on: strict parsing both ways,"
    " `least_request` over the endpoints, health checks, ejection, circuit breaker, retries,"
    " limits, deadlines, metrics, trace context, a registry that is live within a second of a"
    " change"
)
# Probes of 991 servers come in waves that cost a few percent of a core: another matter than calls.
_CALLS_ONLY: Final = ("--set", "health_check_interval=1h")
_PROBES: Final = "at one endpoint, probed once an hour, so that calls are what is compared"

_PLAIN_SETUP: Final = Setup(home=lambda: CHECKOUT)
_COMPILED_SETUP: Final = Setup(home=lambda: OURS.home)
_TEN_SETUP: Final = Setup(home=OURS.best_home, servers=ten_tools, endpoints=1, flags=_CALLS_ONLY)
_JOURNAL_SETUP: Final = Setup(
    home=OURS.best_home, servers=ten_tools, endpoints=1, flags=_CALLS_ONLY, journal=True
)
_DIGEST: Final = hashlib.sha256(API_KEY.encode()).hexdigest()
_ASKED: Final = f"auth.api_keys=[{{name: bench, sha256: {_DIGEST}, rate: 1000000/s}}]"
_KEYED_SETUP: Final = Setup(
    home=OURS.best_home,
    servers=ten_tools,
    endpoints=1,
    flags=(*_CALLS_ONLY, "--set", _ASKED),
)
_ROUTES_SETUP: Final = Setup(
    home=OURS.best_home, servers=ten_tools, endpoints=1, flags=_CALLS_ONLY, routes=many_routes()
)
_MANY_SETUP: Final = Setup(home=OURS.best_home, servers=many_tools, endpoints=1, flags=_CALLS_ONLY)

TOOLPROXY: Final = Peer(
    key="toolproxy",
    title="toolproxy",
    colour="#2f5fc4",
    apart=f"pure Python; {_APART}",
    missing=lambda: None,
    version=_PLAIN_SETUP.version,
    launch=_PLAIN_SETUP.launch,
)
COMPILED: Final = Peer(
    key="compiled",
    title="toolproxy (compiled)",
    colour="#17316b",
    apart="the same sources compiled with mypyc, everything on as above",
    prepare=OURS.prepare,
    missing=OURS.missing,
    version=_COMPILED_SETUP.version,
    launch=_COMPILED_SETUP.launch,
)
TEN_TOOLS: Final = Peer(
    key="tools10",
    kin="toolproxy",
    title="toolproxy, 10 tools",
    colour="#7fa3ea",
    apart=f"compiled where that is possible; one server {_PROBES}",
    missing=lambda: None,
    version=_TEN_SETUP.version,
    launch=_TEN_SETUP.launch,
)
MANY_TOOLS: Final = Peer(
    key="tools100000",
    kin="toolproxy",
    title="toolproxy, 100 000 tools",
    colour="#4a7bdc",
    apart=f"compiled where that is possible; 991 servers {_PROBES}",
    missing=lambda: None,
    version=_MANY_SETUP.version,
    launch=_MANY_SETUP.launch,
)
JOURNAL: Final = Peer(
    key="journal",
    kin="toolproxy",
    title="toolproxy, journal on",
    colour="#9aa9c9",
    apart="as with 10 tools, and every event is written to a file",
    missing=lambda: None,
    version=_JOURNAL_SETUP.version,
    launch=_JOURNAL_SETUP.launch,
)
KEYED: Final = Peer(
    key="keyed",
    kin="toolproxy",
    title="toolproxy, API key and rate limit",
    colour="#c98a2f",
    apart="as with 10 tools; callers show an API key, which has a rate limit",
    missing=lambda: None,
    version=_KEYED_SETUP.version,
    launch=_KEYED_SETUP.launch,
)
MANY_ROUTES: Final = Peer(
    key="routes1000",
    kin="toolproxy",
    title="toolproxy, 1 000 routes",
    colour="#5b8c5a",
    apart="as with 10 tools, and 1 000 routes are configured (400 exact paths, 400 prefixes, 200"
    " hosts), none of which is called",
    missing=lambda: None,
    version=_ROUTES_SETUP.version,
    launch=_ROUTES_SETUP.launch,
)
