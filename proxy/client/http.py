"""One request to the gateway, and its answer; and reads, which are kept and joined.

Knows HTTP as aiohttp speaks it. What a path means is the facade's business.
"""

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
from yarl import URL

from proxy.client import errors
from proxy.client.answers import Answer, error_of
from proxy.client.breaker import GATEWAY
from proxy.client.cache import Entry, ResponseCache
from proxy.client.deadline import Deadline, until, waiting_until
from proxy.client.error_handler import ErrorHandler
from proxy.client.retry import Leave
from proxy.client.session import Connections

_MOST_ANSWER_BYTES: Final = 64 << 20
_PIECE_BYTES: Final = 1 << 16
_NOT_MODIFIED: Final = 304
_WORTH_ANOTHER: Final = 0.1  # of its time must be left


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send. `target` is an encoded path with its query; `what` names it in errors."""

    method: str = "GET"
    target: str
    what: str
    fields: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(default=None, repr=False)


class HttpTransport:
    """Requests to one gateway."""

    def __init__(self, base_url: str, connections: Connections, handler: ErrorHandler) -> None:
        self.cache = ResponseCache()
        self.used = False
        self._base_url = base_url
        self._connections = connections
        self._handler = handler
        self._flights: dict[bytes, _Flight] = {}

    def __repr__(self) -> str:
        return f"<HttpTransport {self._base_url} {self.cache}>"

    async def attempt(self, request: Request) -> Answer:
        """Send it once; raises the error that a failed answer is, or why there is none."""
        self.used = True
        answer = await self._exchange(request)
        if answer.status == _NOT_MODIFIED and "If-None-Match" in request.fields:
            return answer
        if answer.failed:
            raise error_of(answer, request.what)
        return answer

    async def send(self, request: Request, server: str, leave: Leave, deadline: Deadline) -> Answer:
        """Send it as often as it may be and must be, until the deadline."""

        async def attempt() -> Answer:
            async with until(deadline, request.what):
                return await self.attempt(request)

        return await self._handler.run(attempt, server, leave, deadline)

    async def read(self, request: Request, deadline: Deadline, *, fresh: bool = False) -> bytes:
        """A body: of an answer that is kept, or on its way, or asked for now.

        `fresh` asks for it now, whatever is kept.
        """
        self._connections.require_open()
        key = _key_of(request)
        entry = self.cache.look(key)
        if entry and not fresh and time.monotonic() < entry.fresh_until:
            self._spare()
            return entry.body
        flight = self._flights.get(key)
        if flight is None or fresh or flight.given_up:
            flight = self._begin(key, request, None if fresh else entry, deadline)
        else:
            self._spare()
        try:
            async with waiting_until(deadline, request.what):
                return await flight.landed()
        except errors.TimeoutError as error:
            # It was as impatient as who began it. Who has hardly more time leaves it at that.
            if error.status or deadline.left_s < deadline.span_s * _WORTH_ANOTHER:
                raise
        return await self.read(request, deadline, fresh=fresh)

    async def close(self) -> None:
        """Give up what is on its way."""
        flights = [flight.task for flight in self._flights.values()]
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _spare(self) -> None:
        self.used = True
        self.cache.hits += 1
        if self._handler.breakers is not None:
            self._handler.breakers.of(GATEWAY).spare()

    def _begin(
        self, key: bytes, request: Request, entry: Entry | None, deadline: Deadline
    ) -> "_Flight":
        work = self._fetch(key, request, entry, deadline)
        flight = _Flight(asyncio.get_running_loop().create_task(work))
        self._flights[key] = flight

        def landed(task: "asyncio.Task[bytes]") -> None:
            if self._flights.get(key) is flight:
                del self._flights[key]
            if not task.cancelled():
                task.exception()  # all who waited may have left

        flight.task.add_done_callback(landed)
        return flight

    async def _fetch(
        self, key: bytes, request: Request, entry: Entry | None, deadline: Deadline
    ) -> bytes:
        if entry and entry.etag:
            fields = {**request.fields, "If-None-Match": entry.etag}
            request = Request(target=request.target, what=request.what, fields=fields)
        answer = await self.send(request, GATEWAY, Leave.READ, deadline)
        now = time.monotonic()
        if answer.status == _NOT_MODIFIED and entry:
            self.cache.revalidated += 1
            self.cache.renew(key, entry, now)
            return entry.body
        self.cache.misses += 1
        self.cache.keep(key, answer.body, answer.headers.get("etag"), now)
        return answer.body

    async def _exchange(self, request: Request) -> Answer:
        url = URL(self._base_url + request.target, encoded=True)
        began = False
        try:
            async with (
                self._connections.in_use(),
                self._connections.calls.request(
                    request.method,
                    url,
                    data=request.body,
                    headers=request.fields,
                    allow_redirects=False,  # credentials go to this gateway and nowhere else
                ) as response,
            ):
                began = True
                return await _whole(response, request.what)
        except (aiohttp.ClientError, OSError) as error:
            raise failure_of(error, self._base_url, request.what, began=began) from error


class _Flight:
    """One read under way, and how many wait for it; when all have left, it is given up."""

    def __init__(self, task: "asyncio.Task[bytes]") -> None:
        self.task = task
        self._waiting = 0

    @property
    def given_up(self) -> bool:
        return self.task.cancelling() > 0

    async def landed(self) -> bytes:
        self._waiting += 1
        try:
            await asyncio.wait([self.task])
            if self.task.cancelled():
                raise errors.ClientClosedError("This client was closed during the call")
            return self.task.result()
        finally:
            self._waiting -= 1
            if not self._waiting:
                self.task.cancel()


def failure_of(
    error: aiohttp.ClientError | OSError, base_url: str, what: str, *, began: bool
) -> errors.GatewayError:
    """What it means that there is no answer, or not the whole of it."""
    why = str(error) or type(error).__name__
    if isinstance(error, aiohttp.ClientSSLError):
        return errors.GatewayError(f"{what}: {base_url} cannot be trusted: {why}")
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return errors.ConnectError(f"{what}: {base_url} cannot be reached: {why}")
    if began:
        return errors.AnswerLostError(f"{what}: the answer of {base_url} broke off: {why}")
    return errors.ConnectionLostError(f"{what}: {base_url} did not answer: {why}")


async def _whole(response: aiohttp.ClientResponse, what: str) -> Answer:
    body = bytearray()
    async for piece in response.content.iter_chunked(_PIECE_BYTES):
        body += piece
        if len(body) > _MOST_ANSWER_BYTES:
            raise errors.GatewayError(
                f"{what} was answered with more than {_MOST_ANSWER_BYTES} bytes"
            )
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, bytes(body))


def _key_of(request: Request) -> bytes:
    """By caller and full request; a digest, so that no credential is kept in it."""
    said = "\n".join(
        [request.target, *(request.fields.get(each, "") for each in ("X-API-Key", "Authorization"))]
    )
    return hashlib.sha256(said.encode()).digest()
