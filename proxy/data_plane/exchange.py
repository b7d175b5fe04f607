"""One request and its answer, stage by stage: route, admit, take a connection, ask, pass back, record.

Bodies do not pass through here: pieces go from connection to connection as they come, and each side
is paused while the other is full. Knows neither sockets nor formats other than HTTP.
"""

import asyncio
import logging
from collections.abc import Callable
from random import getrandbits
from time import monotonic
from typing import Final, Protocol

from proxy import errors
from proxy.data_plane.pool import Pools
from proxy.data_plane.upstream import Upstream
from proxy.policy import browser, routing
from proxy.registry.snapshot import Endpoint, LiveServer, LiveTool, Snapshot, deadline_s
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import (
    Answering,
    Caller,
    Onward,
    framing_fields,
    interim_head,
    needs_chunks,
    request_head,
    response_head,
)
from proxy.wire.framing import chunk, last_chunk
from proxy.wire.head import CHUNKED, RequestHead, ResponseHead
from proxy.wire.problem import Problem, problem
from proxy.wire.trace import Trace, trace_of

_LOG = logging.getLogger("toolproxy")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_EMPTY_OBJECT: Final = b"{}"  # servers of the chora family expect an object
_TAKES_A_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_REPLAY_BYTES: Final = 64 * 1024
_EVENT_STREAM: Final = b"text/event-stream"
_FOREVER: Final = float("inf")
# How long the rest of a body may take once it can change nothing any more (nginx: lingering).
LINGER_S: Final = 5.0


class CallerSide(Protocol):
    """All that an exchange needs of the caller's connection."""

    caller: Caller

    @property
    def body_complete(self) -> bool: ...

    def stays_open(self) -> bool:
        """May another request follow this one?"""

    def last(self) -> None:
        """None may: close once this is answered."""

    def send(self, data: bytes) -> None: ...

    def send_problem(self, parts: Problem) -> None: ...

    def take_body(self) -> bytes:
        """The payload that came before anyone asked; from now on it comes by `request_piece`."""

    async def body_begun(self) -> None:
        """Wait for the first payload, or the end."""

    async def body_end(self) -> None:
        """Wait until the request's body is over."""

    def trailers(self) -> list[bytes]: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def break_off(self, *, reset: bool) -> None:
        """End the connection so that it can't be taken for the end of an answer."""

    def interruption(self) -> errors.ProxyError | None:
        """Why the task was cancelled; None when the caller is gone."""


class Plane:
    """What every exchange of this sidecar shares. The mutable fields have one owner: the listener."""

    __slots__ = (
        "cors",
        "date",
        "instance",
        "max_timeout_s",
        "now",
        "pools",
        "publish",
        "table",
        "via",
    )

    def __init__(
        self,
        instance: str,
        table: Callable[[], Snapshot],
        pools: Pools,
        publish: Callable[[ExchangeRecord], None],
    ) -> None:
        self.instance = instance
        self.via = b"1.1 " + instance.encode()
        self.table = table
        self.pools = pools
        self.publish = publish
        self.date = b""  # as in the Date field, renewed every second
        self.now = 0.0  # the loop's time as of the last sweep: good enough for what is idle
        self.cors: browser.CorsRules | None = None
        self.max_timeout_s = 600.0


class Route:
    """What a request turned out to ask for."""

    __slots__ = ("deadline_s", "endpoint", "idempotent", "onward", "server", "tool")

    def __init__(  # noqa: PLR0913, PLR0917 - a value is its parts; keywords cost time on every call
        self,
        server: LiveServer,
        tool: LiveTool | None,
        endpoint: Endpoint,
        onward: Onward,
        deadline: float,
        idempotent: bool,  # noqa: FBT001 - as above
    ) -> None:
        self.server = server
        self.tool = tool
        self.endpoint = endpoint
        self.onward = onward
        self.deadline_s = deadline
        self.idempotent = idempotent


