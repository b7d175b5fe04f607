"""What differs between two snapshots, as events tell it: servers come, go and change.

Knows specs. Knows nothing of whom it is told to.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from proxy.registry.model import Server
from proxy.registry.snapshot import Snapshot


class Change(NamedTuple):
    """One server: what has become of it, and which of its keys are other than before."""

    event_type: str
    namespace: str
    changes: tuple[str, ...] = ()


def changes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Server by server; those that are gone come last."""
    for name, server in new.servers.items():
        before = old.servers.get(name)
        if before is None:
            yield Change("server_registered", server.spec.namespace)
        elif before is not server and (keys := _changed_keys(before.spec, server.spec)):
            yield Change("server_changed", server.spec.namespace, keys)
    for name, server in old.servers.items():
        if name not in new.servers:
            yield Change("server_unregistered", server.spec.namespace)


def _changed_keys(before: Server, now: Server) -> tuple[str, ...]:
    return tuple(
        field.encode_name
        for field in msgspec.structs.fields(Server)
        if getattr(before, field.name) != getattr(now, field.name)
    )
