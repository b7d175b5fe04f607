"""What the rooms of the data plane are to one another, and what they all share.

Declared in one place, since the way of a call is also the way of its interruptions: an exchange
talks to a caller's connection, and the connection to whatever answers. Decides nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol

from proxy import errors
from proxy.data_plane.pool import Pools
from proxy.policy import browser
from proxy.policy.grants import Visitor
from proxy.policy.repeats import Kept, Repeats
from proxy.registry.snapshot import Route, Snapshot
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.forwarding import Caller, Certificate
from proxy.wire.head import RequestHead
from proxy.wire.problem import Problem
from proxy.wire.reader import HeadLimits

# How long the rest of a body may take once it can change nothing any more (nginx: lingering).
LINGER_S: Final = 5.0
_KEPT_BYTES: Final = 288 * 1024  # of an answer: 256 KiB of body, and its head
_STRETCH_S: Final = 15.0  # as often as Prometheus asks, or nearly


class Rules(NamedTuple):
    """What a connection is held to: the settings as they were when it was accepted."""

    heads: HeadLimits = HeadLimits()
    head_timeout_s: float = 10.0
    idle_s: float = 75.0
    read_buffer_bytes: int = 64 * 1024
    high_water_bytes: int = 256 * 1024
    low_water_bytes: int = 64 * 1024
    half_close: bool = False


class Entryway(NamedTuple):
    """What holds for every connection of one listener."""

    serves: Literal["all", "admin", "routes"] = "all"
    scheme: bytes = b"http"
    port: int = 0  # of ours; nought where there is none, as for a Unix socket
    peer: Any = None  # whom a load balancer says that it brings; mypyc knows no `object` here
    # Of what TLS knows: the certificate that the caller showed.
    certificate_of: Callable[[Any], Certificate | None] | None = None


class Handler(Protocol):
    """What answers one request: an exchange, or the bridge to the control plane."""

    due_at: float

    async def run(self) -> None: ...

    def outlive(self, task: "asyncio.Task[None]") -> bool:
        """The caller has left: is what the task does for them to go on?"""

    def overdue(self, now: float) -> errors.ProxyError | None:
        """`due_at` has come: what is wrong; or nothing, and a later `due_at`."""

    def request_piece(self, payload: bytes) -> None:
        """More of the body, or (with nothing) its end."""

    def pause_answer(self) -> None: ...

    def resume_answer(self) -> None: ...


class ControlSession(Protocol):
    """The control plane's side of one connection."""

    def handler(self, head: RequestHead) -> Handler: ...

    def close(self) -> None: ...


class CallerSide(Protocol):
    """All that an exchange needs of the caller's connection."""

    caller: Caller
    due_at: float  # loop time at which the handler's `overdue` is asked

    body_complete: bool

    @property
    def awaits_body(self) -> bool:
        """Is it the caller who keeps the rest of its body waiting, and not we?"""

    def stays_open(self) -> bool:
        """May another request follow this one?"""

    def last(self) -> None:
        """None may: close once this is answered."""

    def send(self, data: bytes) -> None: ...

    def send_problem(self, parts: Problem) -> int:
        """How many bytes its body had."""

    def take_body(self) -> bytes:
        """The payload that came before anyone asked; from now on it comes by `request_piece`."""

    async def body_begun(self) -> None:
        """Wait for the first payload, or the end."""

    async def body_more(self) -> None:
        """Wait for more of the body, or its end."""

    async def body_end(self) -> None:
        """Wait until the request's body is over."""

    def limit_body(self, most_bytes: int) -> None:
        """Interrupt with `BodyTooLargeError` when it is, or becomes, larger; raises if it is."""

    def trailers(self) -> list[bytes]: ...

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...

    def hand_over(self, side: asyncio.Protocol, leave: Callable[[], None]) -> bytes:
        """All that comes from now on is the side's; gives what has come already.

        `leave` is called when the connection is to end soon, `connection_lost` when it has.
        """

    def connection_lost(self, exc: Exception | None) -> None: ...

    def break_off(self, *, reset: bool) -> None:
        """End the connection so that it can't be taken for the end of an answer."""

    def interruption(self) -> errors.ProxyError | None:
        """Why the task was cancelled; None when the caller is gone."""


