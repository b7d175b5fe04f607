"""The connections of one client: made when first needed, in the loop that runs then.

Calls share a pool. Streams have connections of their own, so that they cannot use the pool up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from proxy.client.errors import ClientClosedError, GatewayError

_CONNECT_WITHIN_S: Final = 5.0


def base_url_of(url: str) -> str:
    """A gateway's URL without its last slash; raises `ValueError` for what is none."""
    try:
        parsed = URL(url)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the URL cannot be read: {error}") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError("the URL must begin with http:// or https:// and name a host")
    if parsed.user is not None or parsed.password is not None:
        raise ValueError("the URL must not hold a password; use api_key")
    if parsed.query_string or parsed.fragment:
        raise ValueError("the URL must end with its path, without query or fragment")
    return str(parsed).rstrip("/")


class Connections:
    """A session for calls and one for streams, of the loop in which the first was needed."""

    def __init__(self, max_connections: int) -> None:
        if max_connections < 1:
            raise ValueError("max_connections must be at least 1")
        self._max = max_connections
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls: aiohttp.ClientSession | None = None
        self._streams: aiohttp.ClientSession | None = None
        self._uses: set[asyncio.Timeout] = set()
        self.closed = False

    def __repr__(self) -> str:
        return f"<Connections max={self._max} closed={self.closed}>"

    @property
    def calls(self) -> aiohttp.ClientSession:
        self.require_open()
        if self._calls is None:
            self._calls = _session(self._max)
        return self._calls

    @property
    def streams(self) -> aiohttp.ClientSession:
        self.require_open()
        if self._streams is None:
            self._streams = _session(0)
        return self._streams

    def require_open(self) -> None:
        """Raise `ClientClosedError` after `close`, `GatewayError` in another event loop."""
        if self.closed:
            raise ClientClosedError("This client is closed; make a new one")
        running = asyncio.get_running_loop()
        self._loop = self._loop or running
        if self._loop is not running:
            raise GatewayError("This client belongs to another event loop; make one in each")

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """Something is waited for; `refuse` ends it with `ClientClosedError`.

        aiohttp closes a session's connections without a word to who reads from them.
        """
        self.require_open()
        interruption = asyncio.timeout(None)
        try:
            async with interruption:
                self._uses.add(interruption)
                try:
                    yield
                finally:
                    self._uses.discard(interruption)
        except TimeoutError:
            if interruption.expired():
                raise ClientClosedError("This client was closed meanwhile") from None
            raise

    def refuse(self) -> None:
        """Nothing new from here on, and an end to what is waited for."""
        self.closed = True
        for interruption in self._uses:
            interruption.reschedule(asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close what is open; once more does nothing."""
        self.refuse()
        for session in (self._calls, self._streams):
            if session is not None:
                await session.close()


def _session(limit: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit),
        headers={"User-Agent": "toolproxy-client"},
        cookie_jar=aiohttp.DummyCookieJar(),  # one caller's cookie is not another's
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN_S),
    )