class Exchange:
    """One request and its answer. `due_at` (loop time) is when `overdue` wants to be asked."""

    def __init__(self, plane: Plane, head: RequestHead, client: CallerSide, now: float) -> None:
        self._plane = plane
        self._head = head
        self._client = client
        self._trace = trace_of(head.noted, getrandbits)
        self._record = ExchangeRecord(monotonic(), head.method)
        self._upstream: Upstream | None = None
        self._called = ""
        self._request_chunked = head.body_bytes == CHUNKED
        self._answer_chunked = False
        self._answer_begun = False
        self._replay: bytes | None = b""  # what went up of the body, while all of it is held
        self._moved_at = now
        self._idle_timeout_s = _FOREVER
        self._answer_over = False
        self.due_at = now + LINGER_S

    async def run(self) -> None:
        """Route, admit, carry; record whatever came of it."""
        try:
            route = self._route()
            self._admit(route)
            await self._carry(route)
        except errors.ProxyError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            interruption = self._client.interruption()
            if interruption is None:
                raise
            self._refuse(interruption)
        except Exception:
            _LOG.exception("A bug of ours in %s", self._record)
            self._refuse(errors.InternalError("The sidecar failed; its log says why"))
        finally:
            self._publish()

    # --- the stages ---

    def _route(self) -> Route:
        table = self._plane.table()
        head, record = self._head, self._record
        if head.target.startswith(routing.TOOLS):
            if head.method != b"POST":
                raise errors.MethodNotAllowedError(
                    "A tool is called with POST", headers=(("Allow", "OPTIONS, POST"),)
                )
            record.route = "/tools/{tool}"
            tool, query = table.tool_called(head.target)
            server = tool.server
            endpoint = server.endpoints[0]
            record.tool = tool.spec.name
            self._called = tool.name
            route = Route(
                server,
                tool,
                endpoint,
                tool.onward(endpoint, query),
                tool.deadline_s,
                tool.idempotent,
            )
        else:
            record.route = "/servers/{ns}"
            server, path = table.server_called(head.target)
            endpoint = server.endpoints[0]
            self._called = server.spec.namespace
            route = Route(
                server,
                None,
                endpoint,
                server.onward(endpoint, head.method, path),
                deadline_s(server.spec, None),
                head.method in _IDEMPOTENT,
            )
        if server.spec.preserve_host:
            route.onward = route.onward._replace(host=head.authority)
        record.server = server.spec.namespace
        record.endpoint = endpoint.address.url
        return route

    def _admit(self, route: Route) -> None:
        """May this call go now? What is refused here has touched no upstream."""
        head, tool, spec = self._head, route.tool, route.server.spec
        if tool is not None and tool.missing:
            names = ", ".join(tool.missing)
            raise errors.MissingCredentialsError(f"Missing credentials for {tool.name}: {names}")
        if b"via" in head.noted and self._plane.via in head.noted[b"via"]:
            raise errors.LoopDetectedError("The call has been here before: see its Via")
        if spec.max_body_bytes is not None and head.body_bytes > spec.max_body_bytes:
            raise errors.BodyTooLargeError(f"The body may have {spec.max_body_bytes} bytes")
        if not route.endpoint.health.usable:
            wait_s = max(1, round(spec.health.fast_interval_s))
            raise errors.NoHealthyEndpointError(
                f"Backend server unhealthy: {spec.namespace}", retry_after_s=wait_s
            )
        deadline = route.deadline_s
        if b"request-timeout" in head.noted:
            deadline = _asked_timeout(head.noted[b"request-timeout"], self._plane.max_timeout_s)
        self.due_at = self._moved_at + deadline

    async def _carry(self, route: Route) -> None:
        """Try until there is an answer to pass back, or nothing more may be tried."""
        pool = self._plane.pools.of(route.endpoint)
        died = False
        while True:
            upstream = await pool.take(fresh=died)
            self._record.attempts += 1
            try:
                answer = await self._ask(upstream, route)
                await self._pass_back(upstream, answer, route)
            except errors.UpstreamClosedError:
                # RFC 9110, 9.2.2: only what is idempotent and held whole, and only once.
                if died or not route.idempotent or not self._can_repeat(upstream):
                    raise
                died = True
                self._client.pause_body()  # what is sent again must be all there is so far
            else:
                return
            finally:
                self._upstream = None
                pool.give_back(upstream)

    async def _ask(self, upstream: Upstream, route: Route) -> ResponseHead:
        """Send the request as far as it has come; wait for the answer's head."""
        client, method = self._client, route.onward.method
        head, body = await self._body_so_far(route)
        upstream.begin(self, bodiless=method == b"HEAD")
        self._upstream = upstream
        if self._record.attempts > 1:
            client.resume_body()
        self._hold_for_replay(body)
        upstream.send(
            request_head(head, route.onward, client.caller, self._trace, self._plane.via)
            + framing_fields(method, CHUNKED if self._request_chunked else head.body_bytes)
            + body
        )
        return await upstream.answer()

    async def _body_so_far(self, route: Route) -> tuple[RequestHead, bytes]:
        """What has come of the body, as it is sent; and the head that goes with it."""
        head, client = self._head, self._client
        if self._replay:
            return head, self._replay
        if b"expect" in head.noted and head.minor_version and not client.body_complete:
            self._expect(head.noted[b"expect"])
        wants_an_object = route.tool is not None and route.onward.method in _TAKES_A_BODY
        if wants_an_object and self._request_chunked:
            await client.body_begun()
        body = client.take_body()
        self._record.request_bytes += len(body)
        if wants_an_object and not body and client.body_complete:
            self._request_chunked = False
            return head.with_json(len(_EMPTY_OBJECT)), _EMPTY_OBJECT
        return head, self._chunked(body)

    async def _pass_back(self, upstream: Upstream, answer: ResponseHead, route: Route) -> None:
        """Send the answer as far as it has come, and let the rest follow by itself."""
        client, head, record = self._client, self._head, self._record
        self._answer_chunked = needs_chunks(answer, head.minor_version)
        if answer.body_bytes < 0 and not self._answer_chunked:
            client.last()
        if not client.body_complete and not answer.keep_alive:
            client.last()  # nobody will read the rest of the request
        record.status = answer.status
        self._answer_begun = True
        self._only_idle_counts(answer, route)
        body = upstream.relay()
        record.response_bytes += len(body)
        if self._answer_chunked:
            body = chunk(body)
            if upstream.complete:
                body += last_chunk(upstream.trailers)
        client.send(self._answer_head(answer) + body)
        if not upstream.complete:
            await upstream.end()
            if self._answer_chunked:
                client.send(last_chunk(upstream.trailers))
        self._answer_over = True
        if not client.body_complete and client.stays_open():
            self._idle_timeout_s = LINGER_S
            self.due_at = self._plane.now + LINGER_S
            await client.body_end()

    def _refuse(self, error: errors.ProxyError) -> None:
        """Answer in our own name, or break off an answer that has begun."""
        client = self._client
        self._record.code = error.code
        if self._answer_over:
            client.last()
            return
        if self._answer_begun:
            client.break_off(reset=not self._answer_chunked)
            return
        if error.closes or b"expect" in self._head.noted:
            client.last()
        self._answer_begun = True
        self._record.status = error.status
        parts = problem(error, self._plane.instance, self._trace, self._called)
        if not client.body_complete:
            client.last()
        client.send_problem(parts)

    def _publish(self) -> None:
        record = self._record
        record.finished_at = monotonic()
        record.trace_id = self._trace.trace_id
        record.request_id = self._trace.request_id
        self._plane.publish(record)

    # --- their details ---

    def _expect(self, expectation: bytes) -> None:
        """RFC 9110, 10.1.1: answered by us, once there is somebody to send the body to."""
        if expectation.lower() == b"100-continue":
            self._client.send(_CONTINUE)

    def _answer_head(self, answer: ResponseHead) -> bytes:
        plane, head = self._plane, self._head
        cors = b""
        if plane.cors is not None and b"origin" in head.noted:
            cors = browser.cors_fields(head.noted, plane.cors)
        answering = Answering(
            self._answer_chunked, self._client.stays_open(), head.minor_version, cors
        )
        return response_head(answer, answering, self._trace, plane.via, plane.date)

    def _only_idle_counts(self, answer: ResponseHead, route: Route) -> None:
        """From the answer's head on there is no deadline, only silence; for events not even that."""
        if answer.noted.get(b"content-type", b"").lower().startswith(_EVENT_STREAM):
            self.due_at = _FOREVER
            return
        self._idle_timeout_s = route.server.spec.idle_timeout_s
        self._moved_at = self._plane.now
        self.due_at = self._moved_at + self._idle_timeout_s

    def _can_repeat(self, upstream: Upstream) -> bool:
        return upstream.exchanges > 1 and not upstream.answered and self._replay is not None

    def _hold_for_replay(self, sent: bytes) -> None:
        self._replay = sent if len(sent) <= _REPLAY_BYTES else None

    def overdue(self, now: float) -> errors.ProxyError | None:
        """The moment has come: what is wrong, or nothing and a later moment."""
        if not self._answer_begun:
            return self._late()
        self.due_at = self._moved_at + self._idle_timeout_s
        if self.due_at > now:
            return None
        return errors.UpstreamTimeoutError("Nothing has moved for too long")

    def _late(self) -> errors.ProxyError:
        if not self._client.body_complete:
            return errors.RequestTimeoutError("The request's body did not come in time")
        return errors.UpstreamTimeoutError(f"Backend timeout: {self._record.server}")

    # --- the request's body, from the caller's connection ---

    def request_piece(self, payload: bytes) -> None:
        upstream = self._upstream
        self._record.request_bytes += len(payload)
        self._moved_at = self._plane.now
        if upstream is None:
            return
        data = self._chunked(payload)
        if self._replay is not None:
            self._hold_for_replay(self._replay + data)
        upstream.send(data)

    def _chunked(self, payload: bytes) -> bytes:
        if not self._request_chunked:
            return payload
        data = chunk(payload)
        if self._client.body_complete:
            data += last_chunk(self._client.trailers())
        return data

    def pause_answer(self) -> None:
        """The caller takes no more for now."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume_answer(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    # --- the answer, from the upstream's connection (see `upstream.Relay`) ---

    def interim(self, head: ResponseHead) -> None:
        if self._head.minor_version:
            self._client.send(interim_head(head, self._plane.via))

    def piece(self, payload: bytes) -> None:
        self._moved_at = self._plane.now
        self._record.response_bytes += len(payload)
        self._client.send(chunk(payload) if self._answer_chunked else payload)

    def pause_request(self) -> None:
        self._client.pause_body()

    def resume_request(self) -> None:
        self._client.resume_body()


def _asked_timeout(value: bytes, most_s: float) -> float:
    """`Request-Timeout: seconds`; a whole or decimal number above nothing."""
    try:
        asked_s = float(value) if value.replace(b".", b"", 1).isdigit() else 0.0
    except ValueError:
        asked_s = 0.0
    if not asked_s:
        raise errors.BadValueError("Request-Timeout is not a number of seconds above 0")
    return min(asked_s, most_s)
