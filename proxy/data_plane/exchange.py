"""One request and its answer, stage by stage: route, admit, connect, ask, pass back, record.

Bodies do not pass through here: pieces go from connection to connection as they come, and each side
is paused while the other is full. Knows neither sockets nor formats other than HTTP.
"""

import asyncio
import logging
import re
from random import getrandbits
from time import monotonic
from typing import Final

from proxy import errors
from proxy.data_plane.roles import LINGER_S, CallerSide, Plane
from proxy.data_plane.upstream import Upstream
from proxy.policy import browser, routing
from proxy.policy.deadline import asked_timeout_s
from proxy.registry.snapshot import Endpoint, Route
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import (
    as_json,
    connection_field,
    framing_fields,
    interim_head,
    needs_chunks,
    request_head,
    response_head,
    with_cors,
)
from proxy.wire.framing import chunk, last_chunk
from proxy.wire.head import CHUNKED, RequestHead, ResponseHead
from proxy.wire.problem import problem
from proxy.wire.trace import trace_of

_LOG = logging.getLogger("toolproxy")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_EMPTY_OBJECT: Final = b"{}"  # servers of the chora family expect an object
_REPLAY_BYTES: Final = 64 * 1024
_EVENT_STREAM: Final = re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream", re.IGNORECASE)
_FOREVER: Final = float("inf")