class Worst:
    """The largest of what was seen lately: in this stretch of 15 s, or the one before."""

    def __init__(self) -> None:
        self._until = 0.0
        self._now_s = 0.0
        self._before_s = 0.0

    @property
    def seconds(self) -> float:
        return max(self._now_s, self._before_s)

    def see(self, seconds: float, now: float) -> None:
        if now >= self._until:
            self._until = now + _STRETCH_S
            self._before_s, self._now_s = self._now_s, 0.0
        self._now_s = max(self._now_s, seconds)


class Census(Protocol):
    """How many callers are connected, wherever they came in."""

    def count(self, here: int) -> int:
        """So many are here: how many in all?"""


class HasSnapshot(Protocol):
    """Where the live table is: replaced whole, so an exchange takes it once."""

    current: Snapshot

    def tick(self, now: float) -> None:
        """Let time pass for whatever it changes."""


class Admission(Protocol):
    """Who says who may call what, and how often (see `admission.stage`)."""

    asks_who: bool
    counts_together: bool  # with other sidecars, or processes of this one

    def at_once(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float] | None:
        """Who sent these fields over a connection, and until when that holds, if it is known now.

        Raises `UnauthenticatedError`.
        """

    async def identify(
        self, noted: Mapping[bytes, bytes], now: float, certificate: Certificate | None
    ) -> tuple[Visitor, float]:
        """The same, if it has to be found out."""

    def judges(self, namespace: str) -> bool:
        """Does a policy decide about each call of the server?"""

    async def judge(
        self, visitor: Visitor, route: Route, body: bytes, address: bytes, request_id: bytes
    ) -> bytes:
        """The body that may go on; raises `ForbiddenError`, and for a body that can't be judged."""

    def limits_of(self, visitor: Visitor, address: bytes, route: Route) -> tuple[Any, ...]:
        """The limits to how often they may call it."""

    def take(self, limits: tuple[Any, ...]) -> bytes:
        """One more call: field lines for its answer; raises `RateLimitedError`."""

    async def take_together(self, limits: tuple[Any, ...]) -> bytes:
        """The same, with other sidecars."""


class Ledger(Protocol):
    """Calls with an Idempotency-Key, where other processes carry calls too."""

    async def begin(self, scope: bytes, key: bytes, digest: bytes) -> Kept | int | None:
        """The answer; or a number, when it is for us to make; None: there is no room.

        Waits while an equal one is being made. Raises `Mismatch`.
        """

    def finish(self, serial: int, kept: Kept | None) -> None:
        """It is made; None: it can't be given again, or it failed by our own fault."""


class Plane:
    """What every exchange of this sidecar shares. The mutable fields have one owner: the door."""

    def __init__(
        self,
        instance: str,
        registry: HasSnapshot,
        pools: Pools,
        publish: Callable[[ExchangeRecord], None],
        publish_refusal: Callable[[ExchangeRecord], None],
    ) -> None:
        self.instance = instance
        self.via = b"1.1 " + instance.encode()
        self.registry = registry
        self.pools = pools
        self.publish = publish  # what became of a call
        self.publish_refusal = publish_refusal  # of what did not become one
        self.date = b""  # as in the Date field, renewed every half second
        self.now = 0.0  # the loop's time as of the last sweep: good enough for what is idle
        self.late_at = float("-inf")  # when the loop was held up last, by its own time
        self.lags = Worst()  # by how much
        self.cors: browser.CorsRules | None = None
        self.max_timeout_s = 600.0
        self.admission: Admission | None = None  # while there is anything to admit by
        self.repeats = Repeats(most_each_bytes=_KEPT_BYTES)
        self.ledger: Ledger | None = None
        self.outliving: dict[asyncio.Task[None], Handler] = {}  # calls whose callers have left
        self.ending = False  # no call may outlive its caller any more
        self.tunnels = 0  # that are open
        self.held_bytes = 0  # of bodies that had to be read before their calls could go
        self.sampled_below: bytes | None = None  # see `trace.sampling_bound`
