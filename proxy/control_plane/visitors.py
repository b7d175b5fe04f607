"""Who asks the control plane, and for what may they: the middleware in front of every route.

What is open, what is the operator's, and what shows only what the visitor may call.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from aiohttp import web

from proxy.policy.grants import ANYBODY, Visitor
from proxy.registry.snapshot import LiveServer, LiveTool

_VISITOR: Final = web.RequestKey("visitor", Visitor)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Desk(Protocol):
    """Who says who somebody is (see `admission.desk`)."""

    @property
    def on(self) -> bool:
        """Is anybody asked at all? If not, everything is everybody's."""

    async def identify(self, noted: dict[bytes, bytes]) -> Visitor:
        """By the fields of a request; raises `UnauthenticatedError`."""


def visitor_of(request: web.Request) -> Visitor:
    """Who asks."""
    return request[_VISITOR] if _VISITOR in request else ANYBODY


def sees_server(visitor: Visitor, server: LiveServer) -> bool:
    """May they call anything of it?"""
    return visitor.belongs(server.spec.authorized_teams) and visitor.may_see(
        server.spec.namespace.encode()
    )


def sees_tool(visitor: Visitor, tool: LiveTool) -> bool:
    return visitor.belongs(tool.server.spec.authorized_teams) and visitor.may_call(tool.key)
