"""chora-compose as its guide has it: an MCP server with capabilities and tools, and its client.

The guide opens sessions with `ClientSession(url)`, which is not how the package opens one: there,
that class takes streams. So `sessions` makes a class of that shape from the package's own client.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

import httpx2
import orjson
import uvicorn
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver import MCPServer

GENERATORS: Final = {
    "jinja2": {"status": "stable", "source": "builtin", "upstream_dependencies": None},
    "code_generation": {
        "status": "stable",
        "source": "builtin",
        "upstream_dependencies": {
            "services": ["anthropic"],
            "credentials_required": ["ANTHROPIC_API_KEY"],
            "concurrency_safe": True,
            "expected_latency_ms": {"p50": 1500, "p95": 5000},
        },
    },
}


class ChoraServer:
    """What was called is in `called`, in order."""

    def __init__(self) -> None:
        self.called: list[tuple[str, object]] = []
        self.mcp = MCPServer("chora-compose")
        self.mcp.tool()(self.generate_content)
        self.mcp.tool()(self.assemble_artifact)
        self.mcp.resource("capabilities://server")(self.server)
        self.mcp.resource("capabilities://generators")(self.generators)

    def server(self) -> str:
        return orjson.dumps({"name": "chora-compose", "version": "1.3.0"}).decode()

    def generators(self) -> str:
        return orjson.dumps({"generators": GENERATORS}).decode()

    async def generate_content(self, config_id: str, context: dict[str, Any]) -> str:
        self.called.append((config_id, context))
        return f"the content of {config_id}"

    async def assemble_artifact(self, config_id: str, output_path: str) -> str:
        self.called.append((config_id, output_path))
        return f"{config_id} is in {output_path}"


@contextlib.asynccontextmanager
async def served(server: MCPServer) -> AsyncIterator[str]:
    """The server's URL, while it runs on this loop."""
    config = uvicorn.Config(server.streamable_http_app(), port=0, log_level="error", ws="none")
    running = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.serve())
        while not running.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
        running.should_exit = True


def sessions(headers: dict[str, str]) -> type[object]:
    """A class `ClientSession(url)`; what is in `headers` when one opens goes with its requests."""

    class ClientSession:
        def __init__(self, url: str) -> None:
            self._url = url
            self._open = contextlib.AsyncExitStack()
            self._client: Client

        async def __aenter__(self) -> Self:
            http = await self._open.enter_async_context(httpx2.AsyncClient(headers=headers))
            transport = streamable_http_client(self._url, http_client=http)
            self._client = await self._open.enter_async_context(Client(transport))
            return self

        async def __aexit__(
            self,
            kind: type[BaseException] | None,
            error: BaseException | None,
            traceback: TracebackType | None,
        ) -> None:
            await self._open.aclose()

        async def read_resource(self, uri: str) -> object:
            return await self._client.read_resource(uri)

        async def call_tool(self, name: str, arguments: dict[str, Any]) -> object:
            result = await self._client.call_tool(name, arguments)
            assert not result.is_error, result
            return result

    return ClientSession
