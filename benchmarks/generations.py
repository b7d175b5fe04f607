"""How long it takes to compare a registry of 10 000 tools with the one that runs, and to store it.

In this process, without the parsing that a child process does: each tool has another description.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from benchmarks.peers.toolproxy import registry
from proxy.config.settings import Settings
from proxy.generations.archive import Archive
from proxy.generations.reading import Candidate, Job, read
from proxy.generations.records import Activation
from proxy.generations.tables import compared
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules

_SERVERS: Final = 100
_TOOLS: Final = 100  # of each
_TIMES: Final = 3


def compare_and_store_seconds(home: Path, folder: Path) -> list[float]:
    """Each of a few times."""
    del home  # what is measured is never compiled
    return asyncio.run(_measured(folder))


async def _measured(folder: Path) -> list[float]:
    live = LiveRegistry(LoadRules.of(Settings()), os.environ)
    live.take_first(_candidate("as it was").loaded)
    archive = Archive(str(folder / "generations"))
    await archive.open()
    took_s = []
    for number in range(_TIMES):
        candidate = _candidate(f"change {number}")
        began = time.monotonic()
        comparison = await compared(live.current, candidate.loaded, same=False)
        await archive.activate(_activation(candidate), b"".join(candidate.canonical), "")
        took_s.append(time.monotonic() - began)
        if comparison.total_changes != _SERVERS * _TOOLS or archive.problem:
            raise OSError(f"{comparison.total_changes} changes; {archive.problem}")
    archive.close()
    return took_s


def _candidate(description: str) -> Candidate:
    tools = {f"server{n:02}": [f"tool{m:03}" for m in range(_TOOLS)] for n in range(_SERVERS)}
    text = registry(["127.0.0.1:9"], tools, (), f", description: {description}")
    job = Job(path="", name="registry.yaml", rules=LoadRules.of(Settings()))
    return read(text.encode(), job, os.environ)


def _activation(candidate: Candidate) -> Activation:
    return Activation(
        at="2026-01-01T00:00:00Z",
        generation=candidate.identity,
        reason="source",
        change_class="compatible",
        source="registry.yaml",
        signed=None,
        servers=_SERVERS,
        tools=_SERVERS * _TOOLS,
    )
