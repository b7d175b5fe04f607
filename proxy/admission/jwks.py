"""JWKS: with which keys that a server publishes may a token be signed now?

Knows how long a set holds, and when to ask for it again. Knows nothing of tokens, nor of what a
key is.
"""

import asyncio
import logging
import re
import ssl
import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from proxy.admission.key_documents import DOCUMENT_BYTES, KeySet, keys_of

_LOG = logging.getLogger("toolproxy")

_FETCH_TIMEOUT_S: Final = 2.0
_FRESH_S: Final = 600.0
_LEAST_FRESH_S: Final = 60.0
_MOST_FRESH_S: Final = 3_600.0
_RENEWED_EVERY_S: Final = 60.0
_OVERDUE_S: Final = 60.0
_RETRY_S: Final = 5.0
_KEPT_S: Final = 24 * 3_600.0
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age=([0-9]{1,9})(?![0-9])", re.IGNORECASE)


class KeysAwayError(Exception):
    """There are no keys to check anything with; says why."""


class RemoteKeys:
    """The keys that a server publishes: fetched when first needed, then kept and kept fresh.

    Raises ValueError for a URL that keys must not come from. `changed` is told when the set is
    another one; `clock` is monotonic, in seconds; `tls` is the system's when it is not given.
    """

    def __init__(
        self,
        url: str,
        pinned: frozenset[str],
        changed: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        _check_url(url)
        self._url = url
        self._pinned = pinned
        self._changed = changed
        self._clock = clock
        self._tls = tls
        self._keys: KeySet | None = None
        self._fetched_at = self._due_at = self._renewed_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._barred = False  # the set is too old to be believed before it was asked for again
        self._closed = False
        self._trouble = ""

    def __repr__(self) -> str:
        return f"<RemoteKeys {len(self._keys or ())} keys{' in trouble' * bool(self._trouble)}>"

    async def current(self) -> KeySet:
        """The set as it is known; waits only where there is none, or nobody asked for long.

        Raises KeysAwayError.
        """
        now = self._clock()
        if now >= self._due_at:
            # With calls all the time it is fetched beside them. After a silence a key may be gone
            # since long: nobody gets in on it before the answer.
            self._barred = now >= self._due_at + _OVERDUE_S
            self._fetch(now)
        if self._barred or self._keys is None:
            await self._answered()
        return self._usable()

    async def renewed(self) -> KeySet:
        """The set asked for anew, as for a key that is not in it; once a minute at most.

        Joins a fetch that runs. Raises KeysAwayError.
        """
        now = self._clock()
        if now >= self._renewed_at + _RENEWED_EVERY_S and not self._in_flight:
            self._renewed_at = now
            self._fetch(now)
        await self._answered()
        return self._usable()

    async def close(self) -> None:
        """Fetch no more; who waits for a fetch still gets its answer."""
        self._closed = True
        await self._answered()

    @property
    def _in_flight(self) -> bool:
        return self._fetching is not None and not self._fetching.done()

    def _fetch(self, now: float) -> None:
        if self._in_flight or self._closed:
            return
        self._due_at = now + _RETRY_S
        self._fetching = asyncio.get_running_loop().create_task(self._take())

    async def _answered(self) -> None:
        """Until no fetch runs; whoever is cancelled here leaves it to the others."""
        if self._fetching is not None:
            await asyncio.wait([self._fetching])

    def _usable(self) -> KeySet:
        if self._keys is None or self._clock() >= self._fetched_at + _KEPT_S:
            raise KeysAwayError(self._trouble or "nobody fetches them any more")
        return self._keys

    async def _take(self) -> None:
        """One fetch, and what came of it."""
        try:
            async with asyncio.timeout(_FETCH_TIMEOUT_S):
                body, fresh_for_s = await self._read()
            keys, _ = keys_of(body, self._pinned)
        except TimeoutError:
            self._failed(f"no answer in {_FETCH_TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError) as error:
            self._failed(f"the request failed: {type(error).__name__}")
        except ValueError as error:
            self._failed(str(error))
        else:
            self._succeeded(keys, fresh_for_s)

    async def _read(self) -> tuple[bytes, float]:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, ssl=self._tls or True),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            ) as session,
            session.get(self._url, allow_redirects=False) as answer,
        ):
            if answer.status in {301, 302, 303, 307, 308}:
                raise ValueError("the server sends us elsewhere: jwks_url must be the last address")
            if answer.status != 200:  # noqa: PLR2004 - as everybody knows it
                raise ValueError(f"the server answered {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > DOCUMENT_BYTES:
                    raise ValueError(f"the answer is larger than {DOCUMENT_BYTES} bytes")
            return bytes(body), _fresh_for_s(answer.headers.get("Cache-Control", ""))

    def _failed(self, trouble: str) -> None:
        if trouble != self._trouble:
            _LOG.warning("the keys for tokens can't be fetched: %s", trouble)
        self._trouble = trouble

    def _succeeded(self, keys: KeySet, fresh_for_s: float) -> None:
        self._trouble = ""
        self._fetched_at = self._clock()
        self._due_at = self._fetched_at + fresh_for_s
        if keys != self._keys:
            self._keys = keys
            self._changed()


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname
    if not host or parts.port == 0:
        raise ValueError("jwks_url must name a host, as in https://issuer.example/keys")
    if parts.scheme != "https" and not _is_loopback(host):
        raise ValueError(
            "jwks_url must begin with https: whoever can change the keys on their way can sign"
            " any token (http is for a loopback host only)"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _fresh_for_s(cache_control: str) -> float:
    match = _MAX_AGE.search(cache_control)
    asked_s = float(match[1]) if match else _FRESH_S
    return min(max(asked_s, _LEAST_FRESH_S), _MOST_FRESH_S)
