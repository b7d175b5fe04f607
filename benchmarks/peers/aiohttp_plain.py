"""A plain aiohttp proxy: aiohttp's server, one shared client session, bodies streamed."""

import sys
from importlib.metadata import version
from typing import Final

from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch


def _launch(place: Place) -> Launch:
    command = [sys.executable, "-m", "benchmarks.peers.aiohttp_app"]
    return Launch([*command, str(place.port), place.upstream[0]])


AIOHTTP: Final = Peer(
    key="aiohttp",
    title="aiohttp",
    colour="#d9a441",
    apart="one process on uvloop; as few lines as pass a call on: one endpoint, no limits, no"
    " health checks, no metrics, no trace context",
    missing=lambda: None,  # the sidecar needs it too
    version=lambda: version("aiohttp"),
    launch=_launch,
)
