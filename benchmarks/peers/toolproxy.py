"""The sidecar: from this checkout as it is, compiled, and with ten or 100 000 tools."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.peers.peer import Peer, Place
from benchmarks.peers.tools import TOOLS
from benchmarks.processes import Launch

CHECKOUT: Final = Path(__file__).parents[2]
EVERYTHING_ON: Final = CHECKOUT / "benchmarks" / "conf" / "everything.yaml"

_OF_THE_COMMAND: Final = re.compile(
    "TOOLPROXY_.*|HOST|PORT|REGISTRY_PATH|POLL_INTERVAL|HEALTH_CHECK_INTERVAL"
)
_SERVER: Final = """\
  - namespace: {namespace}
    name: {namespace}
    endpoints: [http://127.0.0.1:{port}]
    tools: [{tools}]
"""


def registry(upstream_port: int, servers: dict[str, list[str]]) -> str:
    """The text of a registry: namespaces with their tools, all at this upstream."""
    rows = (
        _SERVER.format(
            namespace=namespace,
            port=upstream_port,
            tools=", ".join(f"{{name: {tool}}}" for tool in tools),
        )
        for namespace, tools in servers.items()
    )
    return 'version: "1.0"\nservers:\n' + "".join(rows)


def sidecar(home: Path, port: int, registry_path: Path, *more: str) -> Launch:
    """The command, with the code that lies in `home`."""
    command = [sys.executable, "-m", "proxy", "run", "-c", str(EVERYTHING_ON)]
    command += ["--listen", f"127.0.0.1:{port}", "--registry", str(registry_path), *more]
    inherited = {k: v for k, v in os.environ.items() if not _OF_THE_COMMAND.fullmatch(k)}
    return Launch(command, {**inherited, "PYTHONPATH": str(home)}, home)


def is_compiled(home: Path) -> bool:
    return any((home / "proxy" / "wire").glob("*.so"))


def compiled_build(folder: Path) -> Path | None:
    """Install this checkout into a folder with its compiled modules; None when it has none.

    Takes a minute; what pip complains of goes to standard error. Built from a copy, since what is
    compiled stays beside its source, and this checkout would run it unasked.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    with tempfile.TemporaryDirectory() as name:
        for path in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(CHECKOUT / path, name)
        only_sources = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(CHECKOUT / "proxy", Path(name, "proxy"), ignore=only_sources)
        subprocess.run(  # noqa: S603 - fixed words
            [*command, "--no-deps", "--target", str(folder), name],
            env={**os.environ, "HATCH_BUILD_HOOK_ENABLE_MYPYC": "1"},
            check=False,
        )
    return folder if is_compiled(folder) else None


def _compiled_home() -> Path:
    """A folder of its own for each state of the sources: an old build is never taken for a new."""
    digest = hashlib.sha256(sys.version.encode())
    for path in [CHECKOUT / "pyproject.toml", *sorted((CHECKOUT / "proxy").rglob("*.py"))]:
        digest.update(path.read_bytes())
    return CHECKOUT / "build" / f"compiled-{digest.hexdigest()[:16]}"


_COMPILED: Final = _compiled_home()


def _prepare_compiled() -> None:
    if _COMPILED.exists():
        return
    _COMPILED.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_COMPILED.parent) as name:
        folder = Path(name, "home")
        compiled_build(folder)
        if (folder / "proxy").is_dir():  # else pip has failed, and may not the next time
            folder.rename(_COMPILED)


def _missing_compiled() -> str | None:
    if not _COMPILED.exists():
        return "not built (a run without --quick builds it; pip says above why it could not)"
    return None if is_compiled(_COMPILED) else "its build has no compiled modules"


def best_home() -> Path:
    """Where the code lies that a user would run: compiled where that is possible."""
    return CHECKOUT if _missing_compiled() else _COMPILED


def _version(home: Callable[[], Path]) -> Callable[[], str]:
    def version() -> str:
        command, environment, folder = sidecar(home(), 0, Path("-"))
        said = subprocess.run(  # noqa: S603 - our own command
            [*command[:3], "--version"],
            env=environment,
            cwd=folder,
            capture_output=True,
            check=True,
        )
        return said.stdout.decode().split()[1]

    return version


def _launch(
    home: Callable[[], Path], servers: Callable[[], dict[str, list[str]]], *more: str
) -> Callable[[Place], Launch]:
    def launch(place: Place) -> Launch:
        path = place.folder / "registry.yaml"
        path.write_text(registry(place.upstream_port, servers()))
        return sidecar(home(), place.port, path, *more)

    return launch


def many_tools() -> dict[str, list[str]]:
    """100 000 tools in 991 servers; 1 000 of them are `bench`'s, as are all of `ten_tools`."""
    others = {f"other{n:04}": [f"tool{m:03}" for m in range(100)] for n in range(990)}
    return {"bench": [f"t{n:04}" for n in range(1000)]} | others


def ten_tools() -> dict[str, list[str]]:
    return {"bench": [f"t{n:04}" for n in range(10)]}


_APART: Final = (
    "everything on that `benchmarks/conf/everything.yaml` switches on: strict parsing both ways,"
    " limits, deadlines, health checks, metrics, trace context, a registry that is live within a"
    " second of a change"
)
# Probes of 991 servers come in waves that cost a few percent of a core: another matter than calls.
_CALLS_ONLY: Final = ("--set", "health_check_interval=1h")
_PROBES: Final = "probed once an hour, so that calls are what is compared"

TOOLPROXY: Final = Peer(
    key="toolproxy",
    title="toolproxy",
    colour="#2f5fc4",
    apart=f"pure Python; {_APART}",
    missing=lambda: None,
    version=_version(lambda: CHECKOUT),
    launch=_launch(lambda: CHECKOUT, lambda: {"bench": [*TOOLS]}),
)
COMPILED: Final = Peer(
    key="compiled",
    title="toolproxy (compiled)",
    colour="#17316b",
    apart="the same sources compiled with mypyc, everything on as above",
    prepare=_prepare_compiled,
    missing=_missing_compiled,
    version=_version(lambda: _COMPILED),
    launch=_launch(lambda: _COMPILED, lambda: {"bench": [*TOOLS]}),
)
TEN_TOOLS: Final = Peer(
    key="tools10",
    kin="toolproxy",
    title="toolproxy, 10 tools",
    colour="#7fa3ea",
    apart=f"compiled where that is possible; one server, {_PROBES}",
    missing=lambda: None,
    version=_version(best_home),
    launch=_launch(best_home, ten_tools, *_CALLS_ONLY),
)
MANY_TOOLS: Final = Peer(
    key="tools100000",
    kin="toolproxy",
    title="toolproxy, 100 000 tools",
    colour="#4a7bdc",
    apart=f"compiled where that is possible; 991 servers, {_PROBES}",
    missing=lambda: None,
    version=_version(best_home),
    launch=_launch(best_home, many_tools, *_CALLS_ONLY),
)
