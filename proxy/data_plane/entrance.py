"""What a call is shown to before it goes: who calls, what do they call, may they, and how often?

Asks whoever decides (`roles.Admission`). Decides nothing of where a call goes.
"""

import re
from typing import Any, Final

from proxy import errors
from proxy.data_plane.again import Again
from proxy.data_plane.carriage import FOREVER
from proxy.data_plane.roles import Admission
from proxy.policy import browser, routing
from proxy.policy.deadline import asked_timeout_s
from proxy.policy.grants import ANYBODY, Visitor
from proxy.registry.snapshot import Route
from proxy.wire import websocket
from proxy.wire.forwarding import addressed, client_address
from proxy.wire.invocation import read_invocation

INVOKE: Final = b"/api/v1/invoke"
_LONGEST_NAME: Final = 193  # namespace, dot and tool
_JUDGED_BYTES: Final = 1024 * 1024
_INVOCATION_BYTES: Final = 16 * 1024 * 1024
_INVOCATION_S: Final = 30.0  # for its body, before it is known whose deadline holds
_ENCODED: Final = re.compile(rb"\r\ncontent-encoding:", re.IGNORECASE)
_TYPED: Final = re.compile(rb"\r\ncontent-type:[ \t]*([^\r]*)", re.IGNORECASE)
_JSON: Final = re.compile(
    rb'application/(?:[a-z0-9.-]+\+)?json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE
)


class Found:
    """What was found out about a head, for when the same one comes again."""

    __slots__ = ("admission", "generation", "limits", "until", "visitor")

    def __init__(
        self,
        admission: Admission,
        generation: int,  # of the table; the table itself would live on with an idle connection
        visitor: Visitor,
        until: float,
        limits: tuple[Any, ...],
    ) -> None:
        self.admission = admission
        self.generation = generation
        self.visitor = visitor
        self.until = until
        self.limits = limits


