"""What runs against what would run, compared a little at a time."""

import asyncio
from typing import Final

from proxy.generations.comparison import Comparison, compare
from proxy.registry.load import Loaded
from proxy.registry.model import Server
from proxy.registry.snapshot import Snapshot

_SLICE_S: Final = 0.002


async def compared(running: Snapshot, loaded: Loaded, *, same: bool) -> Comparison:
    """The comparison; the event loop goes on meanwhile."""
    clock = asyncio.get_running_loop().time
    steps, began = (
        compare(specs_of(running), specs_after(running, loaded), same_identity=same),
        clock(),
    )
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Comparison = end.value
            return found
        if clock() - began > _SLICE_S:
            await asyncio.sleep(0)
            began = clock()


def specs_of(snapshot: Snapshot) -> dict[str, Server]:
    return {server.spec.namespace: server.spec for server in snapshot.servers.values()}


def specs_after(running: Snapshot, loaded: Loaded) -> dict[str, Server]:
    """What would run: a server whose entry is broken stays what it is."""
    specs = {spec.namespace: spec for spec in loaded.servers}
    for broken in loaded.quarantined:
        name = broken.namespace or ""
        before = running.servers.get(name.encode())
        if before is not None and name not in specs:
            specs[name] = before.spec
    return specs
