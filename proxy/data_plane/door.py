"""The one door: who is let in, who answers, and what is due when.

Every connection of the listener is known here, from accept to end; so are the sweep that keeps all
their time limits, and the drain. Knows nothing of bytes.
"""

import asyncio
import ipaddress
import logging
from email.utils import formatdate
from http import HTTPStatus
from random import getrandbits
from time import monotonic
from typing import Final, NamedTuple, Protocol

from proxy import errors
from proxy.data_plane.downstream import Downstream
from proxy.data_plane.entrance import INVOKE
from proxy.data_plane.exchange import Exchange
from proxy.data_plane.roles import ControlSession, Handler, Plane, Rules
from proxy.descriptors import Shortage
from proxy.policy import browser, routing
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import Caller, connection_field
from proxy.wire.head import RequestHead
from proxy.wire.trace import trace_of

_LOG = logging.getLogger("toolproxy")
# One timer for all limits in time: late by half of this on average, and free for a call.
SWEEP_S: Final = 0.05
# Held up for so long, it may be that what did not happen in time did not happen for us.
_LATE_S: Final = 0.1
# While draining, a connection that was used this lately may have its next request on the way.
_RECENT_S: Final = 1.0
_DATE_FOR_S: Final = 0.5
_SAY_EVERY_S: Final = 10.0
# So many who were turned away may wait for their answer to arrive; each holds a descriptor.
_MOST_LINGERING: Final = 64
_CALLS: Final = (routing.TOOLS, routing.SERVERS)
# Asked by address, by whoever keeps us running; they say nothing that rebinding could steal.
_HERE: Final = frozenset({"127.0.0.1", "::1"})
_PROBES: Final = frozenset({b"/livez", b"/readyz"})

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ControlPlane(Protocol):
    """What the door needs of the control plane (see `control_plane.bridge`)."""

    def open(self, connection: Downstream) -> ControlSession: ...


class Entry(NamedTuple):
    """Who may come in, by the settings."""

    connections: int = 10_000
    origins: browser.CorsRules | None = None
    hosts: frozenset[bytes] = frozenset()  # none: any
    trusted: tuple[Network, ...] = ()


