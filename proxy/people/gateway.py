"""A running sidecar, asked once each time: documents, lists, streams.

Nothing is repeated but a stream that was there: a person sees what is wrong, and asks again.
"""

from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self

import aiohttp

from proxy.client import errors
from proxy.client.answers import document_of
from proxy.client.codec import mapping
from proxy.client.deadline import after, until
from proxy.client.error_handler import ErrorHandler
from proxy.client.http import HttpTransport, Request
from proxy.client.listing import LARGEST_PAGE, Page, all_pages, page_of, page_target
from proxy.client.models import Event
from proxy.client.retry import RetryConfig
from proxy.client.session import Connections
from proxy.client.sse import SseTransport
from proxy.people.asking import Asking

Told = Callable[[int, object], None]


class Gateway:
    """One sidecar, for the time of one command; raises `GatewayError` for what it does not give."""

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self._connections = Connections(max_connections=2)
        self._http = HttpTransport(asking.url, self._connections, ErrorHandler(None, None))

    def __repr__(self) -> str:
        return f"<Gateway {self.asking.url}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()
        await self._connections.close()

    async def document(self, target: str, what: str) -> object:
        """What is there now, as JSON."""
        request = Request(target=target, what=what, fields=self.asking.fields())
        async with until(after(self.asking.answer_within_s, asked=True), what):
            answer = await self._http.attempt(request)
        return document_of(answer.body, what)

    async def rows(self, path: str, key: str, told: Told, server: str | None = None) -> Page:
        """All rows of a list, each once; `told` hears how many there are so far, and of how many.

        Every page may take as long as an answer may.
        """
        have = 0

        async def fetch(page: int, *, fresh: bool) -> Page:
            nonlocal have
            _ = fresh  # nothing is kept here
            target = page_target(path, page, LARGEST_PAGE, server=server)
            document = await self.document(target, key)
            found = page_of(document, key, key)
            have = len(found.rows) + (0 if page == 1 else have)
            told(have, mapping(document).get("total"))
            return found

        return await all_pages(fetch, key, fresh=True)

    def stream(self, target: str, last_event_id: str = "") -> AsyncGenerator[Event, None]:
        """Events as they come. Refused at first, it is refused; broken later, it goes on."""
        request = Request(target=target, what="events", fields=self.asking.fields())
        transport = SseTransport(self.asking.url, self._connections, RetryConfig(max_attempts=1))
        return transport.stream(request, last_event_id)


def sentence_of(error: errors.GatewayError, url: str) -> str:
    """Why it failed, for a person."""
    if isinstance(error, errors.RetryExhaustedError):
        error = error.last
    if isinstance(error.__cause__, aiohttp.ClientConnectorDNSError):
        return f"The host of {url} is not known: is the URL right?"
    if error.nothing_sent:
        return f"Nothing answers at {url}: is the sidecar running?"
    return error.detail