class Entrance(Again):
    """One request on its way in."""

    # On the class, as there.
    _called: str = ""
    wrapped: bool = False  # does the body say which tool is called?
    _open: bool = False  # is nobody asked who they are?

    # --- who calls ---

    def _known_way(self) -> tuple[Route, bytes] | None:
        """The way in for a head that came this way before, if nothing has changed since."""
        found, plane = self._head.found, self._plane
        if (
            not isinstance(found, Found)
            or found.admission is not plane.admission
            or found.generation != plane.registry.current.generation
            or found.until <= plane.now
        ):
            return None
        self._let_in(found.visitor)
        route, rest = self._route()
        if found.limits:
            self._said = found.admission.take(found.limits)
        return route, rest

    async def _come_in(self) -> tuple[Route, bytes]:
        """Find out who calls, and what, where the body says so; and whether they may."""
        admission, until = self._plane.admission, FOREVER
        generation = self._plane.registry.current.generation
        if admission is not None and admission.asks_who and not self._open:
            until = await self._identify(admission)
        if self.wrapped:
            await self._unwrap()
        if self._visitor is not ANYBODY:
            self._check_grant()
        route, rest = self._route()
        if admission is None:
            return route, rest
        judged = admission.judges(route.server.spec.namespace)
        if judged:
            await self._judge(admission, route, rest)
        address = client_address(self._head, self._client.caller)
        limits = admission.limits_of(self._visitor, address, route)
        together = bool(limits) and admission.counts_together
        if limits:
            said = admission.take_together(limits) if together else None
            self._said = admission.take(limits) if said is None else await said
            self.known = True
        if not (judged or self.wrapped or together):
            self._head.found = Found(admission, generation, self._visitor, until, limits)
        return route, rest

    def _let_in(self, visitor: Visitor) -> None:
        self._visitor = visitor
        self._record.subject = visitor.subject
        self.known = True

    async def _identify(self, admission: Admission) -> float:
        """Until when who they are need not be asked again."""
        noted, now = self._head.noted, self._plane.now
        certificate = self._client.caller.certificate
        found = admission.at_once(noted, now, certificate)
        if found is None:
            self.due_at = self._client.due_at = self._moved_at + _INVOCATION_S
            found = await admission.identify(noted, now, certificate)
        self._let_in(found[0])
        return found[1]

    def _check_grant(self) -> None:
        """By the name alone, so that nobody learns what there is that they may not call."""
        visitor, target, table = self._visitor, self._head.target, self._plane.registry.current
        if target.startswith(routing.TOOLS):
            name = target[len(routing.TOOLS) :].partition(b"?")[0]
            allowed = visitor.may_call(name)
        else:
            name = target[len(routing.SERVERS) :].partition(b"?")[0].partition(b"/")[0]
            allowed = visitor.may_pass(name)
        server = table.servers.get(routing.namespace_of(name))
        if allowed and (server is None or visitor.belongs(server.spec.authorized_teams)):
            return
        tool, shown = table.tools.get(name), name[:_LONGEST_NAME].decode("ascii", "replace")
        if tool is not None:
            self._record.server, self._record.tool = tool.server.spec.namespace, tool.tool_name
        raise errors.ForbiddenError(
            f"{visitor.subject} may not call {shown}: the grants of its key ('allow') leave it out,"
            " or it is for other teams ('authorized_teams')",
            reason="of other teams" if allowed else "not granted to this key",
        )

    # --- what is called ---

    def _route(self) -> tuple[Route, bytes]:
        """The tool or passage that is asked for, and what of the target goes with it.

        From now on its limits hold, in time and size.
        """
        table, head, record = self._plane.registry.current, self._head, self._record
        route: Route
        if self._built_in and head.target.startswith(routing.TOOLS):
            wrapped = self.unusual and self.wrapped
            record.route = "/api/v1/invoke" if wrapped else "/tools/{tool}"
            if head.method != b"POST":
                raise errors.MethodNotAllowedError(
                    "A tool is called with POST", headers=(("Allow", "OPTIONS, POST"),)
                )
            try:
                route, rest = table.tool_called(head.target)
            except errors.ToolNotFoundError:
                record.server = table.namespace_in(head.target)
                raise
            record.asked = route.method, route.path
        else:
            route, rest = self._other_way()
            if b"upgrade" in head.noted:
                self._look_at_upgrade(route)
        self._called = route.name
        noted = head.noted
        record.server = route.server.spec.namespace
        record.tool = route.tool_name
        if b"via" in noted and self._plane.via in noted[b"via"]:
            raise errors.LoopDetectedError("The call has been here before: see its Via")
        if route.max_body_bytes is not None:
            self._client.limit_body(route.max_body_bytes)
        deadline_s = route.deadline_s
        if b"request-timeout" in noted:
            deadline_s = self._asked_timeout_s(deadline_s)
            self._hurried = deadline_s < route.deadline_s
        self.due_at = self._client.due_at = self._moved_at + deadline_s
        return route, rest

    def _other_way(self) -> tuple[Route, bytes]:
        """What is asked for under another path than the tools'."""
        head, record = self._head, self._record
        record.route = "/servers/{ns}"
        self._check_page()
        route, rest = self._plane.registry.current.server_called(head.method, head.target)
        record.asked = head.method, rest
        return route, rest

    def _look_at_upgrade(self, route: Route) -> None:
        """Ask the upstream for a tunnel, if the caller does; any other protocol is forgotten."""
        if route.upgrades and websocket.is_asked(self._head):
            self._head = websocket.asking(self._head)
            self.upgrading = True

    def _check_page(self) -> None:
        """A page elsewhere must not make a browser load something here, as an image or a frame."""
        cors = self._plane.cors
        anybody = cors is not None and b"*" in cors.origins
        if not anybody and browser.is_embedded(self._head.lines):
            raise errors.OriginNotAllowedError(
                "Pages elsewhere may not load this; cors.origins in the settings says whose may"
            )

    async def _unwrap(self) -> None:
        """The same call as `POST /tools/ns.tool` with the parameters for its body."""
        if self._head.method != b"POST":
            raise errors.MethodNotAllowedError(
                "A tool is invoked with POST", headers=(("Allow", "POST"),)
            )
        client, query = self._client, self._head.target.partition(b"?")[2]
        if query:
            raise errors.BadValueError("All of an invocation is in its body; leave out the query")
        self._check_json()
        client.limit_body(_INVOCATION_BYTES)
        self.due_at = client.due_at = self._moved_at + self._asked_timeout_s(_INVOCATION_S)
        await self._gather(_INVOCATION_BYTES)
        name, parameters = read_invocation(self._gathered())
        self._head = addressed(self._head, routing.TOOLS + name)
        self._put(parameters)

    def _check_json(self) -> None:
        lines = self._head.lines
        types = _TYPED.findall(lines)
        if _ENCODED.search(lines) or len(types) != 1 or not _JSON.fullmatch(types[0].rstrip()):
            raise errors.UnsupportedMediaTypeError(
                "The body must be JSON, said to be application/json, and not encoded further"
            )

    # --- may they, and how often ---

    def _asked_timeout_s(self, usual_s: float) -> float:
        asked = self._head.noted.get(b"request-timeout")
        return usual_s if asked is None else asked_timeout_s(asked, self._plane.max_timeout_s)

    async def _judge(self, admission: Admission, route: Route, query: bytes) -> None:
        """Somebody else decides, by who calls and the parameters; and may give other ones."""
        if not route.tool_name:
            raise errors.ForbiddenError(
                "No way round the policy of the server's tools; call them under /tools/"
            )
        if query:
            raise errors.BadValueError(
                "Under a policy all parameters are in the body; leave out the query"
            )
        head = self._head
        if head.body_bytes or _ENCODED.search(head.lines):
            self._check_json()
        if not await self._gather(_JUDGED_BYTES):
            raise errors.BodyTooLargeError(
                f"Under a policy the body may have {_JUDGED_BYTES} bytes"
            )
        self._given = given = self._gathered()
        address = client_address(self._head, self._client.caller)
        request_id = self._trace.request_id
        self._elsewhere = True
        self._put(await admission.judge(self._visitor, route, given, address, request_id))
        self._elsewhere = False
        self._look_at_clock(route)