class Door:
    """Everything behind the listening socket. `rules` and `entry` may be replaced at any time."""

    def __init__(self, plane: Plane, control: ControlPlane, rules: Rules, entry: Entry) -> None:
        self.operators: ControlPlane | None = None  # what is behind the listener of their own
        self.plane = plane
        self.rules = rules
        self.entry = entry
        self.draining = False
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._connections: set[Downstream] = set()
        self._dated_at = float("-inf")
        self._shortage = Shortage()
        self._refused: set[Downstream] = set()
        self._refusals = 0  # not said yet
        self._say_at = 0.0
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._sweep_due_at = float("inf")
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Door {len(self._connections)} connections>"

    @property
    def connections(self) -> int:
        return len(self._connections)

    def protocol(self) -> Downstream:
        """The factory for `loop.create_server`."""
        return Downstream(self, self.rules)

    def operators_protocol(self) -> Downstream:
        """The same, for the listener that takes the operator's endpoints away from the public."""
        return Downstream(self, self.rules, operator=True)

    # --- for a connection (see `downstream.Door`) ---

    def opened(self, connection: Downstream) -> errors.ProxyError | None:
        self._connections.add(connection)
        if len(self._connections) - len(self._refused) <= self.entry.connections:
            return None
        self._refused.add(connection)
        self._refusals += 1
        return errors.TooManyConnectionsError(
            f"{self.entry.connections} connections are open; close some or try later",
            retry_after_s=1,
        )

    def may_linger(self, connection: Downstream) -> bool:
        return connection not in self._refused or len(self._refused) <= _MOST_LINGERING

    def closed(self, connection: Downstream) -> None:
        self._connections.discard(connection)
        self._refused.discard(connection)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def caller(self, peer: object) -> Caller:
        address = str(peer[0]) if isinstance(peer, tuple) else ""
        trusted = bool(self.entry.trusted) and _among(address, self.entry.trusted)
        return Caller(address.encode(), b"http", self.plane.via, trusted=trusted)

    def handler(self, head: RequestHead, connection: Downstream) -> Handler:
        target = head.target
        if self.entry.hosts or b"origin" in head.noted:
            self._admit(head)
        if connection.operator and self.operators is not None:
            self._admit_operator(head, connection)
            return self._controlled(head, connection, self.operators)
        if target.startswith(_CALLS):
            if head.method == b"OPTIONS" and (own := self._own_options(head)) is not None:
                return _Reply(own, connection, head, self.plane)
            return Exchange(self.plane, head, connection, self._loop.time())
        if target.partition(b"?")[0] == INVOKE and head.method != b"OPTIONS":
            exchange = Exchange(self.plane, head, connection, self._loop.time())
            exchange.wrapped = exchange.unusual = True
            return exchange
        if head.method == b"OPTIONS" and (target == b"*" or self._is_preflight(head)):
            return _Reply(self._own_options(head) or b"", connection, head, self.plane)
        return self._controlled(head, connection, self._control)

    def _controlled(
        self, head: RequestHead, connection: Downstream, control: ControlPlane
    ) -> Handler:
        if connection.control is None:
            connection.control = control.open(connection)
        return connection.control.handler(head)

    def _admit(self, head: RequestHead) -> None:
        """A page elsewhere must not be able to call tools on somebody's machine."""
        if b"origin" in head.noted:
            rules = self.entry.origins or _NO_ORIGINS
            if not browser.origin_allowed(head.noted[b"origin"], head.authority, rules):
                raise errors.OriginNotAllowedError(
                    "Pages of this origin may not call here; cors.origins in the settings says who"
                )
        if (
            self.entry.hosts
            and head.target not in _PROBES
            and not browser.host_allowed(head.authority, self.entry.hosts)
        ):
            raise errors.ForbiddenError("This Host is not served; allowed_hosts in the settings is")

    def _admit_operator(self, head: RequestHead, connection: Downstream) -> None:
        """No key is asked for there, so no page may get there by a name of its own making.

        Where a browser can be, which is on the same machine; browsers may say nothing of a page.
        """
        place = connection.extra_info("sockname")
        if (
            isinstance(place, tuple)
            and str(place[0]) in _HERE
            and browser.names_a_host(head.authority)
            and head.target not in _PROBES
            and not browser.host_allowed(head.authority, self.entry.hosts)
        ):
            raise errors.ForbiddenError(
                "This listener is reached by its address, as localhost, or by a name that"
                " allowed_hosts in the settings has"
            )

    def _own_options(self, head: RequestHead) -> bytes | None:
        """The fields of our own answer to OPTIONS; None when it is for the upstream to answer."""
        if self._is_preflight(head) and self.entry.origins is not None:
            return browser.preflight_fields(head.noted, self.entry.origins)
        if head.target.startswith(routing.TOOLS):
            return b"Allow: OPTIONS, POST\r\n"
        # RFC 9110, 7.6.2: at nought hops left, the answer is ours.
        if head.target == b"*" or head.noted.get(b"max-forwards") == b"0":
            return b"Allow: DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT\r\n"
        return None

    def _is_preflight(self, head: RequestHead) -> bool:
        noted = head.noted
        return (
            self.entry.origins is not None
            and b"origin" in noted
            and b"access-control-request-method" in noted
        )

    # --- time ---

    def start(self) -> None:
        """Begin to keep time; `stop` ends it."""
        self._sweep()

    def stop(self) -> None:
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self.plane.ending = True
        for connection in list(self._connections):
            connection.cut()
        for task in list(self.plane.outliving):
            task.cancel()
        self.plane.pools.close()

    def _sweep(self) -> None:
        now = self._loop.time()
        plane = self.plane
        plane.now = now
        late_s = now - self._sweep_due_at
        plane.lags.see(max(late_s, 0.0), now)
        if late_s > _LATE_S:
            plane.late_at = now
        self._sweep_due_at = now + SWEEP_S
        self._sweep_timer = self._loop.call_at(self._sweep_due_at, self._sweep)
        if now - self._dated_at >= _DATE_FOR_S:
            self._dated_at = now
            plane.date = formatdate(usegmt=True).encode()
        for connection in [each for each in self._connections if each.due_at <= now]:
            connection.check(now)
        for task, handler in list(plane.outliving.items()):
            if handler.due_at <= now and handler.overdue(now) is not None:
                task.cancel()
        plane.pools.expire(now)
        plane.registry.tick(now)
        plane.repeats.sweep(now)
        self._shortage.look(now)
        if self._refusals and now >= self._say_at:
            self._say_refusals(now)
        if self.draining:
            self._close_idle(now)

    def _say_refusals(self, now: float) -> None:
        _LOG.warning(
            "%d callers were turned away: %d connections are open, the most that there may be",
            self._refusals,
            self.entry.connections,
        )
        self._refusals = 0
        self._say_at = now + _SAY_EVERY_S

    # --- the end ---

    async def drain(self, longest_s: float) -> bool:
        """Let every request finish that was accepted; False when time ran out for some."""
        self.draining = True
        self._emptied = self._loop.create_future()
        try:
            async with asyncio.timeout(longest_s):
                if self._connections:
                    await self._emptied
                if self.plane.outliving:
                    await asyncio.wait(self.plane.outliving)
        except TimeoutError:
            return False
        return True

    def _close_idle(self, now: float) -> None:
        for connection in list(self._connections):
            if connection.idle and connection.idle_since <= now - _RECENT_S:
                connection.drain()


class _Reply:
    """A short answer of our own, without a body (see `downstream.Handler`)."""

    due_at = float("inf")

    def __init__(
        self, fields: bytes, connection: Downstream, head: RequestHead, plane: Plane
    ) -> None:
        self._fields = fields
        self._connection = connection
        self._head = head
        self._plane = plane

    async def run(self) -> None:
        connection = self._connection
        if not connection.body_complete:
            connection.last()
        connection.send(
            b"HTTP/1.1 204 No Content\r\n"
            + self._fields
            + connection_field(
                keep_alive=connection.stays_open(), minor_version=self._head.minor_version
            )
            + b"\r\n"
        )
        trace = trace_of(self._head.noted, getrandbits)
        record = ExchangeRecord(monotonic(), self._head, connection.caller, trace)
        record.route, record.status = "unmatched", HTTPStatus.NO_CONTENT
        record.finished_at = record.started_at
        self._plane.publish_refusal(record)

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


_NO_ORIGINS: Final = browser.CorsRules(frozenset(), (), credentials=False, max_age_s=0)


def _among(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return any(ip.version == network.version and ip in network for network in networks)
