"""`/tools`: every tool of every server, sorted by name, with how its server is."""

import asyncio

import orjson
from aiohttp import web

from proxy.control_plane.slices import SLICE, answer_list
from proxy.registry.live import LiveRegistry
from proxy.registry.snapshot import LiveServer, LiveTool


def add_routes(app: web.Application, registry: LiveRegistry) -> None:
    async def tools(request: web.Request) -> web.StreamResponse:
        table = registry.current
        if len(table.tools) <= SLICE:
            names = sorted(table.tools)
        else:
            names = await asyncio.get_running_loop().run_in_executor(None, sorted, table.tools)
        return await answer_list(request, b'{"tools":[', names, lambda name: row(table.tools[name]))

    app.router.add_get("/tools", tools)


def row(tool: LiveTool) -> bytes:
    """One tool as `/tools` shows it."""
    spec, server = tool.spec, tool.server
    cluster = server.cluster
    return orjson.dumps(
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
    address = server.spec.endpoints[0]
    return f"http://{server.spec.name}" if address.scheme == "unix" else address.url
