"""`/events` and its kin: what happens, as a stream; what happened, as a list or a sum.

Decides who listens to what, and where the past is looked for. How events reach many listeners is
the hub's business, and how files are read `query`'s.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

import orjson
from aiohttp import web
from aiohttp_sse import EventSourceResponse

from proxy import errors
from proxy.control_plane.health import json_answer
from proxy.control_plane.inner import stream_of
from proxy.control_plane.slices import answer_list
from proxy.control_plane.visitors import sees_server, sight_of, visitor_of
from proxy.events.event import CALLS_AND_REFUSALS, Wanted
from proxy.events.hub import Hub
from proxy.events.query import Asked, merged, parsed, read_files, since_of, summary
from proxy.registry.live import LiveRegistry

_LONGEST_FILTER: Final = 512
_NEVER_S: Final = 3600.0
_MOST_LISTED: Final = 10_000
_USUALLY_LISTED: Final = 100
_LIMIT: Final = re.compile("[0-9]{1,5}")
_EVENT_STREAM: Final = "text/event-stream"
_READERS: Final = 2  # of files, at a time

ResultT = TypeVar("ResultT")
Document = dict[str, object]
Kept = Callable[[], Sequence[Sequence[Path]]]


def add_routes(app: web.Application, hub: Hub, registry: LiveRegistry, kept: Kept) -> None:
    past = _Past(hub, kept)

    async def events(request: web.Request) -> web.StreamResponse:
        if not _wants_list(request):
            return await _stream(request, hub, seen(request))
        found = await past.look(_asked(request, seen(request)))
        return await answer_list(request, b'{"events":[', found, orjson.dumps)

    async def summed(request: web.Request) -> web.StreamResponse:
        wanted = Wanted(trace_id=request.match_info["trace_id"])
        return json_answer(await past.sum_up(wanted._replace(sight=sight_of(request, registry))))

    async def audit(request: web.Request) -> web.StreamResponse:
        wanted = seen(request)
        kinds = wanted.kinds & CALLS_AND_REFUSALS if wanted.kinds else CALLS_AND_REFUSALS
        kinds = kinds or frozenset({""})  # none at all, not any
        return await _stream(request, hub, wanted._replace(kinds=kinds))

    async def of_server(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        server = registry.current.servers.get(name.encode())
        if server is None or not sees_server(visitor_of(request), server):
            raise errors.NamespaceNotFoundError(f"No server is called {name}; /health lists them")
        return await _stream(request, hub, seen(request)._replace(server=name))

    def seen(request: web.Request) -> Wanted:
        return wanted_of(request)._replace(sight=sight_of(request, registry))

    app.router.add_get("/events/{trace_id}/summary", summed)
    app.router.add_get("/api/v1/events/{trace_id}/summary", summed)
    for path, handler in (
        ("/events", events),
        ("/api/v1/events", events),
        ("/api/v1/audit/stream", audit),
        ("/api/v1/servers/{name}/stream", of_server),
    ):
        app.router.add_get(path, handler, allow_head=handler is events)  # of the list


def wanted_of(request: web.Request) -> Wanted:
    """The filters of the query; raises `BadValueError`."""
    query = request.query
    for key in ("types", "event_type", "server", "trace_id", "status"):
        if sum(map(len, query.getall(key, []))) > _LONGEST_FILTER:
            raise errors.BadValueError(f"{key} may have {_LONGEST_FILTER} characters")
    kinds = ",".join(query.getall("types", []) + query.getall("event_type", []))
    return Wanted(
        frozenset(kind for each in kinds.split(",") if (kind := each.strip())),
        query.get("server", ""),
        query.get("trace_id", ""),
        query.get("status", ""),
    )


def _wants_list(request: web.Request) -> bool:
    form = request.query.get("format", "")
    if form not in {"", "json", "sse"}:
        raise errors.BadValueError("format is json, for a list, or sse, for a stream")
    accepted = request.headers.get("Accept", "")
    return form == "json" or (
        not form and "application/json" in accepted and _EVENT_STREAM not in accepted
    )


def _asked(request: web.Request, wanted: Wanted) -> Asked:
    """Raises `BadValueError`."""
    query = request.query
    limit = query.get("limit", str(_USUALLY_LISTED))
    if not (_LIMIT.fullmatch(limit) and 1 <= int(limit) <= _MOST_LISTED):
        raise errors.BadValueError(f"limit is a number from 1 to {_MOST_LISTED}")
    try:
        since = since_of(query["since"], datetime.now(UTC)) if query.get("since") else None
    except ValueError as error:
        raise errors.BadValueError(f"since: {error}") from None
    return Asked(wanted, since, int(limit))


class _Past:
    """What ring and files still hold."""

    def __init__(self, hub: Hub, kept: Kept) -> None:
        self._hub = hub
        self._kept = kept
        self._turns = asyncio.Semaphore(_READERS)

    async def look(self, asked: Asked) -> list[Document]:
        """The newest that were asked for, oldest first."""
        return await self._work(asked, lambda found: found)

    async def sum_up(self, wanted: Wanted) -> Document:
        """What the events of a trace add up to; `truncated` when there may be more of them."""
        asked = Asked(wanted, None, _MOST_LISTED)
        return await self._work(
            asked,
            lambda found: {
                **summary(wanted.trace_id, found),
                "truncated": len(found) == _MOST_LISTED,
            },
        )

    async def _work(self, asked: Asked, then: Callable[[list[Document]], ResultT]) -> ResultT:
        """In a thread, all but a look at the ring: thousands of events take a while to parse."""
        async with self._turns:
            live = await self._hub.newest(asked.wanted, asked.limit)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, _found, self._kept, live, asked, then)


def _found(
    kept: Kept,
    live: list[bytes],
    asked: Asked,
    then: Callable[[list[Document]], ResultT],
) -> ResultT:
    stored = [read_files(files, asked) for files in kept()]
    recent = [each for each in parsed(live) if asked.takes(each)]
    return then(merged([*stored, recent], asked.limit))


async def _stream(request: web.Request, hub: Hub, wanted: Wanted) -> web.StreamResponse:
    if request.method == "HEAD":
        raise errors.MethodNotAllowedError("A stream is got with GET", headers=(("Allow", "GET"),))
    if hub.draining:
        raise errors.DrainingError("The sidecar is about to stop", retry_after_s=1)
    if hub.is_full:
        raise errors.NoRoomError(
            f"{hub.bounds.subscribers} subscribers listen already; come back later",
            retry_after_s=5,
        )
    asked_id = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
    last_id = asked_id.encode(errors="replace")
    before = hub.dismissals
    await hub.catch_up(last_id)
    # Its own keep-alive is a task and an empty message for each subscriber: ours is for all.
    response = EventSourceResponse(send_timeout=None, ping_interval=_NEVER_S)
    response.headers["Cache-Control"] = "no-store"
    chunked = request.version >= (1, 1)
    response.headers["Connection"] = "keep-alive" if chunked else "close"
    await response.prepare(request)
    response.stop_streaming()
    if before != hub.dismissals:  # they were let in by settings that are no more
        raise ConnectionResetError("Who may listen has changed")
    stream = stream_of(request)
    stream.listener = hub.subscribe(stream, wanted, last_id, chunked=chunked)
    return response
