"""What is carried between a caller's connection and an upstream's: heads, and bodies as they come.

Bodies go from connection to connection in pieces, and each side is paused while the other is full.
Decides nothing: where a call goes, and whether again, is `Exchange`'s, which builds on it.
"""

import asyncio
import re
from random import getrandbits
from time import monotonic
from typing import Final

from proxy import errors
from proxy.data_plane.roles import LINGER_S, CallerSide, Plane
from proxy.data_plane.upstream import Upstream
from proxy.policy import browser
from proxy.policy.grants import ANYBODY, Visitor
from proxy.registry.endpoint import Endpoint
from proxy.registry.snapshot import Route
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
from proxy.wire.trace import trace_of
from proxy.wire.websocket import SWITCHING

FOREVER: Final = float("inf")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_EMPTY_OBJECT: Final = b"{}"  # servers of the chora family expect an object
_REPLAY_BYTES: Final = 64 * 1024
_MOST_HELD_BYTES: Final = 256 * 1024 * 1024  # of bodies that are being read, of all callers
REMEMBERED_BYTES: Final = 256 * 1024  # of a body or an answer, for whoever asks for the same again
_EVENT_STREAM: Final = re.compile(rb"\r\ncontent-type:[ \t]*text/event-stream", re.IGNORECASE)


