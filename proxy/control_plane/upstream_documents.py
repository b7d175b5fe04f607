"""What upstreams say of their own generators: fetched, checked, and kept for a minute.

Nobody's answer depends on an upstream: what is not there in time is left out. Knows one document
of each server, and nothing of what it is merged into.
"""

import asyncio
import logging
import re
import socket
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from msgspec import Struct

from proxy.registry.address import Address, is_denied, is_denied_ip, parse_address
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.model import Dependencies
from proxy.registry.snapshot import LiveServer, Snapshot
from proxy.registry.tls import TlsContexts

_LOG = logging.getLogger("toolproxy.capabilities")
_MOST_BYTES: Final = 1024 * 1024
_PATIENCE_S: Final = 2.0
_KEPT_FOR_S: Final = 60.0
_FAILED_FOR_S: Final = 5.0
_AT_ONCE: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")

_FAILED: Final = frozenset({"unreachable", "unusable"})
_LONG_AGO: Final = float("-inf")

Deny = Callable[[], tuple[str, ...]]


class Generator(Struct, frozen=True, kw_only=True):
    """One generator as its server describes it."""

    type: str = ""
    status: str = "unknown"
    source: str = "upstream"
    upstream_dependencies: Dependencies | None = None
    available: bool = True


class _Document(Struct):
    generators: dict[str, Generator]


class Known(NamedTuple):
    """What is known of a server: `status` says how its document came, if it did."""

    url: str
    status: str  # merged, pending, unreachable, unusable
    generators: dict[str, Generator]
    at: float = _LONG_AGO


class UnusableError(ValueError):
    """Something came, and it is no such document; the text says why."""


class UpstreamDocuments:
    """The documents of all servers that have one; asked for only when somebody looks."""

    def __init__(self, registry: LiveRegistry, tls: TlsContexts) -> None:
        self._registry = registry
        self._tls = tls
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._clock = asyncio.get_running_loop().time
        registry.listen(self._forget)

    def __repr__(self) -> str:
        return f"<UpstreamDocuments {len(self._known)} known, {len(self._asking)} asked for>"

    async def look(self, servers: Sequence[LiveServer]) -> dict[str, Known]:
        """By namespace, what is known of those that have a document; within two seconds."""
        urls = {
            server.spec.namespace: server.spec.capabilities_url
            for server in servers
            if server.spec.capabilities_url
        }
        awaited: list[asyncio.Task[None]] = []
        for server in servers:
            if server.spec.namespace not in urls:
                continue
            known = self._of(server.spec.namespace, urls[server.spec.namespace])
            failed = known.status in _FAILED
            if self._clock() - known.at > (_FAILED_FOR_S if failed else _KEPT_FOR_S):
                task = self._ask(server)
                if not failed:  # nobody waits for one that was away a moment ago
                    awaited.append(task)
        if awaited:
            await asyncio.wait(awaited, timeout=_PATIENCE_S)
        return {name: self._of(name, url) for name, url in urls.items()}

    async def close(self) -> None:
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    def _of(self, name: str, url: str) -> Known:
        known = self._known.get(name)
        return known if known is not None and known.url == url else Known(url, "pending", {})

    def _ask(self, server: LiveServer) -> asyncio.Task[None]:
        """A task of its own, which goes on when who asked has left."""
        name = server.spec.namespace
        task = self._asking.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch(server))
            self._asking[name] = task
            task.add_done_callback(lambda _: self._asking.pop(name))
        return task

    async def _fetch(self, server: LiveServer) -> None:
        name, url = server.spec.namespace, server.spec.capabilities_url or ""
        async with self._turns:
            try:
                found = generators_in(await self._bytes(server, url))
                status, why = "merged", ""
            except UnusableError as error:
                found, status, why = {}, "unusable", str(error)
            except (aiohttp.ClientError, OSError, ValueError) as error:
                found, status, why = {}, "unreachable", type(error).__name__
        before = self._known.get(name)
        if why and (before is None or before.status != status):
            _LOG.warning("capabilities_url of %s is %s: %s", name, status, why)
        self._known[name] = Known(url, status, found, self._clock())
        self._forget(self._registry.current, [])

    async def _bytes(self, server: LiveServer, url: str) -> bytes:
        """Raises UnusableError for what is too much or no answer to this; OSError and the like."""
        connector, target = self._way(url)
        tls = server.spec.tls
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_S)
        async with (
            aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False
            ) as session,
            session.get(
                target,
                allow_redirects=False,
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                ssl=await self._tls.of(tls) if url.startswith("https:") else True,
                server_hostname=tls.server_name if tls else None,
            ) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004 - where a redirection leads is not asked
                raise UnusableError(f"it answered {answer.status}")
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise UnusableError("it is encoded, though that was not asked for")
            body = bytearray()
            async for piece in answer.content.iter_any():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise UnusableError(f"it has more than {_MOST_BYTES} bytes")
            return bytes(body)

    def _way(self, url: str) -> tuple[aiohttp.BaseConnector, str]:
        """How to get there, and what to ask for; raises PermissionError where nobody may go."""
        plain, mark, query = url.partition("?")
        address: Address = parse_address(plain)
        if is_denied(address, self._denied()):
            raise PermissionError(1, "denied by upstreams.deny")
        if address.scheme == "unix":
            target = f"http://localhost{address.base or '/'}{mark}{query}"
            return aiohttp.UnixConnector(path=address.socket, force_close=True), target
        return aiohttp.TCPConnector(force_close=True, resolver=Resolver(self._denied)), url

    def _denied(self) -> tuple[str, ...]:
        return self._registry.rules.deny

    def _forget(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        """Servers that are gone."""
        del removed
        for name in self._known.keys() - {name.decode() for name in snapshot.servers}:
            del self._known[name]


class Resolver(AbstractResolver):
    """The system's, but for addresses where nobody may go."""

    def __init__(self, denied: Deny) -> None:
        self._denied = denied
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        allowed = [each for each in found if not is_denied_ip(each["host"], self._denied())]
        if not allowed:
            raise PermissionError(1, "what the name stands for is in upstreams.deny")
        return allowed

    async def close(self) -> None:
        await self._system.close()


def generators_in(body: bytes) -> dict[str, Generator]:
    """Those of a document; raises UnusableError when it is none, or names what cannot be one."""
    try:
        found = msgspec.json.decode(body, type=_Document).generators
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UnusableError(f"it is no document of generators: {error}") from None
    if not all(map(_NAME.fullmatch, found)):
        raise UnusableError("a generator's name is 1 to 128 letters, digits, _, - and dots")
    return found
