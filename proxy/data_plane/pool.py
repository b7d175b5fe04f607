"""The connections to one endpoint: take one, give it back, let it expire.

Last in, first out. Knows nothing of requests, nor of whose turn it is; whether a connection can be
used again it asks the connection.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from proxy import errors
from proxy.data_plane.upstream import Upstream
from proxy.descriptors import is_shortage
from proxy.registry.address import is_name
from proxy.registry.endpoint import Endpoint
from proxy.registry.tls import TlsContexts
from proxy.wire.reader import HeadLimits

# An upstream that says `Keep-Alive: timeout=N` may close at N: we must have let go by then.
_LET_GO_BEFORE_S = 1.0


class Means(NamedTuple):
    """What pools need to connect."""

    limits: HeadLimits  # of answers
    tls: TlsContexts
    resolve: Callable[[str], Awaitable[tuple[str, ...]]]  # a name's addresses; raises OSError


class Pool:
    """All connections to one endpoint; each counts from before its connect to its end.

    `siblings` are the pools of the same server, this one among them: `max_connections` is for all.
    A call that takes a connection has a permit (see `policy.limits`), of which there are no more
    than connections; so what is too many is always idle somewhere.
    """

    def __init__(self, endpoint: Endpoint, means: Means, siblings: "list[Pool]") -> None:
        self.endpoint = endpoint
        self.open = 0
        self.connects = 0
        self.connect_failures = 0
        self._means = means
        self._siblings = siblings
        self._loop = asyncio.get_running_loop()
        self._idle: list[Upstream] = []
        self._retired = False
        siblings.append(self)

    def __repr__(self) -> str:
        return f"<Pool {self.idle} idle, {self.busy} busy>"

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def busy(self) -> int:
        return self.open - len(self._idle)

    # --- take and give back ---

    def take_kept(self) -> Upstream | None:
        """A kept connection, the one used last; `give_back` must follow. None: `connect`."""
        idle = self._idle
        while idle:
            upstream = idle.pop()
            upstream.on_idle_loss = None
            # Given back in this millisecond (uvloop's time knows no less), it has not lain idle:
            # what nobody asked for may as well be on the wire still.
            if upstream.kept_at == self._loop.time() or upstream.quiet:
                return upstream
            self._drop(upstream)
        return None

    async def connect(self) -> Upstream:
        """A new connection; `give_back` must follow.

        Raises `ConnectFailedError`, `ConnectTimeoutError`, `NoRoomError`.
        """
        server = self.endpoint.server
        self._make_room(server.limits.max_connections)
        self.open += 1
        try:
            async with asyncio.timeout(server.connect_timeout_s):
                upstream = await self._opened()
        except TimeoutError:
            self._failed()
            raise errors.ConnectTimeoutError(
                f"Backend timeout: {server.namespace} (no connection in"
                f" {server.connect_timeout_s:g} s)"
            ) from None
        except OSError as error:
            if is_shortage(error):
                self.open -= 1
                raise errors.NoRoomError(
                    f"No descriptor is left to reach {server.namespace}", retry_after_s=1
                ) from None
            self._failed()
            raise errors.ConnectFailedError(
                f"No connection to {server.namespace}: {_reason(error)}"
            ) from None
        except BaseException:
            self.open -= 1
            raise
        self.connects += 1
        return upstream

    def give_back(self, upstream: Upstream, now: float) -> None:
        """Keep the connection if it can be used again, else close it."""
        upstream.release()
        if upstream.reusable and self._keeps(upstream, now):
            upstream.on_idle_loss = self
            upstream.kept_at = self._loop.time()
            self._idle.append(upstream)
        else:
            self._drop(upstream)

    def _keeps(self, upstream: Upstream, now: float) -> bool:
        if self._retired or upstream.gone:
            return False
        keepalive = self.endpoint.server.keepalive
        if keepalive.max_requests and upstream.exchanges >= keepalive.max_requests:
            return False
        kept_for_s = keepalive.idle_s
        if upstream.keep_alive_s is not None:
            kept_for_s = min(kept_for_s, upstream.keep_alive_s - _LET_GO_BEFORE_S)
        upstream.expires_at = now + kept_for_s
        return kept_for_s > 0

    def _make_room(self, most: int) -> None:
        """A new connection for idle ones, where both would be too many."""
        while sum(pool.open for pool in self._siblings) >= most:
            fullest = max(self._siblings, key=_idle_of)
            if not fullest.idle:  # the limit was lowered meanwhile: permits see to it
                return
            fullest.drop_oldest()

    def drop_oldest(self) -> None:
        """Close the idle connection that was used least lately."""
        self._drop(self._idle.pop(0))

    def _drop(self, upstream: Upstream) -> None:
        upstream.close()
        self.open -= 1

    def _failed(self) -> None:
        self.connect_failures += 1
        self.open -= 1

    async def _opened(self) -> Upstream:
        address, server = self.endpoint.address, self.endpoint.server
        if address.scheme == "unix":
            _, upstream = await self._loop.create_unix_connection(self._new, address.socket)
            return upstream
        host = self.endpoint.ip or address.host
        if not self.endpoint.ip and is_name(address):
            host = (await self._means.resolve(host))[0]
        context = await self._means.tls.of(server.tls) if address.scheme == "https" else None
        name = (server.tls and server.tls.server_name) or address.host
        _, upstream = await self._loop.create_connection(
            self._new,
            host,
            address.port,
            ssl=context,
            server_hostname=name if context else None,
        )
        return upstream

    def _new(self) -> Upstream:
        return Upstream(self._means.limits)

    # --- connections that go by themselves ---

    def forget(self, upstream: Upstream) -> None:
        """An idle connection is gone (see `upstream.IdleLoss`)."""
        self._idle.remove(upstream)
        self._drop(upstream)

    def expire(self, now: float) -> None:
        """Close what has been idle for as long as it may."""
        for upstream in [upstream for upstream in self._idle if upstream.expires_at <= now]:
            self._idle.remove(upstream)
            self._drop(upstream)

    def retire(self) -> None:
        """The endpoint is gone: close what is idle, let calls finish, keep nothing."""
        self._retired = True
        while self._idle:
            self.drop_oldest()
        if self in self._siblings:
            self._siblings.remove(self)


class Pools:
    """Every endpoint's pool, made when first asked for."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._pools: dict[Endpoint, Pool] = {}
        self._siblings: dict[str, list[Pool]] = {}  # by namespace

    def of(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        if pool is None:
            if endpoint.gone:  # a last call of an older generation: nothing is kept for it
                pool = Pool(endpoint, self._means, [])
                pool.retire()
            else:
                siblings = self._siblings.setdefault(endpoint.namespace, [])
                pool = self._pools[endpoint] = Pool(endpoint, self._means, siblings)
        return pool

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def forget(self, endpoints: list[Endpoint]) -> None:
        """The registry has no such endpoints any more."""
        for endpoint in endpoints:
            pool = self._pools.pop(endpoint, None)
            if pool is not None:
                pool.retire()
            if not self._siblings.get(endpoint.namespace):
                self._siblings.pop(endpoint.namespace, None)

    def expire(self, now: float) -> None:
        for pool in self._pools.values():
            pool.expire(now)

    def close(self) -> None:
        self.forget(list(self._pools))


def _idle_of(pool: Pool) -> int:
    return pool.idle


def _reason(error: OSError) -> str:
    """Why, for a caller: what happened, without addresses of machines behind us."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    return (error.strerror or type(error).__name__).lower()
