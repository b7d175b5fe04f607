"""What there is, and what happened: servers, tools, and the events of a trace, by reads.

Knows the targets of `/api/v1`. Repeats and circuits are the transport's business.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import quote

from proxy.client.answers import document_of
from proxy.client.breaker import GATEWAY
from proxy.client.codec import mapping
from proxy.client.deadline import deadline_of, until
from proxy.client.fields import caller_fields
from proxy.client.http import HttpTransport, Request
from proxy.client.listing import LARGEST_PAGE, Page, all_pages, page_of, page_target, with_query
from proxy.client.models import Server, Tool
from proxy.client.retry import Leave

_SERVERS: Final = "/api/v1/servers"
_TOOLS: Final = "/api/v1/tools"
EVENTS: Final = "/api/v1/events"
_MOST_LEVELS: Final = 100_000

RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and whether what is kept may answer."""

    api_key: str | None = field(repr=False)
    user_token: str | None = field(default=None, repr=False)
    fresh: bool = False


class Catalog:
    """Reads of one gateway."""

    def __init__(self, http: HttpTransport, default_timeout_s: float) -> None:
        self._http = http
        self._default_timeout_s = default_timeout_s
        self._levels: OrderedDict[tuple[str, str], str] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Catalog {self._http}>"

    def sensitivity(self, server: str, tool: str) -> str | None:
        """A tool's level, where a list has told it."""
        return self._levels.get((server, tool))

    async def servers(self, asking: Asking, page: int, page_size: int) -> list[Server]:
        target = page_target(_SERVERS, page, page_size)
        return _made(await self._page(target, "servers", asking), Server.of)

    async def all_servers(self, asking: Asking) -> list[Server]:
        return _made(await self._pages(_SERVERS, "servers", asking, None), Server.of)

    async def server(self, asking: Asking, name: str) -> Server:
        target = f"{_SERVERS}/{_segment('server name', name)}"
        return Server.of(mapping(await self._read(target, f"get_server_info({name})", asking)))

    async def tools(
        self, asking: Asking, server: str | None, page: int, page_size: int
    ) -> list[Tool]:
        target = page_target(_TOOLS, page, page_size, server=server)
        return self._known(_made(await self._page(target, "tools", asking), Tool.of))

    async def all_tools(self, asking: Asking, server: str | None) -> list[Tool]:
        return self._known(_made(await self._pages(_TOOLS, "tools", asking, server), Tool.of))

    async def events(self, asking: Asking, trace_id: str, limit: int) -> list[dict[str, object]]:
        target = with_query(EVENTS, format="json", trace_id=trace_id, limit=str(limit))
        document = await self._asked(target, f"events_for({trace_id})", asking)
        return page_of(document, "events", "events_for").rows

    async def summary(self, asking: Asking, trace_id: str) -> dict[str, object]:
        target = f"{EVENTS}/{_segment('trace_id', trace_id)}/summary"
        return mapping(await self._asked(target, f"summary({trace_id})", asking))

    async def _pages(self, path: str, key: str, asking: Asking, server: str | None) -> Page:
        async def fetch(page: int, *, fresh: bool) -> Page:
            target = page_target(path, page, LARGEST_PAGE, server=server)
            return await self._page(target, key, Asking(asking.api_key, asking.user_token, fresh))

        what = f"list_all_{key}"
        async with until(deadline_of(None, self._default_timeout_s), what):
            return await all_pages(fetch, what, fresh=asking.fresh)

    async def _page(self, target: str, key: str, asking: Asking) -> Page:
        what = f"list_{key}"
        return page_of(await self._read(target, what, asking), key, what)

    async def _read(self, target: str, what: str, asking: Asking) -> object:
        """A document that may be kept."""
        deadline = deadline_of(None, self._default_timeout_s)
        request = _request(target, what, asking)
        return document_of(await self._http.read(request, deadline, fresh=asking.fresh), what)

    async def _asked(self, target: str, what: str, asking: Asking) -> object:
        """A document of this moment."""
        deadline = deadline_of(None, self._default_timeout_s)
        request = _request(target, what, asking)
        answer = await self._http.send(request, GATEWAY, Leave.READ, deadline)
        return document_of(answer.body, what)

    def _known(self, tools: list[Tool]) -> list[Tool]:
        for tool in tools:
            self._levels[tool.server_name, tool.tool_name] = tool.sensitivity_level
        while len(self._levels) > _MOST_LEVELS:
            self._levels.popitem(last=False)
        return tools


def _request(target: str, what: str, asking: Asking) -> Request:
    fields = caller_fields(asking.api_key, asking.user_token, None)
    return Request(target=target, what=what, fields=fields)


def _made(page: Page, kind: Callable[[Mapping[str, object]], RowT]) -> list[RowT]:
    return [kind(row) for row in page.rows]


def _segment(what: str, value: str) -> str:
    """One segment of a path, whatever it is made of; raises `ValueError`."""
    if value in ("", ".", ".."):
        raise ValueError(f"the {what} must not be {value!r}")
    return quote(value, safe="")
