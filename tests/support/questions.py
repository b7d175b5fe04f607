"""Questions about events, in one breath."""

from datetime import datetime

from proxy.events.event import Wanted
from proxy.events.query import Asked


def asked(
    *,
    kinds: frozenset[str] = frozenset(),
    server: str = "",
    trace_id: str = "",
    status: str = "",
    since: datetime | None = None,
    limit: int = 100,
) -> Asked:
    return Asked(Wanted(kinds, server, trace_id, status), since, limit)
