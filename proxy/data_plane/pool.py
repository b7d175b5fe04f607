"""The connections to one endpoint: take one, give it back, let it expire.

Last in, first out, bounded, with a bounded queue in order of arrival. Knows nothing of requests;
whether a connection can be used again it asks the connection.
"""

import asyncio
import contextlib
import ssl
from collections import deque
from collections.abc import Iterator

from proxy import errors
from proxy.data_plane.upstream import Upstream
from proxy.descriptors import is_shortage
from proxy.registry.snapshot import Endpoint
from proxy.registry.tls import TlsContexts
from proxy.wire.reader import HeadLimits

# An upstream that says `Keep-Alive: timeout=N` may close at N: we must have let go by then.
_LET_GO_BEFORE_S = 1.0


class Pool:
    """All connections to one endpoint; each counts from before its connect to its end."""

    def __init__(self, endpoint: Endpoint, limits: HeadLimits, tls: TlsContexts) -> None:
        self.endpoint = endpoint
        self.busy = 0  # calls that hold a connection, or wait for one
        self.connects = 0
        self.connect_failures = 0
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._idle: list[Upstream] = []
        self._open = 0
        self._waiters: deque[asyncio.Future[Upstream | None]] = deque()
        self._retired = False
        self._tls = tls

    def __repr__(self) -> str:
        return f"<Pool {self.idle} idle, {self._open - self.idle} busy, {self.queued} queued>"

    @property
    def idle(self) -> int:
        return len(self._idle)

    @property
    def queued(self) -> int:
        return len(self._waiters)

    # --- take and give back ---

    def take_kept(self) -> Upstream | None:
        """A kept connection, the one that was used last; `give_back` must follow. None: `take`."""
        idle = self._idle
        while idle and self.busy < self.endpoint.server.limits.max_requests:
            upstream = idle.pop()
            upstream.on_idle_loss = None
            # Given back in this millisecond (uvloop's time knows no less), it has not lain idle:
            # what nobody asked for may as well be on the wire still.
            if upstream.kept_at == self._loop.time() or upstream.quiet:
                self.busy += 1
                return upstream
            self._drop(upstream)
        return None

    async def take(self) -> Upstream:
        """A new connection, or one that another call gives back; `give_back` must follow.

        Raises `QueueFullError`, `QueueTimeoutError`, `ConnectFailedError`, `ConnectTimeoutError`.
        """
        limits = self.endpoint.server.limits
        if self.busy >= limits.max_requests:
            raise self._full(f"{limits.max_requests} calls are in flight")
        self.busy += 1
        try:
            return await self._take_new()
        except BaseException:
            self.busy -= 1
            raise

    def give_back(self, upstream: Upstream, now: float) -> None:
        """Keep the connection if it can be used again, else close it."""
        self.busy -= 1
        upstream.release()
        if not (upstream.reusable and self._keeps(upstream, now)):
            self._drop(upstream)
        elif self._waiters:
            self._offer(upstream)
        else:
            upstream.on_idle_loss = self
            upstream.kept_at = self._loop.time()
            self._idle.append(upstream)

    async def _take_new(self) -> Upstream:
        limits = self.endpoint.server.limits
        if self._open >= limits.max_connections and self._idle:  # a fresh one, for an idle one
            self._drop(self._idle.pop(0))
        if self._open < limits.max_connections:
            self._open += 1
            return await self._connect()
        if len(self._waiters) >= limits.max_pending:
            raise self._full(f"{limits.max_pending} calls wait for a connection")
        handed = await self._wait_in_line(limits.queue_timeout_s)
        if handed is None:  # a place, in which to connect
            return await self._connect()
        return handed

    async def _wait_in_line(self, longest_s: float) -> Upstream | None:
        waiter: asyncio.Future[Upstream | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(longest_s):
                return await waiter
        except TimeoutError:
            self._pass_on(waiter)
            raise errors.QueueTimeoutError(
                f"No connection to {self.endpoint.namespace} became free within {longest_s:g} s",
                retry_after_s=1,
            ) from None
        except asyncio.CancelledError:
            self._pass_on(waiter)
            raise

    def _pass_on(self, waiter: asyncio.Future[Upstream | None]) -> None:
        """The waiter leaves the line; what it was handed in the same moment goes to the next."""
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)
        if not waiter.done() or waiter.cancelled():
            return
        upstream = waiter.result()
        if upstream is not None:
            self._offer(upstream)
        else:
            self._free_a_place()

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

    def _offer(self, upstream: Upstream) -> None:
        if self._waiters:
            for waiter in self._next_waiters():
                waiter.set_result(upstream)
                return
        upstream.on_idle_loss = self
        self._idle.append(upstream)

    def _drop(self, upstream: Upstream) -> None:
        upstream.close()
        self._free_a_place()

    def _free_a_place(self) -> None:
        for waiter in self._next_waiters():
            waiter.set_result(None)
            return
        self._open -= 1

    def _next_waiters(self) -> Iterator[asyncio.Future[Upstream | None]]:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                yield waiter

    def _full(self, why: str) -> errors.QueueFullError:
        return errors.QueueFullError(
            f"The queue of {self.endpoint.namespace} is full: {why}", retry_after_s=1
        )

    # --- connections that come and go by themselves ---

    async def _connect(self) -> Upstream:
        """Connect in a place that is ours already; the place is freed when that fails."""
        server = self.endpoint.server
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
                self._free_a_place()
                raise errors.NoDescriptorError(
                    f"No descriptor is left to reach {server.namespace}", retry_after_s=1
                ) from None
            self._failed()
            raise errors.ConnectFailedError(
                f"No connection to {server.namespace}: {_reason(error)}"
            ) from None
        except BaseException:
            self._free_a_place()
            raise
        self.connects += 1
        return upstream

    def _failed(self) -> None:
        self.connect_failures += 1
        self._free_a_place()

    async def _opened(self) -> Upstream:
        address = self.endpoint.address
        if address.scheme == "unix":
            _, upstream = await self._loop.create_unix_connection(self._new, address.socket)
            return upstream
        tls = self.endpoint.server.tls
        context = await self._tls.of(tls) if address.scheme == "https" else None
        name = (tls and tls.server_name) or address.host
        _, upstream = await self._loop.create_connection(
            self._new,
            address.host,
            address.port,
            ssl=context,
            server_hostname=name if context else None,
        )
        return upstream

    def _new(self) -> Upstream:
        return Upstream(self._limits)

    def forget(self, upstream: Upstream) -> None:
        """An idle connection is gone (see `upstream.IdleLoss`)."""
        self._idle.remove(upstream)
        self._free_a_place()

    def expire(self, now: float) -> None:
        """Close what has been idle for as long as it may."""
        for upstream in [upstream for upstream in self._idle if upstream.expires_at <= now]:
            self._idle.remove(upstream)
            self._drop(upstream)

    def retire(self) -> None:
        """The endpoint is gone: close what is idle, let calls finish, keep nothing."""
        self._retired = True
        for upstream in self._idle:
            upstream.close()
        self._open -= len(self._idle)
        self._idle.clear()


class Pools:
    """Every endpoint's pool, made when first asked for."""

    def __init__(self, limits: HeadLimits, tls: TlsContexts) -> None:
        self._limits = limits
        self._tls = tls
        self._pools: dict[Endpoint, Pool] = {}

    def of(self, endpoint: Endpoint) -> Pool:
        pool = self._pools.get(endpoint)
        if pool is None:
            pool = Pool(endpoint, self._limits, self._tls)
            if endpoint.gone:  # a last call of an older generation: nothing is kept for it
                pool.retire()
            else:
                self._pools[endpoint] = pool
        return pool

    def __iter__(self) -> Iterator[Pool]:
        return iter(self._pools.values())

    def forget(self, endpoints: list[Endpoint]) -> None:
        """The registry has no such endpoints any more."""
        for endpoint in endpoints:
            pool = self._pools.pop(endpoint, None)
            if pool is not None:
                pool.retire()

    def expire(self, now: float) -> None:
        for pool in self._pools.values():
            pool.expire(now)

    def close(self) -> None:
        self.forget(list(self._pools))


def _reason(error: OSError) -> str:
    """Why, for a caller: what happened, without addresses of machines behind us."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed"
    return (error.strerror or type(error).__name__).lower()
