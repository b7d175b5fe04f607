"""`/capabilities`: what this sidecar is and has, in chora-compose's documents.

Decides what each document says. Lists are as the visitor sees them; live fields (is it available?
does an upstream answer?) do not count for whether a document is still the same.
"""

import platform
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from typing import Final, NamedTuple, Protocol, TypeVar

from aiohttp import ETag, web

from proxy.config.settings import Settings
from proxy.control_plane.catalog import Catalog, Pauses, encoded
from proxy.control_plane.described import (
    DOCUMENTS,
    RESOURCES,
    TELEMETRY,
    features_of,
    limits_of,
)
from proxy.control_plane.fresh import answer_kept, tag_of
from proxy.control_plane.generators import Entry, entries_of
from proxy.control_plane.parameters import parameters_of
from proxy.control_plane.upstream_documents import Known, UpstreamDocuments
from proxy.control_plane.visitors import visitor_of
from proxy.errors import base
from proxy.policy.grants import Visitor
from proxy.registry.snapshot import LiveServer, LiveTool, Snapshot

# The newest revision that passthrough is tested with; it carries any.
_MCP_VERSION: Final = "2026-07-28"
_VERSION: Final = version("toolproxy")
_ROWS_AT_ONCE: Final = 100

ItemT = TypeVar("ItemT")


class Document(Protocol):
    """A document in pieces; without its live fields it is what its tag is made of."""

    def __call__(self, *, live: bool) -> Iterator[bytes]: ...


class Seen(NamedTuple):
    """What a visitor sees of one generation."""

    table: Snapshot
    visitor: Visitor
    tools: list[tuple[LiveServer, list[LiveTool]]]

    @property
    def tool_count(self) -> int:
        return sum(len(tools) for _, tools in self.tools)


def add_routes(
    app: web.Application,
    catalog: Catalog,
    upstreams: UpstreamDocuments,
    settings: Callable[[], Settings],
) -> None:
    async def server(request: web.Request) -> web.StreamResponse:
        seen = await _seen(request, catalog)
        found, _ = await _generators(seen, upstreams)
        return await _answer(request, plain(server_document(seen, settings(), len(found))))

    async def tools(request: web.Request) -> web.StreamResponse:
        return await _answer(request, tools_document(await _seen(request, catalog)))

    async def resources(request: web.Request) -> web.StreamResponse:
        metadata = {"total_count": len(RESOURCES), "version": _VERSION}
        return await _answer(request, plain({"resources": RESOURCES, "metadata": metadata}))

    async def generators(request: web.Request) -> web.StreamResponse:
        found, known = await _generators(await _seen(request, catalog), upstreams)
        return await _answer(request, generators_document(found, known))

    async def telemetry(request: web.Request) -> web.StreamResponse:
        kept = {"ring": settings().events.ring, "journal": bool(settings().events.journal)}
        return await _answer(request, plain({**TELEMETRY, "kept": kept}))

    async def index(request: web.Request) -> web.StreamResponse:
        return await _answer(request, plain({"capabilities": RESOURCES[: len(DOCUMENTS)]}))

    async def close(_: web.Application) -> None:
        await upstreams.close()

    app.router.add_get("/capabilities", index)
    for handler in (server, tools, resources, generators, telemetry):
        app.router.add_get(f"/capabilities/{handler.__name__}", handler)
    app.on_cleanup.append(close)


async def _answer(request: web.Request, document: Document) -> web.StreamResponse:
    tag = ETag(await tag_of(document(live=False)), is_weak=True)
    return await answer_kept(request, tag, document(live=True))


async def _seen(request: web.Request, catalog: Catalog) -> Seen:
    visitor, order, pauses = visitor_of(request), await catalog.order(), Pauses()
    tools: list[tuple[LiveServer, list[LiveTool]]] = []
    for server in await order.servers(visitor):
        tools.append((server, await order.tools(visitor, server)))
        await pauses.pause()
    return Seen(order.table, visitor, tools)


async def _generators(
    seen: Seen, upstreams: UpstreamDocuments
) -> tuple[list[Entry], dict[str, Known]]:
    known = await upstreams.look([server for server, _ in seen.tools])
    pauses = Pauses()
    found: list[Entry] = []
    for server, tools in seen.tools:
        name = server.spec.namespace
        told = known[name].generators if name in known else {}
        found += await entries_of(name, tools, told, seen.visitor)
        await pauses.pause()
    return found, known


def plain(content: object) -> Document:
    """A short document without live fields."""
    body = encoded(content)

    def pieces(*, live: bool) -> Iterator[bytes]:
        del live
        yield body

    return pieces


def server_document(seen: Seen, settings: Settings, generator_count: int) -> dict[str, object]:
    """What this sidecar is, can, and allows."""
    passthrough = any(server.spec.passthrough for server, _ in seen.tools)
    return {
        "name": "toolproxy",
        "version": _VERSION,
        "mcp_version": _MCP_VERSION,
        "features": features_of(settings, passthrough=passthrough, rated=seen.table.rated),
        "limits": limits_of(settings),
        "runtime": {
            "python_version": platform.python_version(),
            "platform": platform.system().lower(),
            "compiled": not base.__file__.endswith(".py"),
        },
        "tool_count": seen.tool_count,
        "resource_count": len(RESOURCES),
        "generator_count": generator_count,
    }


def tools_document(seen: Seen) -> Document:
    """By category, which is the server that they are of."""
    metadata = encoded({"total_count": seen.tool_count, "version": _VERSION})
    filled = [(server, tools) for server, tools in seen.tools if tools]

    def pieces(*, live: bool) -> Iterator[bytes]:
        del live
        yield b'{"tools_by_category":{'
        for number, (server, tools) in enumerate(filled):
            yield (b"," if number else b"") + encoded(server.spec.namespace) + b":["
            yield from _joined(tools, tool_row)
            yield b"]"
        yield b'},"metadata":%b}' % metadata

    return pieces


def tool_row(tool: LiveTool) -> bytes:
    """One tool as `/capabilities/tools` shows it."""
    spec = tool.spec
    return encoded(
        {
            "name": tool.name,
            "description": spec.description,
            "sensitivity_level": spec.sensitivity_level or tool.server.spec.sensitivity_level,
            "parameters": parameters_of(spec),
            "required_capabilities": spec.required_capabilities,
            "idempotent": spec.idempotent,
        }
    )


def generators_document(found: Sequence[Entry], known: dict[str, Known]) -> Document:
    """What depends on something; and of servers with a document of their own, how it came."""

    def pieces(*, live: bool) -> Iterator[bytes]:
        yield b'{"generators":{'
        yield from _joined(found, lambda entry: entry.row(live=live))
        upstreams = {name: each.status for name, each in known.items()} if live else {}
        yield b'},"upstreams":%b}' % encoded(upstreams)

    return pieces


def _joined(items: Sequence[ItemT], row: Callable[[ItemT], bytes]) -> Iterator[bytes]:
    """The rows with commas between, so many at a time."""
    for first in range(0, len(items), _ROWS_AT_ONCE):
        rows = [row(item) for item in items[first : first + _ROWS_AT_ONCE]]
        yield (b"," if first else b"") + b",".join(rows)
