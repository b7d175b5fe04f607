"""`/api/v1/servers` and `/api/v1/tools`: the lists as SARK's gateway client reads them.

Decides what a row says, and which rows a page has. What may be seen, and in which order, is the
catalog's business; calls by this surface are the data plane's.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import orjson
from aiohttp import ETag, web

from proxy import errors
from proxy.control_plane.catalog import Catalog, Order, Pauses, backend_url, encoded
from proxy.control_plane.fresh import answer_kept, tag_of
from proxy.control_plane.health import (
    Moments,
    circuit_figures,
    clocks_apart_s,
    endpoint_figures,
    written,
)
from proxy.control_plane.parameters import parameters_of, schema_of
from proxy.control_plane.visitors import sees_server, visitor_of
from proxy.policy.grants import Visitor
from proxy.registry.snapshot import LiveServer, LiveTool
from proxy.telemetry.elsewhere import Elsewhere

MOST_ROWS: Final = 1_000
_USUAL_ROWS: Final = 100
_NUMBER: Final = re.compile("[0-9]{1,15}")
_ROWS_AT_ONCE: Final = 50
_DRIFT_S: Final = 0.5  # of the clocks, until moments are written anew

ItemT = TypeVar("ItemT")


class Page(NamedTuple):
    """Which rows are asked for."""

    offset: int
    limit: int


class Watch:
    """Writes a moment alike in each answer, or a list would seem new each time."""

    def __init__(self) -> None:
        self._offset_s = 0.0

    def moments(self) -> Moments:
        now = asyncio.get_running_loop().time()
        offset_s = clocks_apart_s(now)
        if abs(offset_s - self._offset_s) > _DRIFT_S:
            self._offset_s = offset_s
        return Moments(now, self._offset_s)


def add_routes(app: web.Application, catalog: Catalog, elsewhere: Elsewhere) -> None:
    watch = Watch()

    async def servers(request: web.Request) -> web.StreamResponse:
        page, visitor = page_of(request), visitor_of(request)
        order, moments = await catalog.order(), watch.moments()
        seen = await order.servers(visitor)

        async def row(server: LiveServer) -> bytes:
            return server_row(server, await order.count(visitor, server), moments, elsewhere)

        rows = seen[page.offset : page.offset + page.limit]
        start = _start("servers", page, len(seen), order)
        return await _answer(request, start, rows, row)

    async def server(request: web.Request) -> web.StreamResponse:
        name, visitor = request.match_info["name"], visitor_of(request)
        order = await catalog.order()
        found = order.table.servers.get(name.encode(errors="replace"))
        if found is None or not sees_server(visitor, found):
            raise errors.NamespaceNotFoundError(f"No server is called {name}; /health lists them")
        tools_count = await order.count(visitor, found)
        body = server_row(found, tools_count, watch.moments(), elsewhere)
        return await answer_kept(request, ETag(await tag_of([body])), [body])

    async def tools(request: web.Request) -> web.StreamResponse:
        page, visitor = page_of(request), visitor_of(request)
        order = await catalog.order()
        seen = await order.servers(visitor)
        if wanted := request.query.get("server", ""):
            seen = [each for each in seen if each.spec.namespace == wanted]
        rows, total = await tools_on(page, order, visitor, seen)

        async def row(tool: LiveTool) -> bytes:
            return tool_row(tool)

        return await _answer(request, _start("tools", page, total, order), rows, row)

    app.router.add_get("/api/v1/servers", servers)
    app.router.add_get("/api/v1/servers/{name}", server)
    app.router.add_get("/api/v1/tools", tools)


def page_of(request: web.Request) -> Page:
    """Raises `BadValueError`."""
    offset = request.query.get("offset", "0")
    if not _NUMBER.fullmatch(offset):
        raise errors.BadValueError("offset is a number from 0 up: how many rows to leave out")
    limit = request.query.get("limit", str(_USUAL_ROWS))
    if not (_NUMBER.fullmatch(limit) and 1 <= int(limit) <= MOST_ROWS):
        raise errors.BadValueError(f"limit is a number from 1 to {MOST_ROWS}")
    return Page(int(offset), int(limit))


async def tools_on(
    page: Page, order: Order, visitor: Visitor, servers: Sequence[LiveServer]
) -> tuple[list[LiveTool], int]:
    """The tools of a page, and how many there are on all; only those on it are sorted."""
    pauses = Pauses()
    rows: list[LiveTool] = []
    total = 0
    for server in servers:
        here = await order.count(visitor, server)
        if len(rows) < page.limit and page.offset < total + here:
            first = max(page.offset - total, 0)
            tools = await order.tools(visitor, server)
            rows += tools[first : first + page.limit - len(rows)]
        total += here
        await pauses.pause()
    return rows, total


def _start(name: str, page: Page, total: int, order: Order) -> bytes:
    """Of a page, up to its rows."""
    facts = {**page._asdict(), "total": total, "generation": order.table.generation}
    return orjson.dumps(facts)[:-1] + b',"%b":[' % name.encode()


async def _answer(
    request: web.Request,
    start: bytes,
    items: Sequence[ItemT],
    row: Callable[[ItemT], Awaitable[bytes]],
) -> web.StreamResponse:
    """A page, encoded a few rows at a time, so that others have their turn."""
    pauses = Pauses()
    pieces = [start]
    for first in range(0, len(items), _ROWS_AT_ONCE):
        rows = [await row(item) for item in items[first : first + _ROWS_AT_ONCE]]
        pieces.append((b"," if first else b"") + b",".join(rows))
        await pauses.pause()
    pieces.append(b"]}")
    return await answer_kept(request, ETag(await tag_of(pieces)), pieces)


def server_row(
    server: LiveServer, tools_count: int, moments: Moments, elsewhere: Elsewhere
) -> bytes:
    """One server as SARK reads it."""
    spec, cluster = server.spec, server.cluster
    return encoded(
        {
            "server_id": hashlib.sha256(spec.namespace.encode()).hexdigest()[:32],
            "server_name": spec.namespace,
            "server_url": backend_url(server),
            "health_status": cluster.verdict.value,
            "tools_count": tools_count,
            "sensitivity_level": spec.sensitivity_level,
            "authorized_teams": spec.authorized_teams,
            "access_restrictions": spec.access_restrictions,
            "created_at": written(server.since.created_at),
            "updated_at": written(server.since.updated_at),
            "circuit_breaker": circuit_figures(cluster, moments, elsewhere),
            "endpoints": [endpoint_figures(each, moments, elsewhere) for each in cluster.endpoints],
        }
    )


def tool_row(tool: LiveTool) -> bytes:
    """One tool as SARK reads it."""
    spec, server = tool.spec, tool.server.spec
    return encoded(
        {
            "tool_name": spec.name,
            "server_name": server.namespace,
            "description": spec.description,
            "sensitivity_level": spec.sensitivity_level or server.sensitivity_level,
            "parameters": parameters_of(spec),
            "sensitive_params": spec.sensitive_params,
            "required_capabilities": spec.required_capabilities,
            "input_schema": schema_of(spec),
            "available": not tool.missing,
            "missing_credentials": tool.missing,
        }
    )