class Carriage:
    """One request and its answer on their way. `due_at` (loop time) is when time has run out."""

    # On the class: what most exchanges never ask for; what all ask for is cheaper on the instance.
    # `unusual` and `known` say, in one look, that some of it is not as it stands here.
    _upstream: Upstream | None = None
    _answer_over: bool = False
    upgrading: bool = False
    _caller_full: bool = False  # it takes no more of the answer for now
    _continued: bool = False
    _visitor: Visitor = ANYBODY
    _read: bytearray | None = None  # of the body, if it has to be here before the call can go
    _whole: bytes | None = None  # the same, once it is
    _held_bytes: int = 0  # of all callers' bodies, as long as it lasts
    _gathering: bool = False
    _said: bytes = b""  # field lines of ours for the answer
    _copy: list[bytes] | None = None  # of the answer's body, while it is short enough
    _copied: ResponseHead | None = None
    _copied_bytes: int = 0
    _idle_timeout_s: float = FOREVER
    _built_in: bool = True  # is the path ours, and our say who may read the answer?

    def __init__(self, plane: Plane, head: RequestHead, client: CallerSide, now: float) -> None:
        self._plane = plane
        self._head = head
        self._client = client
        self._moved_at = now
        self._trace = trace_of(head.noted, getrandbits, plane.sampled_below)
        self._record = ExchangeRecord(monotonic(), head, client.caller, self._trace)
        self._request_chunked = head.body_bytes == CHUNKED
        self._answer_chunked = False
        self._answer_begun = False
        self.due_at = FOREVER
        self.unusual = False  # in its body, or what becomes of its answer
        self.known = False  # who calls, or what they are told
        # What went up of the body, while it may have to go up again and all of it is held.
        self._replay: bytes | None = b""

    # --- heads ---

    async def _prepare_body(self, route: Route) -> None:
        """Have the caller send its body, as far as must be known before the head can go."""
        # RFC 9110, 10.1.1: answered by us, now that there is somebody to send the body to.
        self._invite_body()
        if self._request_chunked and route.wants_object and not self._read:
            await self._client.body_begun()

    def _invite_body(self) -> None:
        head, client = self._head, self._client
        expects = head.noted.get(b"expect", b"").lower() == b"100-continue"
        if expects and head.minor_version and not (client.body_complete or self._continued):
            self._continued = True
            client.send(_CONTINUE)

    async def _gather(self, most_bytes: int) -> bool:
        """Have the whole body here; False when it is larger, and streams as ever."""
        client, plane = self._client, self._plane
        self.unusual = True
        if self._whole is not None:
            return len(self._whole) <= most_bytes
        if self._read is None:
            if self._head.body_bytes > most_bytes:
                return False
            self._invite_body()
            self._read = bytearray()
            self._hold(client.take_body())
        self._gathering = True
        while not client.body_complete and len(self._read) <= most_bytes:
            if plane.held_bytes > _MOST_HELD_BYTES:
                raise errors.NoRoomError(
                    "Too many bodies are being read to be judged; come back later",
                    retry_after_s=1,
                )
            await client.body_more()
        self._gathering = False
        if not client.body_complete:
            client.pause_body()
            return False
        self._whole = bytes(self._read)
        self._read = bytearray()  # once is enough
        return len(self._whole) <= most_bytes

    def _hold(self, payload: bytes) -> None:
        if self._read is not None:
            self._read += payload
            self._held_bytes += len(payload)
            self._plane.held_bytes += len(payload)

    def _let_go_of_body(self) -> None:
        self._plane.held_bytes -= self._held_bytes
        self._held_bytes = 0
        self._read = self._whole = None

    def _gathered(self) -> bytes:
        """What there is of the body."""
        if self._whole is not None:
            return self._whole
        return self._client.take_body() if self._read is None else bytes(self._read)

    def _put(self, body: bytes) -> None:
        """This is the body from now on, whatever the caller sent."""
        self._whole = body
        self._head = as_json(self._head, len(body))
        self._request_chunked = False

    def _ask(
        self, upstream: Upstream, route: Route, endpoint: Endpoint, rest: bytes
    ) -> "asyncio.Future[ResponseHead]":
        """Send the request as far as it has come; the answer's head is to follow."""
        client, head = self._client, self._head
        if upstream.gone:  # what is taken now would be lost with it
            raise errors.UpstreamGoneError("The upstream closed the connection")
        body = self._replay or (self._gathered() if self.unusual else client.take_body())
        if not body and route.wants_object and client.body_complete:
            body = _EMPTY_OBJECT
            self._head = head = as_json(head, len(body))
            self._request_chunked = False
        if self._request_chunked and not self._replay:
            body = self._chunked(body)
        onward = route.onward(endpoint, rest)
        if self.known and not self._visitor.spent.isdisjoint(onward.forwarded_credentials):
            passing = onward.forwarded_credentials - self._visitor.spent
            onward = onward._replace(forwarded_credentials=passing, way=None)
        if route.keeps_host:
            onward = onward._replace(
                lines=b"Host: %b\r\n%b" % (head.authority, route.server.injected)
            )
        answer = upstream.begin(self, bodiless=onward.method == b"HEAD")
        self._upstream = upstream
        if self._record.attempts > 1 or self.unusual:
            client.resume_body()
            self._let_go_of_body()
        self._record.request_bytes = len(body)
        if self._replay is not None:
            self._replay = body if len(body) <= _REPLAY_BYTES else None
        length = CHUNKED if self._request_chunked else head.body_bytes
        end = framing_fields(onward.method, length) + body
        self._record.sent_at = monotonic()
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
        record.answered_at = monotonic()
        body = upstream.relay()
        record.response_bytes = len(body)
        if not upstream.complete:
            self._only_idle_counts(answer, route)
        if self.unusual and self._copy is not None:
            self._copied = answer
            self._keep(body)
            if self.due_at == FOREVER or answer.body_bytes > REMEMBERED_BYTES:
                self._stop_keeping()
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

    def _answered(self, answer: ResponseHead, body: bytes) -> bytes:
        plane, head, client = self._plane, self._head, self._client
        if plane.cors is not None and b"origin" in head.noted and self._built_in:
            answer = with_cors(answer, browser.cors_fields(head.noted, plane.cors))
        more = self._trace.id_lines
        if self.known:
            more += self._said
        stays = client.stays_open()
        if (not stays or not head.minor_version) and answer.status != SWITCHING:
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
        if answer.status == SWITCHING or _EVENT_STREAM.search(answer.lines):
            self.due_at = self._client.due_at = FOREVER
            return
        self._idle_timeout_s = route.server.spec.idle_timeout_s
        self._moved_at = self._plane.now
        self.due_at = self._client.due_at = self._moved_at + self._idle_timeout_s

    # --- the request's body, from the caller's connection ---

    def request_piece(self, payload: bytes) -> None:
        """More of the body, or (with nothing) its end."""
        upstream = self._upstream
        self._record.request_bytes += len(payload)
        if not self._answer_over:  # afterwards the rest has so long in all
            self._moved_at = self._plane.now
        if upstream is None:
            self._hold(payload)
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
        self._caller_full = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume_answer(self) -> None:
        """It does again."""
        self._caller_full = False
        self._moved_at = self._plane.now  # the upstream was kept waiting
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
        if self._copy is not None:
            self._keep(payload)
        self._client.send(chunk(payload) if self._answer_chunked else payload)

    def _keep(self, payload: bytes) -> None:
        """For whoever asks for the same."""
        self._copied_bytes += len(payload)
        if self._copied_bytes > REMEMBERED_BYTES:
            self._stop_keeping()
        elif self._copy is not None:
            self._copy.append(payload)

    def _stop_keeping(self) -> None:
        """Nobody else will get this answer: it is too large, or has no end."""
        self._copy = None

    def pause_request(self) -> None:
        """The upstream takes no more for now."""
        self._client.pause_body()

    def resume_request(self) -> None:
        """It does again."""
        self._client.resume_body()
