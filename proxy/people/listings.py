"""`servers` and `tools`: what is there, and how it is."""

from argparse import Namespace
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from proxy.client.codec import mapping
from proxy.client.listing import Page
from proxy.client.models import Server, Tool
from proxy.people.documents import written
from proxy.people.gateway import Gateway
from proxy.people.output import Output, Progress
from proxy.people.tables import Column, Sheet, pairs, table
from proxy.people.unusable import UnusableError

SERVERS: Final = "/api/v1/servers"
TOOLS: Final = "/api/v1/tools"
_OF_SERVERS: Final = (
    Column("SERVER"),
    Column("HEALTH", painted=True),
    Column("CIRCUIT", painted=True),
    Column("TOOLS", number=True),
    Column("ENDPOINTS", number=True),
    Column("SENSITIVITY"),
)
_OF_ENDPOINTS: Final = (
    Column("ENDPOINT"),
    Column("STATUS", painted=True),
    Column("USABLE", painted=True),
    Column("IN FLIGHT", number=True),
    Column("WEIGHT", number=True),
    Column("SINCE", yields_room=True),
    Column("REASON", yields_room=True),
)
_OF_TOOLS: Final = (
    Column("TOOL"),
    Column("HEALTH", painted=True),
    Column("AVAILABLE", painted=True, yields_room=True),
    Column("DESCRIPTION", yields_room=True),
)


async def servers(gateway: Gateway, output: Output, options: Namespace) -> int:
    if options.name is not None:
        return await _server(gateway, output, options.name)
    found = await _listed(gateway, output, SERVERS, "servers")
    if output.for_people:
        output.lines(table(_OF_SERVERS, map(_server_row, found.rows), output.sheet))
    else:
        output.document(_whole("servers", found))
    return 0


async def tools(gateway: Gateway, output: Output, options: Namespace) -> int:
    found = await _listed(gateway, output, TOOLS, "tools", options.server)
    if not output.for_people:
        output.document(_whole("tools", found))
        return 0
    around = await _listed(gateway, output, SERVERS, "servers")  # a tool is as well as its server
    health = {each.server_name: each.health_status for each in map(Server.of, around.rows)}
    rows = (_tool_row(Tool.of(row), health) for row in found.rows)
    output.lines(table(_OF_TOOLS, rows, output.sheet))
    return 0


async def _listed(
    gateway: Gateway, output: Output, path: str, key: str, server: str | None = None
) -> Page:
    progress = Progress(output, key)
    try:
        return await gateway.rows(path, key, progress, server)
    finally:
        progress.end()


def _whole(key: str, found: Page) -> dict[str, object]:
    return {key: found.rows, "total": len(found.rows), "generation": found.generation}


async def _server(gateway: Gateway, output: Output, name: str) -> int:
    if name in ("", ".", ".."):
        raise UnusableError(f"No server can be called {name!r}")
    document = await gateway.document(f"{SERVERS}/{quote(name, safe='')}", f"servers {name}")
    if output.for_people:
        output.lines(_details(Server.of(mapping(document)), output.sheet))
    else:
        output.document(document)
    return 0


def _server_row(row: dict[str, object]) -> tuple[object, ...]:
    server = Server.of(row)
    return (
        server.server_name,
        server.health_status,
        server.circuit_breaker.get("state"),
        server.tools_count,
        usable_of(server.endpoints),
        server.sensitivity_level,
    )


def usable_of(endpoints: list[object]) -> str:
    """How many of them may get a call."""
    usable = sum(mapping(each).get("usable") is True for each in endpoints)
    return f"{usable}/{len(endpoints)}"


def _tool_row(tool: Tool, health: dict[str, str]) -> tuple[object, ...]:
    missing = ", ".join(tool.missing_credentials)
    available = "yes" if tool.available else f"no: {missing or 'credentials'} missing"
    name = f"{tool.server_name}.{tool.tool_name}"
    return name, health.get(tool.server_name), available, tool.description


def _details(server: Server, sheet: Sheet) -> Iterator[str]:
    circuit = server.circuit_breaker
    counts = f"{circuit.get('total_failures', 0)} of {circuit.get('total_calls', 0)} calls failed"
    limits = server.access_restrictions
    yield from pairs(
        (
            ("server", server.server_name),
            ("url", server.server_url),
            ("health", server.health_status),
            ("circuit", circuit.get("state")),
            ("calls", counts),
            ("tools", server.tools_count),
            ("sensitivity", server.sensitivity_level),
            ("teams", ", ".join(server.authorized_teams)),
            ("restrictions", written(limits) if limits else None),
            ("created", server.created_at),
            ("updated", server.updated_at),
        ),
        sheet,
    )
    yield ""
    keys = ("url", "status", "usable", "in_flight", "weight", "since", "reason")
    rows = ([mapping(each).get(key) for key in keys] for each in server.endpoints)
    yield from table(_OF_ENDPOINTS, rows, sheet)
