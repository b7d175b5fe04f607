"""The one door: who is let in, who answers, and what is due when.

Every connection of the listener is known here, from accept to end; so are the sweep that keeps all
their time limits, and the drain. Knows nothing of bytes.
"""

import asyncio
import logging
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final, NamedTuple, Protocol

from proxy import errors
from proxy.data_plane.downstream import Downstream
from proxy.data_plane.entrance import INVOKE
from proxy.data_plane.exchange import Exchange
from proxy.data_plane.reply import Reply, RoutedReply
from proxy.data_plane.roles import Census, ControlSession, Entryway, Handler, Plane, Rules
from proxy.data_plane.routed import RoutedExchange
from proxy.descriptors import Shortage
from proxy.policy import browser, routing
from proxy.policy.networks import Network, among
from proxy.policy.routes import Matched, RouteTable
from proxy.wire.forwarding import Caller, client_scheme
from proxy.wire.head import RequestHead

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
_UNIX: Final = "unix:"  # as nginx calls a peer behind a socket in the file system
_PROBES: Final = frozenset({b"/livez", b"/readyz"})


class ControlPlane(Protocol):
    """What the door needs of the control plane (see `control_plane.bridge`)."""

    def open(self, connection: Downstream) -> ControlSession: ...

    def has(self, path: bytes) -> bool:
        """Is the path one of its own?"""


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
        self.routes: RouteTable | None = None  # while there are any
        self.plane = plane
        self.rules = rules
        self.entry = entry
        self.draining = False
        self._control = control
        self._loop = asyncio.get_running_loop()
        self.census: Census | None = None  # where other processes let callers in, too
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

    def protocol(self, entryway: Entryway) -> Callable[[], Downstream]:
        """The factory for `loop.create_server`."""
        return lambda: Downstream(self, self.rules, entryway)

    # --- for a connection (see `downstream.Door`) ---

    def opened(self, connection: Downstream) -> errors.ProxyError | None:
        self._connections.add(connection)
        shown = connection.caller.certificate
        if shown is not None and shown.expired:
            return errors.ForbiddenError("The client certificate has expired; use a newer one")
        here = len(self._connections) - len(self._refused)
        if (here if self.census is None else self.census.count(here)) <= self.entry.connections:
            return None
        self._refused.add(connection)
        self._refusals += 1
        if self.census is not None:
            self.census.count(here - 1)
        return errors.TooManyConnectionsError(
            f"{self.entry.connections} connections are open; close some or try later",
            retry_after_s=1,
        )

    def may_linger(self, connection: Downstream) -> bool:
        return connection not in self._refused or len(self._refused) <= _MOST_LINGERING

    def closed(self, connection: Downstream) -> None:
        self._connections.discard(connection)
        self._refused.discard(connection)
        if self.census is not None:
            self.census.count(len(self._connections) - len(self._refused))
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def caller(self, peer: object, entryway: Entryway, secured: Any) -> Caller:
        peer = peer if entryway.peer is None else entryway.peer
        address = str(peer[0]) if isinstance(peer, tuple) else _UNIX
        read = entryway.certificate_of
        return Caller(
            address.encode(),
            entryway.scheme,
            self.plane.via,
            trusted=self.trusts(address),
            tls=b"" if secured is None else secured.version().encode(),
            certificate=read(secured) if read and secured else None,
        )

    def trusts(self, address: str) -> bool:
        """Is it believed what comes from there says of others?"""
        return bool(self.entry.trusted) and among(address, self.entry.trusted)

    def handler(self, head: RequestHead, connection: Downstream) -> Handler:
        target = head.target
        if self.entry.hosts or b"origin" in head.noted:
            self._admit(head, connection)
        if connection.entryway.serves != "all":
            return self._elsewhere(head, connection)
        if target.startswith(_CALLS):
            if head.method == b"OPTIONS" and (own := self._own_options(head)) is not None:
                return Reply(self.plane, head, connection, own)
            return Exchange(self.plane, head, connection, self._loop.time())
        if target.partition(b"?")[0] == INVOKE and head.method != b"OPTIONS":
            exchange = Exchange(self.plane, head, connection, self._loop.time())
            exchange.wrapped = exchange.unusual = True
            return exchange
        if self.routes is not None:
            again = isinstance(head.routed, Matched)  # so it was none of ours before
            if again or not self._is_ours(head, connection):
                routed = self._routed(self.routes, head, connection)
                if routed is not None:
                    return routed
        return self._ours(head, connection)

    def _ours(self, head: RequestHead, connection: Downstream) -> Handler:
        if head.method == b"OPTIONS" and (head.target == b"*" or self._is_preflight(head)):
            return Reply(self.plane, head, connection, self._own_options(head) or b"")
        return self._controlled(head, connection, self._control)

    def _elsewhere(self, head: RequestHead, connection: Downstream) -> Handler:
        """On a listener that does not serve everything."""
        if connection.entryway.serves == "admin":
            self._admit_operator(head, connection)
            return self._controlled(head, connection, self.operators or self._control)
        if self.routes is not None and head.target != b"*":
            routed = self._routed(self.routes, head, connection)
            if routed is not None:
                return routed
        raise errors.ToolNotFoundError("Nothing is served here; routes in the settings say what is")

    def _routed(
        self, routes: RouteTable, head: RequestHead, connection: Downstream
    ) -> Handler | None:
        matched = head.routed
        if not isinstance(matched, Matched) or matched.table is not routes:
            scheme = client_scheme(head, connection.caller)
            matched = routes.match(head, scheme, connection.entryway.port)
            if matched is None:
                return None
            head.routed = matched
        if head.method == b"OPTIONS" and head.noted.get(b"max-forwards") == b"0":
            return Reply(self.plane, head, connection, self._own_options(head) or b"")
        if matched.rule.to:
            return RoutedExchange(self.plane, head, connection, self._loop.time(), matched)
        return RoutedReply(self.plane, head, connection, matched)

    def _is_ours(self, head: RequestHead, connection: Downstream) -> bool:
        """Is the path a built-in one?"""
        if connection.entryway.serves != "all":
            return connection.entryway.serves == "admin"
        target = head.target
        path = target.partition(b"?")[0]
        return target.startswith(_CALLS) or path in {b"*", INVOKE} or self._control.has(path)

    def _controlled(
        self, head: RequestHead, connection: Downstream, control: ControlPlane
    ) -> Handler:
        if connection.control is None:
            connection.control = control.open(connection)
        return connection.control.handler(head)

    def _admit(self, head: RequestHead, connection: Downstream) -> None:
        """A page elsewhere must not be able to call tools on somebody's machine."""
        if b"origin" in head.noted and (self.routes is None or self._is_ours(head, connection)):
            rules = self.entry.origins or _NO_ORIGINS
            if not browser.origin_allowed(head.noted[b"origin"], head.authority, rules):
                raise errors.OriginNotAllowedError(
                    "Pages of this origin may not call here; cors.origins in the settings says who"
                )
        if (
            self.entry.hosts
            and not (head.target in _PROBES and connection.entryway.serves != "routes")
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
            if connection.tunnelled or (
                connection.idle and connection.idle_since <= now - _RECENT_S
            ):
                connection.drain()


_NO_ORIGINS: Final = browser.CorsRules(frozenset(), (), credentials=False, max_age_s=0)
