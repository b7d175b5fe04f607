"""`/tools`: every tool of every server, sorted by name, with how its server is."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import orjson
from aiohttp import web

from proxy.registry.live import LiveRegistry
from proxy.registry.snapshot import LiveServer, LiveTool, Snapshot

_SLICE: Final = 500  # tools encoded at a time: about a millisecond


def add_routes(app: web.Application, registry: LiveRegistry) -> None:
    async def tools(request: web.Request) -> web.StreamResponse:
        table = registry.current
        if len(table.tools) <= _SLICE:
            rows = [row(table.tools[name]) for name in sorted(table.tools)]
            return web.Response(
                body=b'{"tools":[%b]}' % b",".join(rows), content_type="application/json"
            )
        response = web.StreamResponse()
        response.content_type = "application/json"
        await response.prepare(request)
        async for piece in _pieces(table):
            await response.write(piece)
        await response.write_eof()
        return response

    app.router.add_get("/tools", tools)


async def _pieces(table: Snapshot) -> AsyncIterator[bytes]:
    """The same document a slice at a time: a large registry must not stall calls."""
    names = await asyncio.get_running_loop().run_in_executor(None, sorted, table.tools)
    yield b'{"tools":['
    for start in range(0, len(names), _SLICE):
        rows = [row(table.tools[name]) for name in names[start : start + _SLICE]]
        yield (b"," if start else b"") + b",".join(rows)
        await asyncio.sleep(0)
    yield b"]}"


def row(tool: LiveTool) -> bytes:
    """One tool as `/tools` shows it."""
    spec, server = tool.spec, tool.server
    return orjson.dumps(
        {
            "name": tool.name,
            "namespace": server.spec.namespace,
            "tool_name": spec.name,
            "backend_url": backend_url(server),
            "health_status": server.verdict.value,
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
    address = server.endpoints[0].address
    return f"http://{server.spec.name}" if address.scheme == "unix" else address.url
