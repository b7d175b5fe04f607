"""`/events` and its kin: what happens, as a stream; what happened, as a list or a sum.

Decides who listens to what. How events reach many listeners is the hub's.
"""

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from proxy import errors
from proxy.control_plane.inner import stream_of
from proxy.registry.live import LiveRegistry
from proxy.telemetry.event import CALLS_AND_REFUSALS, Wanted
from proxy.telemetry.hub import Hub

_LONGEST_FILTER = 512
_NEVER_S = 3600.0


def add_routes(app: web.Application, hub: Hub, registry: LiveRegistry) -> None:
    async def events(request: web.Request) -> web.StreamResponse:
        return await _stream(request, hub, wanted_of(request))

    async def audit(request: web.Request) -> web.StreamResponse:
        wanted = wanted_of(request)
        kinds = wanted.kinds & CALLS_AND_REFUSALS if wanted.kinds else CALLS_AND_REFUSALS
        return await _stream(request, hub, wanted._replace(kinds=kinds))

    async def of_server(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name.encode() not in registry.current.servers:
            raise errors.NamespaceNotFoundError(f"No server is called {name}; /health lists them")
        return await _stream(request, hub, wanted_of(request)._replace(server=name))

    for path, handler in (
        ("/events", events),
        ("/api/v1/events", events),
        ("/api/v1/audit/stream", audit),
        ("/api/v1/servers/{name}/stream", of_server),
    ):
        app.router.add_get(path, handler, allow_head=False)


def wanted_of(request: web.Request) -> Wanted:
    """The filters of the query; raises `BadValueError`."""
    query = request.query
    for key in ("types", "event_type", "server", "trace_id", "status"):
        if len(query.get(key, "")) > _LONGEST_FILTER:
            raise errors.BadValueError(f"{key} may have {_LONGEST_FILTER} characters")
    kinds = ",".join(query.getall("types", []) + query.getall("event_type", []))
    return Wanted(
        frozenset(kind for each in kinds.split(",") if (kind := each.strip())),
        query.get("server", ""),
        query.get("trace_id", ""),
        query.get("status", ""),
    )


async def _stream(request: web.Request, hub: Hub, wanted: Wanted) -> web.StreamResponse:
    if hub.draining:
        raise errors.DrainingError("The sidecar is about to stop", retry_after_s=1)
    if hub.is_full:
        raise errors.NoRoomError(
            f"{hub.bounds.subscribers} subscribers listen already; come back later",
            retry_after_s=5,
        )
    last_id = request.headers.get("Last-Event-ID") or request.query.get("last_event_id", "")
    # Its own keep-alive is a task and an empty message for each subscriber: ours is for all.
    response = EventSourceResponse(send_timeout=None, ping_interval=_NEVER_S)
    response.headers["Cache-Control"] = "no-store"
    await response.prepare(request)
    response.stop_streaming()
    outlet = stream_of(request)
    chunked = request.version >= (1, 1)
    subscription = hub.subscribe(outlet, wanted, last_id.encode(), chunked=chunked)
    outlet.listener = subscription
    try:
        await subscription.ended
    finally:
        hub.leave(subscription)
    return response
