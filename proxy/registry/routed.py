"""A request that a route sends to a server: what it asks for, and in which fields.

The third kind of way to a server, beside tools and passages. Knows nothing of how it was matched.
"""

from collections.abc import Callable
from typing import Final

from proxy import errors
from proxy.policy.routes import Matched
from proxy.registry.endpoint import Endpoint
from proxy.registry.snapshot import LiveServer, Passage, Snapshot, not_loaded
from proxy.wire.fields import kept_behind
from proxy.wire.forwarding import Onward
from proxy.wire.templates import Scene

# A route stands for the application itself, which has a log-in of its own.
_ITS_OWN: Final = frozenset({b"authorization", b"cookie", b"x-api-key"})


class Routed(Passage):
    """One request on a route, in the words of a passage. Made once for a head that comes again."""

    # Not the scene: it knows the head, and the head knows this; circles wait for the collector.
    __slots__ = ("_host", "_lines", "_matched", "_onward")

    def __init__(self, server: LiveServer, matched: Matched, scene: Scene) -> None:
        super().__init__(server, scene.head.method)
        said = matched.rule.spec
        if said.timeout_s is not None:
            self.deadline_s = said.timeout_s
        if said.max_body_bytes is not None:
            self.max_body_bytes = said.max_body_bytes
        self.keeps_host = False  # it is among the lines
        self._matched = matched
        host = matched.rule.host
        self._host = b"" if host is None else host.text(scene)
        if not self._host and server.spec.preserve_host:
            self._host = scene.head.authority
        self._lines = matched.rule.request.lines(scene)
        self._onward: dict[str, Onward] = {}  # by address, as for a tool

    def onward(self, endpoint: Endpoint, path: bytes) -> Onward:
        """Where the request goes: to the path that the route makes of its own."""
        del path
        onward = self._onward.get(endpoint.address.url)
        if onward is None:
            onward = self._onward[endpoint.address.url] = self._made(endpoint)
        return onward

    def _made(self, endpoint: Endpoint) -> Onward:
        names, server = self._matched.rule.request.names, self.server
        usual = server.onward(endpoint, self.method, self._matched.target)
        host = self._host or endpoint.host
        same = (it.way for it in self._onward.values() if it.target == usual.target)
        return usual._replace(
            lines=b"Host: %b\r\n%b%b" % (host, kept_behind(server.injected, names), self._lines),
            forwarded_credentials=usual.forwarded_credentials | _ITS_OWN,
            injected_names=usual.injected_names | names,
            way=next(same, None) or object(),
            overrides=bool(names),
        )


def route_to(table: Snapshot, matched: Matched, scene: Callable[[], Scene]) -> Routed:
    """The way to the server that the route names; raises if there is none, or it is guarded."""
    sent = matched.sent
    if isinstance(sent, Routed) and matched.generation == table.generation:
        return sent
    rule = matched.rule
    if not table.generation:
        raise not_loaded()
    server = table.servers.get(rule.to)
    if server is None:
        raise errors.NoHealthyEndpointError(
            f"The route leads to {rule.spec.to}, which the registry does not have",
            retry_after_s=1,
        )
    if server.guarded:
        raise errors.ForbiddenError(
            f"No way round the rules of single tools: {server.guarded}; call them under /tools/"
        )
    table.check_neighbours(server, matched.target, but=server)
    routed = Routed(server, matched, scene())
    if not rule.per_call:
        matched.sent, matched.generation = routed, table.generation
    return routed
