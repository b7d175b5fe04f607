"""The table in the order of its names, and what of it a visitor sees; `/tools`.

Sorted once per generation, and only what somebody looks at; nothing here holds up a call, however
long the table is.
"""

import asyncio
import heapq
import re
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final, TypeVar

import msgspec
import orjson
from aiohttp import web

from proxy.control_plane.slices import answer_list
from proxy.control_plane.visitors import sees_server, sees_tool, visitor_of
from proxy.policy.grants import Visitor
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.snapshot import LiveServer, LiveTool, Snapshot

_SLICE_S: Final = 0.002
_SORTED_AT_ONCE: Final = 1_000  # a millisecond
_LOOKED_AT_AT_ONCE: Final = 200
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")

ItemT = TypeVar("ItemT")
Key = Callable[[ItemT], str]


class Pauses:
    """Lets others have their turn whenever this work has had its slice."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    async def pause(self) -> None:
        if self._clock() - self._began > _SLICE_S:
            await asyncio.sleep(0)
            self._began = self._clock()


class Order:
    """One generation: its servers sorted, and the tools of those that were looked at."""

    def __init__(self, table: Snapshot, servers: list[LiveServer]) -> None:
        self.table = table
        self._servers = servers
        self._tools: dict[str, list[LiveTool]] = {}

    def __repr__(self) -> str:
        return f"<Order {self.table!r}>"

    async def servers(self, visitor: Visitor) -> list[LiveServer]:
        """Those of which the visitor may call something."""
        pauses = Pauses()
        seen: list[LiveServer] = []
        for first in range(0, len(self._servers), _LOOKED_AT_AT_ONCE):
            some = self._servers[first : first + _LOOKED_AT_AT_ONCE]
            seen += [server for server in some if sees_server(visitor, server)]
            await pauses.pause()
        return seen

    async def tools(self, visitor: Visitor, server: LiveServer) -> list[LiveTool]:
        """Those of the server that the visitor may call; not to be changed."""
        name = server.spec.namespace
        tools = self._tools.get(name)
        if tools is None:
            tools = await in_order(self.table.tools_of[name.encode()], attrgetter("name"))
            self._tools[name] = tools
        if _sees_all(visitor, server):
            return tools
        pauses = Pauses()
        seen: list[LiveTool] = []
        for first in range(0, len(tools), _LOOKED_AT_AT_ONCE):
            some = tools[first : first + _LOOKED_AT_AT_ONCE]
            seen += [tool for tool in some if sees_tool(visitor, tool)]
            await pauses.pause()
        return seen

    async def count(self, visitor: Visitor, server: LiveServer) -> int:
        """How many of its tools they may call."""
        if _sees_all(visitor, server):
            return len(self.table.tools_of[server.spec.namespace.encode()])
        return len(await self.tools(visitor, server))


def _sees_all(visitor: Visitor, server: LiveServer) -> bool:
    return sees_server(visitor, server) and visitor.may_pass(server.spec.namespace.encode())


class Catalog:
    """The order of the generation that is in force."""

    def __init__(self, registry: LiveRegistry) -> None:
        self._registry = registry
        self._order: Order | None = None
        self._turn = asyncio.Lock()
        registry.listen(self._forget)

    async def order(self) -> Order:
        async with self._turn:
            if self._order is None:
                table = self._registry.current
                servers = await in_order(tuple(table.servers.values()), _namespace)
                order = Order(table, servers)
                if table is not self._registry.current:  # replaced while it was sorted
                    return order
                self._order = order
            return self._order

    def _forget(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        """Now, while others still hold the old one: it is freed by and by, and not by us."""
        del removed
        if self._order is not None and self._order.table is not snapshot:
            self._order = None


def add_routes(app: web.Application, catalog: Catalog) -> None:
    async def tools(request: web.Request) -> web.StreamResponse:
        visitor, order, pauses = visitor_of(request), await catalog.order(), Pauses()
        found: list[LiveTool] = []
        for server in sorted(await order.servers(visitor), key=_namespace_and_dot):
            found += await order.tools(visitor, server)
            await pauses.pause()
        return await answer_list(request, b'{"tools":[', found, row)

    app.router.add_get("/tools", tools)


def row(tool: LiveTool) -> bytes:
    """One tool as `/tools` shows it."""
    spec, server = tool.spec, tool.server
    cluster = server.cluster
    return encoded(
        {
            "name": tool.name,
            "namespace": server.spec.namespace,
            "tool_name": spec.name,
            "backend_url": backend_url(server),
            "health_status": cluster.verdict.value,
            "circuit_state": cluster.circuit.state.value,
            "description": spec.description,
            "available": not tool.missing,
            "missing_credentials": tool.missing,
            "parameters": [
                {"name": each.name, "type": each.type, "required": each.required}
                for each in spec.parameters
            ],
            "input_schema": spec.input_schema,
            "stale": server.stale,
        }
    )


def backend_url(server: LiveServer) -> str:
    """The first endpoint; where a socket lies is nobody's business outside."""
    spec = server.spec
    if spec.endpoints[0].scheme != "unix":
        return spec.endpoints[0].url
    return f"http://{spec.name if _HOST.fullmatch(spec.name) else spec.namespace}"


def encoded(document: object) -> bytes:
    """As JSON, also with numbers of any length, which a registry may have."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return msgspec.json.encode(document)


async def in_order(items: Sequence[ItemT], key: Key[ItemT]) -> list[ItemT]:
    """Sorted in slices: one `sorted` of 100 000 holds up everybody, in whichever thread it is."""
    pauses = Pauses()
    parts: list[list[ItemT]] = []
    for first in range(0, len(items), _SORTED_AT_ONCE):
        parts.append(sorted(items[first : first + _SORTED_AT_ONCE], key=key))
        await pauses.pause()
    if len(parts) == 1:
        return parts[0]
    merged: list[ItemT] = []
    for item in heapq.merge(*parts, key=key):
        merged.append(item)
        if not len(merged) % _LOOKED_AT_AT_ONCE:
            await pauses.pause()
    return merged


def _namespace(server: LiveServer) -> str:
    return server.spec.namespace


def _namespace_and_dot(server: LiveServer) -> str:
    """As the names of its tools begin: `a-b.x` comes before `a.x`, since `-` comes before `.`."""
    return f"{server.spec.namespace}."
