"""Event streams that go on: connect, read, come back where it was.

Nothing is told twice and nothing is left out without a word: what the gateway no longer holds it
tells itself, by a `gap` message, which is handed out like any other.
"""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from proxy.client import errors
from proxy.client.answers import Answer, error_of
from proxy.client.deadline import after, until
from proxy.client.http import Request, failure_of
from proxy.client.models import Event
from proxy.client.retry import Leave, RetryConfig, may_repeat, wait_s
from proxy.client.session import Connections
from proxy.client.sse_parser import EventStreamParser

_LOG: Final = logging.getLogger(__name__)
_SILENT_S: Final = 60.0  # the gateway says something every 15 s
_MOST_PROBLEM_BYTES: Final = 1 << 16
_MOST_RETRY_S: Final = 300.0
_OK: Final = 200
_NO_CONTENT: Final = 204
_PROBE_S: Final = 5.0


class SseTransport:
    """Streams of one gateway. Without `retry` a stream that breaks is not taken up again."""

    def __init__(self, base_url: str, connections: Connections, retry: RetryConfig | None) -> None:
        self.connected = 0  # streams that are open now
        self.reconnects = 0
        self._base_url = base_url
        self._connections = connections
        self._retry = retry

    def __repr__(self) -> str:
        return f"<SseTransport {self._base_url} connected={self.connected}>"

    async def stream(
        self, request: Request, last_event_id: str = ""
    ) -> AsyncGenerator[Event, None]:
        """Messages, over as many connections as it takes.

        Ends when the gateway answers 204. Raises what a refusal is (401, 403, 404, …), and
        `RetryExhaustedError` when there was no stream in `max_attempts` attempts from the start;
        a stream that was there once is sought for ever.
        """
        state = _Seeking(last_event_id)
        while True:
            try:
                async with self._opened(request, state) as response:
                    if response is None:
                        return
                    state.arrived()
                    while piece := await self._piece(response, request.what):
                        state.failures = 0
                        for event in state.parser.feed(piece):
                            yield event
                raise errors.AnswerLostError(f"{request.what}: the gateway ended the stream")
            except errors.GatewayError as error:
                pause_s = self._pause_s(error, state)
                _LOG.info("%s; again in %.2f s", error.detail, pause_s)
            self.reconnects += 1
            async with self._connections.in_use():
                await asyncio.sleep(pause_s)

    async def probe(self, request: Request) -> None:
        """Can a stream be had now? Raises why not."""
        deadline = after(_PROBE_S, asked=True)
        async with until(deadline, request.what), self._opened(request, _Seeking("")):
            pass

    @asynccontextmanager
    async def _opened(
        self, request: Request, state: "_Seeking"
    ) -> AsyncIterator[aiohttp.ClientResponse | None]:
        """A stream's answer; None where the gateway says that there is nothing more to come."""
        response = await self._asked(request, state.parser.last_event_id)
        try:
            if response.status == _NO_CONTENT:
                yield None
                return
            await _require_stream(response, request.what)
            self.connected += 1
            try:
                yield response
            finally:
                self.connected -= 1
        finally:
            response.close()

    async def _asked(self, request: Request, last_event_id: str) -> aiohttp.ClientResponse:
        fields = _fields(request.fields, last_event_id)
        url = URL(self._base_url + request.target, encoded=True)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PROBE_S, sock_read=_SILENT_S)
        try:
            async with self._connections.in_use():
                return await self._connections.streams.get(
                    url, headers=fields, timeout=timeout, allow_redirects=False
                )
        except (aiohttp.ClientError, OSError) as error:
            raise failure_of(error, self._base_url, request.what, began=False) from error

    async def _piece(self, response: aiohttp.ClientResponse, what: str) -> bytes:
        """What came; nothing at the end of the stream."""
        try:
            async with self._connections.in_use():
                return await response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise failure_of(error, self._base_url, what, began=True) from error

    def _pause_s(self, error: errors.GatewayError, state: "_Seeking") -> float:
        """How long to wait; raises the error where it is the end."""
        if self._retry is None or not may_repeat(error, Leave.READ):
            raise error
        state.failures += 1
        if not state.was_there and state.failures >= self._retry.max_attempts:
            raise errors.RetryExhaustedError(error, state.failures) from error
        asked_s = min(state.parser.retry_s or 0.0, _MOST_RETRY_S)
        asked_s *= 1 - random.random() / 2  # noqa: S311 - so that not all come back at once
        return max(asked_s, wait_s(error, state.failures, self._retry, random.random))


class _Seeking:
    """How far a stream has come, and how its connections went."""

    def __init__(self, last_event_id: str) -> None:
        self.parser = EventStreamParser(last_event_id)
        self.was_there = False
        self.failures = 0  # in a row

    def arrived(self) -> None:
        """A stream is there: whatever the last one had begun to say is void."""
        self.was_there = True
        self.parser = EventStreamParser(self.parser.last_event_id)


async def _require_stream(response: aiohttp.ClientResponse, what: str) -> None:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.status != _OK:
        body = await response.content.read(_MOST_PROBLEM_BYTES)
        raise error_of(Answer(response.status, headers, body), what)
    if Answer(response.status, headers, b"").media_type != "text/event-stream":
        raise errors.GatewayError(f"{what} was answered with something that is no event stream")


def _fields(fields: Mapping[str, str], last_event_id: str) -> dict[str, str]:
    own = {**fields, "Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id:
        own["Last-Event-ID"] = last_event_id
    return own
