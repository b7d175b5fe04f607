"""`health`: how is it, in a word, and server by server where this caller may see them?"""

from argparse import Namespace
from typing import Final

from proxy.client.codec import mapping
from proxy.people.gateway import Gateway
from proxy.people.listings import usable_of
from proxy.people.output import Output
from proxy.people.tables import Column, cell, painted, table

_OF_SERVERS: Final = (
    Column("SERVER"),
    Column("HEALTH", painted=True),
    Column("CIRCUIT", painted=True),
    Column("ENDPOINTS", number=True),
    Column("IN FLIGHT", number=True),
    Column("QUEUED", number=True),
)


async def health(gateway: Gateway, output: Output, options: Namespace) -> int:
    """Status 1 when no server can be used."""
    _ = options
    found = mapping(await gateway.document("/health", "health"))
    if output.for_people:
        _show(found, output)
    else:
        output.document(found)
    return 1 if found.get("status") == "unhealthy" else 0


def _show(found: dict[str, object], output: Output) -> None:
    word = painted(cell(found.get("status")), output.sheet)
    well, total = cell(found.get("backends_healthy")), cell(found.get("backends_total"))
    output.lines([f"{word}: {well} of {total} servers can be used"])
    servers = found.get("servers")
    if isinstance(servers, list) and servers:
        rows = [_row(mapping(each)) for each in servers]
        output.lines(["", *table(_OF_SERVERS, rows, output.sheet)])


def _row(server: dict[str, object]) -> tuple[object, ...]:
    endpoints = server.get("endpoints")
    return (
        server.get("namespace"),
        server.get("status"),
        mapping(server.get("circuit")).get("state"),
        usable_of(endpoints if isinstance(endpoints, list) else []),
        server.get("in_flight"),
        server.get("queued"),
    )
