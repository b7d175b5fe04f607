"""A short answer of our own, which waits for nobody.

Knows how it is sent and written down. Knows nothing of why it is given.
"""

import asyncio
from http import HTTPStatus
from random import getrandbits
from time import monotonic
from typing import Final

from proxy.data_plane.carriage import FOREVER
from proxy.data_plane.roles import CallerSide, Plane
from proxy.policy.routes import Matched
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.fields import kept_behind
from proxy.wire.forwarding import connection_field
from proxy.wire.head import RequestHead
from proxy.wire.templates import Scene
from proxy.wire.trace import trace_of

_NO_BODY: Final = frozenset({204, 304})
_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


class Reply:
    """One answer without a body (see `downstream.Handler`)."""

    def __init__(
        self, plane: Plane, head: RequestHead, connection: CallerSide, fields: bytes
    ) -> None:
        self.due_at = FOREVER
        self._fields = fields
        self._connection = connection
        self._head = head
        self._plane = plane
        self._trace = trace_of(head.noted, getrandbits)
        self._record = ExchangeRecord(monotonic(), head, connection.caller, self._trace)
        self._record.route = "unmatched"

    async def run(self) -> None:
        connection = self._connection
        if not connection.body_complete:
            connection.last()
        status, fields, body = self._answer()
        connection.send(
            b"HTTP/1.1 %d %b\r\n%b%b\r\n%b"
            % (
                status,
                _REASONS.get(status, "").encode(),
                fields,
                connection_field(
                    keep_alive=connection.stays_open(), minor_version=self._head.minor_version
                ),
                body,
            )
        )
        record = self._record
        record.status, record.response_bytes = status, len(body)
        record.finished_at = record.started_at
        self._plane.publish_refusal(record)

    def _answer(self) -> tuple[int, bytes, bytes]:
        """Status, field lines with CRLF behind, and body."""
        return HTTPStatus.NO_CONTENT, self._fields, b""

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        del task
        return False

    def overdue(self, now: float) -> None:
        """Never: it does not wait."""

    def request_piece(self, payload: bytes) -> None:
        """Nobody reads it."""

    def pause_answer(self) -> None:
        """Too short to pause."""

    def resume_answer(self) -> None:
        """Too short to pause."""


class RoutedReply(Reply):
    """The answer that a route gives itself: a response, or a redirection."""

    def __init__(
        self, plane: Plane, head: RequestHead, connection: CallerSide, matched: Matched
    ) -> None:
        super().__init__(plane, head, connection, b"")
        self._matched = matched
        self._record.route = matched.rule.label

    def _answer(self) -> tuple[int, bytes, bytes]:
        matched, trace = self._matched, self._trace
        rule, caller = matched.rule, self._connection.caller
        scene = Scene(
            self._head, caller, matched.port, matched.uri, matched.groups, trace.request_id
        )
        changes, body = rule.answer, rule.body.text(scene)
        lines = kept_behind(rule.headers.lines(scene), changes.names) + changes.lines(scene)
        if rule.status not in _NO_BODY:
            lines += b"Content-Length: %d\r\n" % len(body)
        lines += b"Date: %b\r\n" % self._plane.date + kept_behind(trace.id_lines, changes.names)
        return rule.status, lines, b"" if self._head.method == b"HEAD" else body