class Exchange:
    """One request and its answer. `due_at` (loop time) is when `overdue` wants to be asked."""

    # On the class: what most exchanges never ask for; what all ask for is cheaper on the instance.
    _upstream: Upstream | None = None
    _called: str = ""
    _answer_over: bool = False
    _idle_timeout_s: float = _FOREVER

    def __init__(self, plane: Plane, head: RequestHead, client: CallerSide, now: float) -> None:
        self._plane = plane
        self._head = head
        self._client = client
        self._moved_at = now
        self._trace = trace_of(head.noted, getrandbits)
        self._record = ExchangeRecord(monotonic(), head.method)
        self._request_chunked = head.body_bytes == CHUNKED
        self._answer_chunked = False
        self._answer_begun = False
        self._replay: bytes | None = b""  # what went up of the body, while all of it is held
        self.due_at = _FOREVER

    async def run(self) -> None:
        """Route, admit, carry; record whatever came of it."""
        try:
            route, rest = self._route()
            endpoint = self._admit(route)
            await self._carry(route, endpoint, rest)
        except errors.ProxyError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            interruption = self._client.interruption()
            if interruption is None:
                raise
            self._refuse(interruption)
        except Exception:  # noqa: BLE001 - a bug must not take the caller's other requests with it
            _LOG.exception("A bug of ours in %s", self._record)
            self._refuse(errors.InternalError("The sidecar failed; its log says why"))
        finally:
            self._publish()

    # --- the stages ---

    def _route(self) -> tuple[Route, bytes]:
        """The tool or passage that is asked for, and what of the target goes with it."""
        table, head, record = self._plane.registry.current, self._head, self._record
        route: Route
        if head.target.startswith(routing.TOOLS):
            record.route = "/tools/{tool}"
            if head.method != b"POST":
                raise errors.MethodNotAllowedError(
                    "A tool is called with POST", headers=(("Allow", "OPTIONS, POST"),)
                )
            route, rest = table.tool_called(head.target)
        else:
            record.route = "/servers/{ns}"
            route, rest = table.server_called(head.method, head.target)
        self._called = route.name
        record.server = route.server.spec.namespace
        record.tool = route.tool_name
        return route, rest

    def _admit(self, route: Route) -> Endpoint:
        """May this call go now, and where? What is refused here has touched no upstream."""
        noted, spec = self._head.noted, route.server.spec
        if route.missing:
            names = ", ".join(route.missing)
            raise errors.MissingCredentialsError(f"Missing credentials for {route.name}: {names}")
        if b"via" in noted and self._plane.via in noted[b"via"]:
            raise errors.LoopDetectedError("The call has been here before: see its Via")
        if spec.max_body_bytes is not None:
            self._client.limit_body(spec.max_body_bytes)
        endpoint = route.server.endpoints[0]
        if not endpoint.health.usable:
            wait_s = max(1, round(spec.health.fast_interval_s))
            raise errors.NoHealthyEndpointError(
                f"Backend server unhealthy: {spec.namespace}", retry_after_s=wait_s
            )
        deadline_s = route.deadline_s
        if b"request-timeout" in noted:
            deadline_s = asked_timeout_s(noted[b"request-timeout"], self._plane.max_timeout_s)
        self.due_at = self._client.due_at = self._moved_at + deadline_s
        self._record.endpoint = endpoint.address.url
        return endpoint

    async def _carry(self, route: Route, endpoint: Endpoint, rest: bytes) -> None:
        """Try until there is an answer to pass back, or nothing more may be tried."""
        pool, record = self._plane.pools.of(endpoint), self._record
        died = False
        while True:
            # Where one kept connection has died, others may have: the second try has a new one.
            upstream = (None if died else pool.take_kept()) or await pool.take()
            record.attempts += 1
            try:
                if self._request_chunked or b"expect" in self._head.noted:
                    await self._prepare_body(route)
                answer = await self._ask(upstream, route, endpoint, rest)
                self._pass_back(upstream, answer, route)
                if not upstream.complete or not self._client.body_complete:
                    await self._stream(upstream)
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
                if not self._client.body_complete:
                    upstream.reusable = False  # it waits for the rest of this request
                pool.give_back(upstream, self._plane.now)

    def _ask(
        self, upstream: Upstream, route: Route, endpoint: Endpoint, rest: bytes
    ) -> "asyncio.Future[ResponseHead]":
        """Send the request as far as it has come; the answer's head is to follow."""
        client, head = self._client, self._head
        body = self._replay or client.take_body()
        if not body and route.wants_object and client.body_complete:
            body = _EMPTY_OBJECT
            self._head = head = as_json(head, len(body))
            self._request_chunked = False
        if self._request_chunked and not self._replay:
            body = self._chunked(body)
        onward = route.onward(endpoint, rest)
        if route.server.spec.preserve_host:
            onward = onward._replace(
                lines=b"Host: %b\r\n%b" % (head.authority, route.server.injected)
            )
        answer = upstream.begin(self, bodiless=onward.method == b"HEAD")
        self._upstream = upstream
        if self._record.attempts > 1:
            client.resume_body()
        self._record.request_bytes = len(body)
        self._replay = body if len(body) <= _REPLAY_BYTES else None
        length = CHUNKED if self._request_chunked else head.body_bytes
        end = framing_fields(onward.method, length) + body
        upstream.send(request_head(head, onward, client.caller, self._trace, end))
        return answer

    def _pass_back(self, upstream: Upstream, answer: ResponseHead, route: Route) -> None:
        """Send the answer as far as it has come."""
        client, head, record = self._client, self._head, self._record
        if answer.body_bytes < 0:
            self._answer_chunked = needs_chunks(answer, head.minor_version)
            if not self._answer_chunked:
                client.last()  # the end of the connection is the end of the answer
        if not client.body_complete and not answer.keep_alive:
            client.last()  # nobody will read the rest of the request
        record.status = answer.status
        body = upstream.relay()
        record.response_bytes = len(body)
        if not upstream.complete:
            self._only_idle_counts(answer, route)
        if self._answer_chunked:
            body = chunk(body)
            if upstream.complete:
                body += last_chunk(upstream.trailers)
        self._answer_begun = True
        client.send(self._answered(answer, body))

    async def _stream(self, upstream: Upstream) -> None:
        """Let the rest of the answer follow by itself, then the rest of the request."""
        client = self._client
        if not upstream.complete:
            await upstream.end()
            if self._answer_chunked:
                client.send(last_chunk(upstream.trailers))
        self._answer_over = True
        if not client.body_complete and client.stays_open():
            self._idle_timeout_s = LINGER_S
            self.due_at = client.due_at = self._plane.now + LINGER_S
            await client.body_end()

    def _refuse(self, error: errors.ProxyError) -> None:
        """Answer in our own name, or break off an answer that has begun."""
        client = self._client
        if self._answer_over:
            client.last()
            return
        self._record.code = error.code
        if self._answer_begun:
            client.break_off(reset=not self._answer_chunked)
            return
        if error.closes or not client.body_complete:
            client.last()
        self._answer_begun = True
        self._record.status = error.status
        client.send_problem(problem(error, self._plane.instance, self._trace, self._called))

    def _publish(self) -> None:
        record = self._record
        record.finished_at = monotonic()
        record.trace_id = self._trace.trace_id
        record.request_id = self._trace.request_id
        self._plane.publish(record)

    # --- their details ---

    async def _prepare_body(self, route: Route) -> None:
        """Have the caller send its body, as far as must be known before the head can go."""
        head, client = self._head, self._client
        # RFC 9110, 10.1.1: answered by us, now that there is somebody to send the body to.
        expects = head.noted.get(b"expect", b"").lower() == b"100-continue"
        if expects and head.minor_version and not client.body_complete and not self._replay:
            client.send(_CONTINUE)
        if self._request_chunked and route.wants_object:
            await client.body_begun()

    def _answered(self, answer: ResponseHead, body: bytes) -> bytes:
        plane, head, client = self._plane, self._head, self._client
        if plane.cors is not None and b"origin" in head.noted:
            answer = with_cors(answer, browser.cors_fields(head.noted, plane.cors))
        more = self._trace.id_lines
        stays = client.stays_open()
        if not stays or not head.minor_version:
            more += connection_field(keep_alive=stays, minor_version=head.minor_version)
        return response_head(
            answer,
            chunked=self._answer_chunked,
            more_lines=more,
            via_line=client.caller.via_line,
            date=plane.date,
            body=body,
        )

    def _only_idle_counts(self, answer: ResponseHead, route: Route) -> None:
        """After the head there is no deadline, only silence counts; for events not even that."""
        if _EVENT_STREAM.search(answer.lines):
            self.due_at = self._client.due_at = _FOREVER
            return
        self._idle_timeout_s = route.server.spec.idle_timeout_s
        self._moved_at = self._plane.now
        self.due_at = self._client.due_at = self._moved_at + self._idle_timeout_s

    def _can_repeat(self, upstream: Upstream) -> bool:
        return upstream.exchanges > 1 and not upstream.answered and self._replay is not None

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
        """More of the body, or (with nothing) its end."""
        upstream = self._upstream
        self._record.request_bytes += len(payload)
        if not self._answer_over:  # afterwards the rest has so long in all
            self._moved_at = self._plane.now
        if upstream is None:
            return
        data = self._chunked(payload) if self._request_chunked else payload
        if self._replay is not None:
            held = self._replay + data
            self._replay = held if len(held) <= _REPLAY_BYTES else None
        upstream.send(data)

    def _chunked(self, payload: bytes) -> bytes:
        data = chunk(payload)
        if self._client.body_complete:
            data += last_chunk(self._client.trailers())
        return data

    def pause_answer(self) -> None:
        """The caller takes no more for now."""
        if self._upstream is not None:
            self._upstream.pause()

    def resume_answer(self) -> None:
        """It does again."""
        if self._upstream is not None:
            self._upstream.resume()

    # --- the answer, from the upstream's connection (see `upstream.Relay`) ---

    def interim(self, head: ResponseHead) -> None:
        """Pass a 1xx on to whom knows them."""
        if self._head.minor_version:
            self._client.send(interim_head(head, self._client.caller.via_line))

    def piece(self, payload: bytes) -> None:
        """Pass on some of the body."""
        self._moved_at = self._plane.now
        self._record.response_bytes += len(payload)
        self._client.send(chunk(payload) if self._answer_chunked else payload)

    def pause_request(self) -> None:
        """The upstream takes no more for now."""
        self._client.pause_body()

    def resume_request(self) -> None:
        """It does again."""
        self._client.resume_body()
