"""What a call is shown to before it goes: who calls, may they, how often, and was it made before?

Asks whoever decides (`roles.Admission`, `policy.repeats`). Decides nothing of where a call goes.
"""

import asyncio
import hashlib
import re
from typing import Final, cast

from proxy import errors
from proxy.data_plane.carriage import REMEMBERED_BYTES, Carriage
from proxy.data_plane.roles import Admission, Handler
from proxy.policy import browser, routing
from proxy.policy.deadline import asked_timeout_s
from proxy.policy.grants import ANYBODY, Visitor
from proxy.policy.repeats import Call, Kept, Mismatch
from proxy.registry.snapshot import Route
from proxy.wire.fields import one_visible
from proxy.wire.forwarding import addressed, client_address
from proxy.wire.head import ResponseHead
from proxy.wire.invocation import read_invocation

INVOKE: Final = b"/api/v1/invoke"
_KEY: Final = b"idempotency-key"
_LONGEST_KEY: Final = 256
_LONGEST_NAME: Final = 193  # namespace, dot and tool
_JUDGED_BYTES: Final = 1024 * 1024
_INVOCATION_BYTES: Final = 16 * 1024 * 1024
_INVOCATION_S: Final = 30.0  # for its body, before it is known whose deadline holds
_ENCODED: Final = re.compile(rb"\r\ncontent-encoding:", re.IGNORECASE)
_TYPED: Final = re.compile(rb"\r\ncontent-type:[ \t]*([^\r]*)", re.IGNORECASE)
_JSON: Final = re.compile(
    rb'application/(?:[a-z0-9.-]+\+)?json[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE
)
_AGAIN: Final = b"Idempotency-Replayed: true\r\n"
_NO_BODY: Final = frozenset({204, 304})


