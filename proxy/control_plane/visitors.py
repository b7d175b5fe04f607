"""Who asks the control plane, and for what may they: the middleware in front of every route.

What is open, what is the operator's, and what shows only what the visitor may call.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Final, NamedTuple, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy import errors
from proxy.events.event import TOOL_INVOKED, Facts
from proxy.policy.grants import ANYBODY, NOBODY, Visitor
from proxy.registry.live import LiveRegistry
from proxy.registry.snapshot import LiveServer, LiveTool
from proxy.wire.forwarding import Certificate

_VISITOR: Final = web.RequestKey("visitor", Visitor)
_OPERATOR: Final = web.RequestKey("operator", bool)
_KNOWN: Final = web.RequestKey("known", bool)
_CREDENTIALS: Final = ("X-API-Key", "Authorization")
_OPEN: Final = frozenset({"/health", "/livez", "/readyz"})
_OPERATORS: Final = frozenset({"/", "/metrics"})
_OPERATORS_BELOW: Final = ("/dashboard/", "/registry")
_CALLERS_BELOW: Final = "/registry/profiles/"  # what is published is for callers to fetch
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Audience(Enum):
    """Whom a listener serves."""

    EVERYBODY = "everybody"
    EVERYBODY_ELSE = "everybody but operators, who have a listener of their own"
    OPERATORS = "operators, who are known by where they come in"


class Desk(Protocol):
    """Who says who somebody is (see `admission.stage`)."""

    asks_who: bool

    def at_once(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float] | None: ...

    async def identify(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float]: ...


class Sight(NamedTuple):
    """What of all that happens a visitor may see: what happens to what they may call."""

    visitor: Visitor
    registry: LiveRegistry

    def is_over(self) -> bool:
        return self.visitor.expires_at <= datetime.now(UTC).timestamp()

    def sees(self, facts: Facts) -> bool:
        server = self.registry.current.servers.get(facts.server.encode())
        if server is None or not sees_server(self.visitor, server):
            return False
        if facts.tool:
            return self.visitor.may_call(f"{facts.server}.{facts.tool}".encode())
        return facts.kind != TOOL_INVOKED or self.visitor.may_pass(facts.server.encode())


def visitor_of(request: web.Request) -> Visitor:
    """Who asks."""
    visitor: Visitor = request.get(_VISITOR, ANYBODY)
    return visitor


def sight_of(request: web.Request, registry: LiveRegistry) -> Sight | None:
    """What they may see of events; None: everything, which is for operators."""
    visitor = visitor_of(request)
    return None if request.get(_OPERATOR, False) else Sight(visitor, registry)


def is_stranger(request: web.Request) -> bool:
    """Nobody knows that they are an operator; perhaps nobody asked."""
    return not request.get(_KNOWN, False)


def refuse_strangers(request: web.Request) -> None:
    """Orders are taken from those alone who are known to be operators; raises `ForbiddenError`."""
    if is_stranger(request):
        raise errors.ForbiddenError(
            f"{request.path} changes what runs: it takes the admin listener, or a key with"
            " 'admin: true'",
            reason="not known to be an operator",
        )


def sees_server(visitor: Visitor, server: LiveServer) -> bool:
    """May they call anything of it?"""
    return _belongs(visitor, server) and visitor.may_see(server.spec.namespace.encode())


def sees_tool(visitor: Visitor, tool: LiveTool) -> bool:
    return _belongs(visitor, tool.server) and visitor.may_call(tool.key)


def _belongs(visitor: Visitor, server: LiveServer) -> bool:
    return visitor is ANYBODY or visitor.belongs(server.spec.authorized_teams)


def visits(audience: Audience, desk: Callable[[], Desk]) -> Middleware:
    """The middleware: finds out who asks, and whether this is for them."""

    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path = request.path if resource is None else resource.canonical
        if audience is Audience.OPERATORS:
            request[_OPERATOR] = request[_KNOWN] = True
            return await handler(request)
        if not is_shown(audience, path):
            raise errors.ToolNotFoundError(f"{path} is served to operators, on the admin listener")
        visitor = ANYBODY
        if desk().asks_who:
            visitor = request[_VISITOR] = await _identified(request, desk(), path)
            if _is_operators(path) and not visitor.admin:
                raise errors.ForbiddenError(
                    f"{path} is for operators: use a key with 'admin: true', or the admin listener",
                    reason="not an admin key",
                )
        request[_OPERATOR] = visitor.admin and audience is Audience.EVERYBODY
        request[_KNOWN] = visitor.admin and visitor is not ANYBODY
        return await handler(request)

    return middleware


def is_shown(audience: Audience, path: str) -> bool:
    """Is there anything at this path for them?"""
    return audience is not Audience.EVERYBODY_ELSE or not _is_operators(path)


def _is_operators(path: str) -> bool:
    if path.startswith(_CALLERS_BELOW):
        return False
    return path in _OPERATORS or path.startswith(_OPERATORS_BELOW)


async def _identified(request: web.Request, desk: Desk, path: str) -> Visitor:
    noted = {
        name.lower().encode(): request.headers[name].encode("latin-1", "replace")
        for name in _CREDENTIALS
        if name in request.headers
    }
    transport = request.transport
    shown = None if transport is None else transport.get_extra_info("certificate")
    try:
        found = desk.at_once(noted, 0.0, shown) or await desk.identify(noted, 0.0, shown)
    except errors.UnauthenticatedError:
        if path in _OPEN:
            return NOBODY
        raise
    return found[0]
