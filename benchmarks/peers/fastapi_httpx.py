"""A FastAPI + httpx gateway under uvicorn (uvloop, httptools), one worker, one shared client."""

import os
import sys
from importlib.metadata import version
from importlib.util import find_spec
from typing import Final

from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch

_PACKAGES: Final = ("fastapi", "httpx", "uvicorn")


def _missing() -> str | None:
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    return f"not installed: pip install {' '.join(absent)}" if absent else None


def _version() -> str:
    return ", ".join(f"{name} {version(name)}" for name in _PACKAGES)


def _launch(place: Place) -> Launch:
    command = [sys.executable, "-m", "uvicorn", "benchmarks.peers.fastapi_app:app"]
    command += ["--host", "127.0.0.1", "--port", str(place.port), "--no-access-log"]
    command += ["--log-level", "error", "--loop", "uvloop", "--http", "httptools"]
    command += ["--timeout-keep-alive", "75"]  # as the others; its default of 5 s is its own
    return Launch(command, {**os.environ, "UPSTREAM": place.upstream[0]})


FASTAPI: Final = Peer(
    key="fastapi",
    title="FastAPI + httpx",
    colour="#c8553d",
    apart="as such gateways are commonly made: one worker, one shared client, one"
    " endpoint; it parses and writes anew the JSON of calls and answers, holds whole bodies in"
    " memory, and passes no other header than its own on",
    missing=_missing,
    version=_version,
    launch=_launch,
)
