"""A small gateway on real sockets that speaks `/api/v1` as the contract has it, and counts.

For what a test must decide itself: failures in an order, lists that change, streams that are cut.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Self

import orjson
from aiohttp import web

PROBLEM: Final = "application/problem+json"

Script = Callable[[web.Request], Awaitable[web.StreamResponse]]


def server_row(name: str, **keys: object) -> dict[str, object]:
    return {
        "server_id": f"id-{name}",
        "server_name": name,
        "server_url": f"http://{name}:8080",
        "health_status": "healthy",
        "tools_count": 1,
        "sensitivity_level": "medium",
        "authorized_teams": [],
        "access_restrictions": None,
        "created_at": None,
        "updated_at": None,
        **keys,
    }


def tool_row(server: str, tool: str, **keys: object) -> dict[str, object]:
    return {
        "tool_name": tool,
        "server_name": server,
        "description": "",
        "sensitivity_level": "medium",
        "parameters": [{"name": "query", "type": "string", "required": True}],
        "sensitive_params": ["password"],
        "required_capabilities": [],
        "input_schema": {},
        **keys,
    }


def answer(value: object, status: int = 200) -> Script:
    async def script(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=status, body=orjson.dumps(value), content_type=_JSON)

    return script


def refusal(
    status: int, code: str, *, retryable: bool = False, retry_after: str | None = None
) -> Script:
    """A problem document of the gateway's own."""

    async def script(request: web.Request) -> web.StreamResponse:
        await request.read()
        document = {"status": status, "detail": "No", "code": code, "retryable": retryable}
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        body = orjson.dumps({**document, "trace_id": "flow-1"})
        return web.Response(status=status, body=body, content_type=PROBLEM, headers=headers)

    return script


async def cut(request: web.Request) -> web.StreamResponse:
    """Take the whole call, then break the connection without an answer."""
    await request.read()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def silence(request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await request.read()
    await asyncio.Event().wait()
    raise AssertionError


def half(octets: bytes) -> Script:
    """Begin an answer, then break the connection."""

    async def script(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(octets) + 10)})
        await response.prepare(request)
        await response.write(octets)
        assert request.transport is not None
        request.transport.abort()
        return response

    return script


_JSON: Final = "application/json"
_ECHO: Final = answer({"rows": [1]})


class Gateway:
    """Answers reads from its rows, and everything else by scripts: one per request, in order.

    The last script of a path stays; a path without one is answered by the gateway itself.
    """

    def __init__(self) -> None:
        self.servers: list[dict[str, object]] = [server_row("postgres-mcp")]
        self.tools: list[dict[str, object]] = [tool_row("postgres-mcp", "execute_query")]
        self.generation = 1
        self.etag = True
        self.requests: list[web.Request] = []
        self.visited = asyncio.Event()
        self.bodies: list[bytes] = []
        self.on_page: Callable[[], None] = lambda: None
        self._scripts: dict[str, list[Script]] = {}
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner:
            await self._runner.cleanup()

    def plays(self, path: str, *scripts: Script) -> None:
        self._scripts[path] = list(scripts)

    def invokes(self, *scripts: Script) -> None:
        self.plays("/api/v1/invoke", *scripts)

    def count(self, path: str) -> int:
        return sum(request.path == path for request in self.requests)

    def values(self, field: str) -> list[str | None]:
        return [request.headers.get(field) for request in self.requests]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.visited.set()
        scripts = self._scripts.get(request.path)
        if scripts:
            return await (scripts.pop(0) if len(scripts) > 1 else scripts[0])(request)
        if request.path == "/api/v1/invoke":
            self.bodies.append(await request.read())
            return await _ECHO(request)
        return self._read(request)

    def _read(self, request: web.Request) -> web.Response:
        if request.path == "/health":
            return self._document(request, {"status": "healthy", "backends_total": 1})
        if request.path == "/api/v1/servers":
            return self._page(request, "servers", self.servers)
        if request.path == "/api/v1/tools":
            wanted = request.query.get("server")
            rows = [row for row in self.tools if wanted in (None, row["server_name"])]
            return self._page(request, "tools", rows)
        name = request.path.removeprefix("/api/v1/servers/")
        for row in self.servers:
            if row["server_name"] == name:
                return self._document(request, row)
        body = orjson.dumps({"status": 404, "detail": f"No server {name}", "code": "not_found"})
        return web.Response(status=404, body=body, content_type=PROBLEM)

    def _page(
        self, request: web.Request, key: str, rows: Sequence[dict[str, object]]
    ) -> web.Response:
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        document = {
            key: rows[offset : offset + limit],
            "total": len(rows),
            "offset": offset,
            "limit": limit,
            "generation": self.generation,
        }
        answered = self._document(request, document)
        self.on_page()
        return answered

    def _document(self, request: web.Request, document: object) -> web.Response:
        tag = f'"{self.generation}"'
        headers = {"ETag": tag} if self.etag else {}
        if self.etag and request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=orjson.dumps(document), content_type=_JSON, headers=headers)
