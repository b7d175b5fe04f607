"""One request on a route to a server, and its answer: an exchange with the route's own limits.

What it adds to `Exchange` is what a route says: who is asked, how long, which fields change. How a
request is matched is `policy.routes`'.
"""

import asyncio

from proxy import errors
from proxy.data_plane.carriage import FOREVER
from proxy.data_plane.exchange import Exchange
from proxy.data_plane.roles import CallerSide, Plane
from proxy.data_plane.upstream import Upstream
from proxy.policy.routes import Matched
from proxy.registry.endpoint import Endpoint
from proxy.registry.routed import route_to
from proxy.registry.snapshot import Route
from proxy.wire.fields import kept_behind
from proxy.wire.head import RequestHead, ResponseHead
from proxy.wire.templates import Scene
from proxy.wire.trace import Trace


class RoutedExchange(Exchange):
    """One request on a route, and its answer."""

    def __init__(
        self, plane: Plane, head: RequestHead, client: CallerSide, now: float, matched: Matched
    ) -> None:
        super().__init__(plane, head, client, now)
        self._matched = matched
        self._built_in = False
        self._open = not matched.rule.spec.auth
        self._record.route = matched.rule.label
        self._longest_s = 0.0  # until the answer's head, and between pieces of the request

    def _check_grant(self) -> None:
        visitor, namespace = self._visitor, self._matched.rule.spec.to
        server = self._plane.registry.current.servers.get(self._matched.rule.to)
        allowed = visitor.may_pass(self._matched.rule.to)
        if allowed and (server is None or visitor.belongs(server.spec.authorized_teams)):
            return
        raise errors.ForbiddenError(
            f"{visitor.subject} may not go to {namespace}: the grants of its key ('allow') leave"
            f" out {namespace}.*, or it is for other teams ('authorized_teams')",
            reason="of other teams" if allowed else "not granted to this key",
        )

    def _other_way(self) -> tuple[Route, bytes]:
        matched = self._matched
        self._record.server = matched.rule.spec.to
        self._record.asked = self._head.method, matched.target
        route = route_to(self._plane.registry.current, matched, self._scene)
        self._longest_s = route.deadline_s
        return route, b""

    def overdue(self, now: float) -> errors.ProxyError | None:
        """The route's time begins anew with each piece of the request: an upload may take long."""
        if self._head.body_bytes and not (self._answer_begun or self._hurried):
            self.due_at = self._moved_at + self._longest_s
            if self.due_at > now:
                return None
        return super().overdue(now)

    def _scene(self) -> Scene:
        matched = self._matched
        return Scene(
            self._head,
            self._client.caller,
            matched.port,
            matched.uri,
            matched.groups,
            self._trace.request_id,
        )

    def _ask(
        self, upstream: Upstream, route: Route, endpoint: Endpoint, rest: bytes
    ) -> "asyncio.Future[ResponseHead]":
        if not self._matched.rule.retraces:
            return super()._ask(upstream, route, endpoint, rest)
        trace = self._trace
        self._trace = _without(trace, self._matched.rule.request.names)
        try:
            return super()._ask(upstream, route, endpoint, rest)
        finally:
            self._trace = trace

    def _answered(self, answer: ResponseHead, body: bytes) -> bytes:
        rule = self._matched.rule
        changes = rule.answer
        if changes.names:
            answer = changes.applied(answer)
        if changes.varies:
            self._said += changes.varying(self._scene())
            self.known = True
        if not rule.renames:
            return super()._answered(answer, body)
        trace = self._trace
        self._trace = _without(trace, changes.names)
        try:
            return super()._answered(answer, body)
        finally:
            self._trace = trace

    def _only_idle_counts(self, answer: ResponseHead, route: Route) -> None:
        super()._only_idle_counts(answer, route)
        idle_s = self._matched.rule.spec.idle_timeout_s
        if idle_s is not None and self.due_at != FOREVER:
            self._idle_timeout_s = idle_s
            self.due_at = self._client.due_at = self._moved_at + idle_s


def _without(trace: Trace, names: frozenset[bytes]) -> Trace:
    """The same, but for lines that the operator writes."""
    return Trace(
        trace.trace_id,
        trace.request_id,
        kept_behind(trace.id_lines, names),
        kept_behind(trace.context_lines, names),
    )
