"""One request and its answer, stage by stage: route, admit, choose, ask, pass back, record.

Decides with `policy` and `registry`; what is carried, and how, is in `carriage`. Knows neither
sockets nor formats other than HTTP.
"""

import asyncio
import logging
from collections.abc import Coroutine
from random import random
from time import monotonic
from typing import Any, Final

from proxy import errors
from proxy.data_plane.carriage import FOREVER
from proxy.data_plane.entrance import Entrance
from proxy.data_plane.line import wait_for
from proxy.data_plane.pool import Pool
from proxy.data_plane.tunnel import Tunnel
from proxy.data_plane.upstream import Upstream
from proxy.policy import retry
from proxy.policy.limits import Gate
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.snapshot import Route
from proxy.telemetry.record import Attempt
from proxy.wire.problem import problem
from proxy.wire.websocket import SWITCHING

_LOG = logging.getLogger("toolproxy")
_FAILING: Final = frozenset({502, 503, 504})  # answers that say: not even our upstream
_DENIED: Final = frozenset({401, 403})
_NO_TICKET: Final = -1
_NONE_YET: Final[tuple[Endpoint, ...]] = ()


class Exchange(Entrance):
    """One request and its answer. `due_at` (loop time) is when `overdue` wants to be asked."""

    # On the class, as there.
    _cluster: Cluster | None = None  # whose permit the call holds
    _serial: Gate | None = None  # whose turn the call has, where calls of a tool take turns
    _endpoint: Endpoint | None = None  # of the last attempt, until it is told what came of it
    _ticket: int = _NO_TICKET  # of the circuit, likewise
    _began_at: float = 0.0
    _retrying: bool = False
    _reason: str = ""  # of the retry that is to come
    _lost: tuple[Attempt, ...] = ()  # the attempt that it is made for
    _tunnel: Tunnel | None = None  # what the call has become

    async def run(self) -> None:
        """Route, admit, carry; record whatever came of it."""
        try:
            plane = self._plane
            if plane.admission is None and not self.unusual:
                route, rest = self._route()
            else:
                route, rest = self._known_way() or await self._come_in()
            asks_again = route.coalesce or b"idempotency-key" in self._head.noted
            if asks_again and await self._join(route, rest):
                return
            cluster = self._admit(route)
            if route.serial is not None or not cluster.gate.try_enter():
                await self._take_turns(route, cluster)
            self._cluster = cluster
            await self._carry(route, cluster, rest)
            self._tell(self._record.status not in _FAILING)
            if self.unusual:
                self._remember()
        except errors.ProxyError as error:
            self._refuse(error)
        except asyncio.CancelledError:
            interruption = self._client.interruption()
            if interruption is None:
                self._record.flag = "DC"
                raise
            self._refuse(interruption)
        except Exception:  # noqa: BLE001 - a bug must not take the caller's other requests with it
            _LOG.exception("A bug of ours in %s", self._record)
            self._refuse(errors.InternalError("The sidecar failed; its log says why"))
        finally:
            self._give_back()
            self._publish()

    # --- the stages ---

    def _admit(self, route: Route) -> Cluster:
        """Can this call go at all? What is refused up to here has touched no upstream."""
        cluster = route.server.cluster
        if route.missing:
            names = ", ".join(route.missing)
            raise errors.MissingCredentialsError(f"Missing credentials for {route.name}: {names}")
        if not (cluster.circuit.closed and cluster.usable):
            cluster.check(self._plane.now)  # before it would wait in a line for nothing
        return cluster

    async def _take_turns(self, route: Route, cluster: Cluster) -> None:
        """Wait for what there is not enough of: the tool's turn, then a permit of the server."""
        limits = cluster.spec.limits
        if route.serial is not None:
            if not route.serial.try_enter():
                await wait_for(route.serial, route.name, limits.queue_timeout_s)
            self._serial = route.serial
        if not cluster.gate.try_enter():
            await wait_for(cluster.gate, cluster.spec.namespace, cluster.queue_timeout_s)
        self._look_at_clock(route)

    async def _carry(self, route: Route, cluster: Cluster, rest: bytes) -> None:
        """Try until there is an answer to pass back, or nothing more may be tried."""
        plane, client, record = self._plane, self._client, self._record
        key, failed = self._begin(route, cluster), _NONE_YET
        while True:
            endpoint = cluster.choose(key, plane.now, failed)
            self._endpoint = endpoint
            if failed:
                record.failed += self._lost
            record.endpoint = endpoint.shown
            record.attempts += 1
            endpoint.active += 1
            pool, upstream = plane.pools.of(endpoint), None
            try:
                # Where one kept connection has died, others may have: the second try has a new one.
                upstream = (None if failed else pool.take_kept()) or await pool.connect()
                if self._request_chunked or b"expect" in self._head.noted:
                    await self._prepare_body(route)
                self._pass_back(upstream, await self._ask(upstream, route, endpoint, rest), route)
                if not upstream.complete or not client.body_complete:
                    self._tell_if_endless()
                    await self._what_follows(upstream)
            except errors.UpstreamError as error:
                if not self._may_repeat(error, upstream, cluster):
                    raise
                failure = error
            else:
                return
            finally:
                endpoint.active -= 1
                if upstream is not None:
                    self._let_go(pool, upstream)
            failed = (*failed, endpoint)
            client.pause_body()  # what is sent again must be all there is so far
            await self._await_retry(cluster, failed, failure)

    def _what_follows(self, upstream: Upstream) -> Coroutine[Any, Any, None]:
        switched = self._record.status == SWITCHING
        return self._through_tunnel(upstream) if switched else self._stream(upstream)

    async def _through_tunnel(self, upstream: Upstream) -> None:
        """The two connections are one now, for as long as they last."""
        plane, record = self._plane, self._record
        self._tunnel = tunnel = Tunnel(self._client, self._ask_at)
        plane.tunnels += 1
        try:
            await tunnel.run(upstream)
        finally:
            plane.tunnels -= 1
            record.flag = tunnel.flag
            if tunnel.flag == errors.UpstreamClosedError.flag:
                record.code = errors.UpstreamClosedError.code
                record.detail = "The upstream broke off a WebSocket"
            record.request_bytes = tunnel.caller.moved_bytes
            record.response_bytes = tunnel.upstream.moved_bytes

    def _ask_at(self, due_at: float) -> None:
        self.due_at = self._client.due_at = due_at

    def _begin(self, route: Route, cluster: Cluster) -> bytes | None:
        """The circuit is told of the call; gives what an endpoint may be chosen by."""
        self._replay = b"" if route.repeatable else None
        self._began_at = self._plane.now
        circuit, affinity = cluster.circuit, route.server.affinity
        self._ticket = circuit.generation if circuit.closed else cluster.begin(_now())
        if affinity is None:
            return None
        return affinity.key_of(self._head, self._client.caller.address)

    def _let_go(self, pool: Pool, upstream: Upstream) -> None:
        self._upstream = None
        if self.unusual and self._copy is not None and upstream.trailers:
            self._stop_keeping()  # they can't be sent again
        if not self._client.body_complete:
            upstream.reusable = False  # it waits for the rest of this request
        pool.give_back(upstream, self._plane.now)

    def _refuse(self, error: errors.ProxyError) -> None:
        """Answer in our own name, or break off an answer that has begun."""
        client, record = self._client, self._record
        if self._answer_over:
            self._tell(record.status not in _FAILING)
            client.last()
            return
        if record.attempts and error.blame is errors.Blame.UPSTREAM and not self._is_excused(error):
            self._tell(well=False, code=error.code)
        record.code, record.detail = error.code, error.detail
        if error.status in _DENIED:
            record.reason = error.reason or error.code
        record.flag = record.flag or error.flag
        if self._answer_begun:
            client.break_off(reset=not self._answer_chunked)
            return
        if error.closes or not client.body_complete:
            client.last()
        self._answer_begun = True
        record.status = error.status
        parts = problem(error, self._plane.instance, self._trace, self._called)
        record.response_bytes = client.send_problem(parts)

    def _publish(self) -> None:
        record = self._record
        record.finished_at = monotonic()
        if record.code and record.reason:
            self._plane.publish_refusal(record)
        else:
            self._plane.publish(record)

    # --- what the call proves, and what it gives back ---

    def _tell(self, well: bool, code: str = "") -> None:  # noqa: FBT001 - the fact itself
        """Say once what the call has proved of its server and its last endpoint."""
        cluster, endpoint, ticket = self._cluster, self._endpoint, self._ticket
        if cluster is None or ticket == _NO_TICKET:
            return
        self._ticket = _NO_TICKET
        if well and endpoint is not None:
            cluster.succeeded(endpoint, ticket)
            if cluster.measures:
                endpoint.latency.sample(self._record.upstream_s, self._plane.now)
            return
        now = _now()
        if endpoint is not None:
            cluster.attempt_failed(endpoint, code or f"status {self._record.status}", now)
        cluster.call_failed(ticket, now)

    def _tell_if_endless(self) -> None:
        """Events may end in an hour, and how they end will say nothing of this call."""
        if self.due_at == FOREVER:
            self._tell(self._record.status not in _FAILING)

    def _is_excused(self, error: errors.ProxyError) -> bool:
        """Did time run out by our own fault, in our line, or for a caller who would not wait?

        Else one caller with a `Request-Timeout` of a millisecond could open circuits for all.
        """
        if self._hurried and not (self._answer_begun or error.nothing_sent):
            return error.by_clock
        return error.by_clock and self._plane.late_at >= self._began_at

    def _may_repeat(
        self, error: errors.UpstreamError, upstream: Upstream | None, cluster: Cluster
    ) -> bool:
        """Is the attempt worth another? Then it was this one's failure, and not yet the call's."""
        if self._answer_begun:
            return False
        rules, record, endpoint = cluster.spec.retry, self._record, self._endpoint
        reason = retry.condition(
            retry.Failure(
                sent=not error.nothing_sent,
                answered=upstream is not None and upstream.answered,
                reset=error.connection_lost,
                reused=upstream is not None and upstream.exchanges > 1,
            ),
            repeatable=self._replay is not None,
            elsewhere=cluster.has_other(endpoint),
        )
        if reason is None or reason not in rules.conditions or rules.attempts == 1:
            return False
        if record.attempts >= rules.attempts:
            record.flag = "URX"
            return False
        self._endpoint = None
        sent_at = 0.0 if error.nothing_sent else record.sent_at
        self._lost = (Attempt(record.endpoint, sent_at, monotonic(), error.code),)
        if endpoint is not None and not self._is_excused(error):
            cluster.attempt_failed(endpoint, error.code, _now())
        self._reason = reason
        return bool(cluster.usable)

    async def _await_retry(
        self, cluster: Cluster, failed: tuple[Endpoint, ...], failure: errors.UpstreamError
    ) -> None:
        """Wait until the next attempt may begin; raises the `failure` when none may any more.

        While an endpoint has not failed, a place is worth waiting for; where all have, none is.
        """
        if not self._retrying:
            if not cluster.may_retry():
                if not cluster.is_hopeful:
                    self._record.flag = "URX"
                    raise failure
                await wait_for(cluster.retries, cluster.spec.namespace, None)
            self._retrying = True
        if not cluster.has_other(failed[-1]):
            await asyncio.sleep(retry.backoff_s(len(failed), random))
        if self._ticket != cluster.circuit.generation:  # it has opened meanwhile
            raise failure
        self._record.retries += (self._reason,)

    def _give_back(self) -> None:
        cluster = self._cluster
        if self.unusual:
            self._forget()
            self._let_go_of_body()
        if self._serial is not None:
            self._serial.leave()
        if cluster is None:
            return
        cluster.gate.leave()
        if self._ticket != _NO_TICKET:  # it proved nothing
            cluster.circuit.abandon(self._ticket)
        if self._retrying:
            cluster.retries.leave()

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        if self._tunnel is None:
            return super().outlive(task)
        self._go_on(task)  # the upstream has yet to take the rest
        return True

    # --- time ---

    def overdue(self, now: float) -> errors.ProxyError | None:
        """The moment has come: what is wrong, or nothing and a later moment."""
        if self._tunnel is not None:
            self._tunnel.overdue(now)
            return None
        if not self._answer_begun:
            return self._late()
        self.due_at = self._moved_at + self._idle_timeout_s
        if self.due_at > now:
            return None
        if self._caller_full:
            return errors.RequestTimeoutError("The caller took nothing of the answer for too long")
        return errors.UpstreamTimeoutError("Nothing has moved for too long")

    def _late(self) -> errors.ProxyError:
        if self._gathering:
            return errors.RequestTimeoutError("The request's body did not come in time")
        if not (self._record.attempts or self._elsewhere):
            return errors.QueueTimeoutError(
                f"The deadline came before a turn at {self._record.server}", retry_after_s=1
            )
        if self._client.awaits_body:
            return errors.RequestTimeoutError("The request's body did not come in time")
        return errors.UpstreamTimeoutError(f"Backend timeout: {self._record.server}")


def _now() -> float:
    return asyncio.get_running_loop().time()
