"""An MCP server behind `/servers/<ns>/mcp`, with the official package on both ends, unchanged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

import pytest
import uvicorn
from mcp.client.client import Client
from mcp.server.mcpserver import Context, MCPServer

from tests.support.messages import post
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartSidecar

Mode = Literal["legacy", "auto"]
modes = pytest.mark.parametrize("mode", ["legacy", "auto"])
CALLS_AT_ONCE = 10


class CountingServer:
    """An MCP server that goes on only when the client has seen how far it is."""

    def __init__(self) -> None:
        self.seen_by_client = asyncio.Event()
        self.mcp = MCPServer("counting")
        self.mcp.tool()(self.count)
        self.mcp.tool()(self.double)

    async def count(self, to: int, context: Context) -> str:
        await context.report_progress(1, to, "begun")
        await asyncio.wait_for(self.seen_by_client.wait(), timeout=10)
        await context.report_progress(to, to, "done")
        return f"counted to {to}"

    async def double(self, number: int) -> int:
        return 2 * number


@contextlib.asynccontextmanager
async def served(mcp: MCPServer) -> AsyncIterator[int]:
    """The server's port, while it runs on this loop."""
    config = uvicorn.Config(mcp.streamable_http_app(), port=0, log_level="error", ws="none")
    running = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.serve())
        while not running.started:  # noqa: ASYNC110 - uvicorn has a flag, no event
            await asyncio.sleep(0.005)
        yield running.servers[0].sockets[0].getsockname()[1]
        running.should_exit = True


@contextlib.asynccontextmanager
async def behind_sidecar(counting: CountingServer, start: StartSidecar) -> AsyncIterator[Sidecar]:
    async with served(counting.mcp) as port:
        keys = {"passthrough": ["/mcp"], "health": {"unhealthy_after": 1_000_000}}
        behind = server("counting", f"http://127.0.0.1:{port}", tools=[], **keys)
        yield await asyncio.to_thread(start, behind)


@modes
async def test_progress_streams_as_it_comes(start_sidecar: StartSidecar, mode: Mode) -> None:
    counting = CountingServer()
    reports: list[tuple[float, float | None, str | None]] = []

    async def report(progress: float, total: float | None, message: str | None) -> None:
        reports.append((progress, total, message))
        counting.seen_by_client.set()

    async with (
        behind_sidecar(counting, start_sidecar) as sidecar,
        Client(f"http://127.0.0.1:{sidecar.port}/servers/counting/mcp", mode=mode) as client,
    ):
        result = await client.call_tool("count", {"to": 3}, progress_callback=report)

    assert (result.structured_content, reports) == (
        {"result": "counted to 3"},
        [(1, 3, "begun"), (3, 3, "done")],
    )


@modes
async def test_tools_are_listed_and_called_at_once(start_sidecar: StartSidecar, mode: Mode) -> None:
    async with (
        behind_sidecar(CountingServer(), start_sidecar) as sidecar,
        Client(f"http://127.0.0.1:{sidecar.port}/servers/counting/mcp", mode=mode) as client,
    ):
        listed = await client.list_tools()
        calls = [client.call_tool("double", {"number": n}) for n in range(CALLS_AT_ONCE)]
        results = await asyncio.gather(*calls)

    assert {tool.name for tool in listed.tools} == {"count", "double"}
    assert [result.structured_content for result in results] == [
        {"result": 2 * n} for n in range(CALLS_AT_ONCE)
    ]


async def test_what_is_not_opened_of_the_server_is_closed(start_sidecar: StartSidecar) -> None:
    async with behind_sidecar(CountingServer(), start_sidecar) as sidecar:
        answer = await asyncio.to_thread(sidecar.ask, post("/servers/counting/other"))

    assert answer.status == 404