class Entrance(Carriage):
    """One request on its way in."""

    # On the class, as there.
    _called: str = ""
    wrapped: bool = False  # does the body say which tool is called?
    _made: Call | None = None  # which equal ones may join
    _alone: asyncio.Task[None] | None = None  # ours, once the caller has left
    _elsewhere: bool = False  # does it wait for a policy, or an equal call?
    _given: bytes | None = None  # the body before somebody else changed it
    _hurried: bool = False  # has the upstream less time than the registry gives it?
    _keyed: bool = False  # by its caller: then it is made to its end, whoever leaves

    # --- who calls ---

    async def _enter(self) -> None:
        """Find out who calls, and what, where the body says so."""
        admission = self._plane.admission
        if admission is not None and admission.asks_who:
            await self._identify(admission)
        if self.wrapped:
            await self._unwrap()
        if self._visitor is not ANYBODY:
            self._check_grant()

    async def _identify(self, admission: Admission) -> None:
        head, now = self._head, self._plane.now
        seen = head.visitor
        if seen is None or seen[0] is not admission or seen[2] <= now:
            found = admission.at_once(head.noted, now)
            if found is None:
                self.due_at = self._client.due_at = self._moved_at + _INVOCATION_S
                found = await admission.identify(head.noted, now)
            head.visitor = seen = (admission, found[0], found[1])
        self._visitor = cast("Visitor", seen[1])
        self.unusual = True
        self._record.subject = self._visitor.subject

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
        if head.target.startswith(routing.TOOLS):
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
            record.route = "/servers/{ns}"
            self._check_page()
            route, rest = table.server_called(head.method, head.target)
            record.asked = head.method, rest
        self._called = route.name
        noted, spec = head.noted, route.server.spec
        record.server = spec.namespace
        record.tool = route.tool_name
        if b"via" in noted and self._plane.via in noted[b"via"]:
            raise errors.LoopDetectedError("The call has been here before: see its Via")
        if spec.max_body_bytes is not None:
            self._client.limit_body(spec.max_body_bytes)
        deadline_s = route.deadline_s
        if b"request-timeout" in noted:
            deadline_s = self._asked_timeout_s(deadline_s)
            self._hurried = deadline_s < route.deadline_s
        self.due_at = self._client.due_at = self._moved_at + deadline_s
        return route, rest

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

    def _look_at_clock(self, route: Route) -> None:
        """Time went by before the call could go: what is left may be too little for anybody."""
        if self.due_at - _now() < route.deadline_s / 2:
            self._hurried = True

    async def _clear(self, admission: Admission, route: Route, query: bytes) -> None:
        """Is the call theirs to make, by every rule there is for it?"""
        visitor, server = self._visitor, route.server.spec
        if admission.judges(server.namespace):
            await self._judge(admission, route, query)
        if admission.counts(visitor, route):
            address = client_address(self._head, self._client.caller)
            if admission.counts_together:
                self._said = await admission.count_together(visitor, address, route)
            else:
                self._said = admission.count(visitor, address, route)
            self.unusual = True

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

    # --- was it made before ---

    async def _join(self, route: Route, query: bytes) -> bool:
        """Take the answer of an equal call, if there was or is one; else it is for us to make."""
        key = self._idempotency_key(route)
        if not (key or route.coalesce) or not await self._gather(REMEMBERED_BYTES):
            return False
        body = self._gathered() if self._given is None else self._given
        parts = [route.name.encode(), query, body]
        if not key:  # nobody has said that it is the same call, so it must be, in every field
            parts.append(self._head.lines)
        digest = hashlib.sha256(b"".join([b"%d:%b" % (len(it), it) for it in parts])).digest()
        repeats, scope = self._plane.repeats, self._scope(route)
        while True:
            try:
                begun = repeats.begin(scope, key or digest, digest, _now())
            except Mismatch:
                raise errors.IdempotencyMismatchError(
                    "This Idempotency-Key came with another call before; take a new one"
                ) from None
            if begun is None and key:
                raise errors.NoRoomError(
                    "Too many calls with an Idempotency-Key are being made; come back later",
                    retry_after_s=1,
                )
            if begun is None:
                return False
            call, first = begun
            self._look_at_clock(route)
            if first:
                self._made, self._keyed, self._copy = call, bool(key), []
                return False
            if call.running:
                waiter = asyncio.get_running_loop().create_future()
                call.waiters.append(waiter)
                self._elsewhere = True
                await waiter
                self._elsewhere = False
            if call.kept is not None:
                self._answer_again(call.kept)
                return True

    def _idempotency_key(self, route: Route) -> bytes:
        noted = self._head.noted
        if _KEY not in noted or not route.tool_name:
            return b""
        key = one_visible(noted[_KEY], _LONGEST_KEY)
        if key is None:
            raise errors.BadValueError(
                f"Idempotency-Key is one value of 1 to {_LONGEST_KEY} visible characters"
            )
        return key

    def _scope(self, route: Route) -> bytes:
        """Whose keys these are: nobody gets the answers of somebody else.

        Whom the upstream would tell apart are others to us, too.
        """
        visitor, noted = self._visitor, self._head.noted
        who = f"{visitor.application}\0{visitor.subject}".encode()
        if len(who) == 1:
            who = client_address(self._head, self._client.caller)
        shown = route.server.credentials - visitor.spent
        passed_on = [b"\0%b: %b" % (name, noted[name]) for name in sorted(shown) if name in noted]
        return who + b"".join(passed_on)

    def _answer_again(self, kept: Kept) -> None:
        self._record.status = kept.status
        self._record.response_bytes = len(kept.body)
        self._said += _AGAIN
        self._answer_begun = self._answer_over = True
        answer = ResponseHead(
            kept.status,
            kept.status_line,
            kept.lines,
            kept.noted,
            len(kept.body),
            True,  # noqa: FBT003
        )
        self._client.send(self._answered(answer, kept.body))

    def _remember(self) -> None:
        """The call is made, and its answer is whole."""
        call, copy, answer = self._made, self._copy, self._copied
        self._made = None
        if call is None:
            return
        kept = None
        if copy is not None and answer is not None:
            body, noted = b"".join(copy), answer.noted
            if answer.status not in _NO_BODY:
                noted = {**noted, b"content-length": b"%d" % len(body)}
            kept = Kept(answer.status_line, answer.lines, body, answer.status, noted)
        self._plane.repeats.finish(call, kept, _now(), keep=self._keyed)

    def _stop_keeping(self) -> None:
        """Who waits for it makes a call of its own."""
        super()._stop_keeping()
        self._forget()
        if self._alone is not None:
            self._alone.cancel()  # for nobody

    def _forget(self) -> None:
        """It failed by our own fault, or nobody knows: the next equal call is made."""
        call, self._made = self._made, None
        if call is not None:
            self._plane.repeats.fail(call)

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        """The caller has left: does the call go on? With a key it does, for they come back."""
        if self._made is None or not self._keyed or self._plane.ending:
            return False
        self.resume_answer()
        self._alone = task
        outliving = self._plane.outliving
        outliving[task] = cast("Handler", self)
        task.add_done_callback(outliving.pop)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
