"""The data plane without sockets: both sides of every connection played by hand, and its clock.

A test reads as a transcript of the wire. What crosses it is compared without the fields that the
sidecar adds to every head (`_OURS`): those are the business of `unit/wire/test_forwarding.py`.
"""

import asyncio
import re
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import orjson

from proxy.data_plane.door import Door, Entry
from proxy.data_plane.downstream import Downstream
from proxy.data_plane.pool import Means, Pool, Pools
from proxy.data_plane.roles import ControlSession, Entryway, Handler, Plane, Rules
from proxy.data_plane.upstream import Upstream
from proxy.registry.cluster import Cluster
from proxy.registry.snapshot import Snapshot
from proxy.registry.tls import TlsContexts
from proxy.telemetry.record import ExchangeRecord
from proxy.wire.head import RequestHead
from proxy.wire.reader import HeadLimits
from tests.support.fake_transport import FakeTransport
from tests.support.successor import successor
from tests.support.witness import Heard

ResultT = TypeVar("ResultT")

_OURS = re.compile(
    rb"(?:X-Forwarded-(?:For|Proto|Host)|Via|traceparent|X-Request-Id|X-Chora-Trace-Id|Date):"
    rb"[^\r]*\r\n"
)
_LEFT_ALONE_AFTER = 25  # turns of the loop; nothing here takes more than a few
_STARTED_AT = 1000.0


class ManualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until it is moved, and that connects to nobody."""

    def __init__(self, connect: "Connect") -> None:
        super().__init__()
        self.moment = _STARTED_AT
        self._connect = connect

    def time(self) -> float:
        return self.moment

    async def create_connection(  # type: ignore[override]  # of its many forms, the pool's one
        self, protocol_factory: Callable[[], Upstream], host: str, *_: object, **__: object
    ) -> tuple[asyncio.Transport, Upstream]:
        return await self._connect(protocol_factory, host)


class Connect(Protocol):
    """What the pool's connect comes to."""

    async def __call__(
        self, new: Callable[[], Upstream], host: str
    ) -> tuple[asyncio.Transport, Upstream]: ...


class Peer:
    """The far end of one of the sidecar's connections."""

    def __init__(self, transcript: "Transcript", transport: FakeTransport) -> None:
        self._transcript = transcript
        self.transport = transport

    def sends(self, octets: bytes) -> None:
        self._transcript.does(lambda: self.transport.receive(octets))

    def expect(self, expected: bytes | re.Pattern[bytes]) -> None:
        """All that was written to this side since it was last looked at."""
        came = _OURS.sub(b"", self.transport.take())
        if isinstance(expected, bytes):
            assert came == expected
        else:
            assert expected.fullmatch(came), came

    def expect_problem(self, status: int, code: str) -> None:
        """A whole problem, and nothing else."""
        head, _, body = self.transport.take().partition(b"\r\n\r\n")
        assert (head[:12], orjson.loads(body)["code"]) == (b"HTTP/1.1 %d" % status, code)

    def ends(self) -> None:
        """Its last byte was sent."""
        self._transcript.does(self.transport.receive_end)

    def resets(self) -> None:
        self._transcript.does(lambda: self.transport.lose(ConnectionResetError("reset")))

    def is_full(self) -> None:
        """It takes no more for now."""
        self._transcript.does(self.transport.fill)

    def takes_again(self) -> None:
        self._transcript.does(self.transport.drain)

    @property
    def fate(self) -> str:
        """What the sidecar did with the connection: `open`, `half-closed`, `closed`, …"""
        return self.transport.fate

    @property
    def host(self) -> str:
        return str(self.transport.get_extra_info("peername")[0])

    @property
    def is_read(self) -> bool:
        return self.transport.is_reading()


class Transcript:
    """One sidecar with one server `o` of two tools, `call` and (idempotent) `again`."""

    def __init__(
        self, server: str = "", rules: Rules | None = None, entry: Entry | None = None
    ) -> None:
        self.control = FakeControlPlane()
        self.loop = ManualLoop(self.opened)
        self.complaints: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.records, self.refusals = list[ExchangeRecord](), list[ExchangeRecord]()
        self.upstreams: list[Peer] = []
        self.connecting: list[Callable[[OSError | None], None]] = []
        self.connects_at_once = True
        self.dialled: list[str] = []  # every attempt to connect, by host
        self.refusing: set[str] = set()  # hosts where nobody listens
        self._sockets: list[socket.socket] = []
        self.witness = Heard()
        self.current, _ = successor(Snapshot(), self.witness, server)  # the plane's registry
        self.endpoint = next(iter(self.current.endpoints()))
        self.door = self.runs(self._build(rules or Rules(), entry or Entry()))
        self.client = self.another_client()

    async def _build(self, rules: Rules, entry: Entry) -> Door:
        pools = Pools(Means(HeadLimits(), TlsContexts(), resolves_nothing))
        plane = Plane("toolproxy-1", self, pools, self.records.append, self.refusals.append)
        door = Door(plane, self.control, rules, entry)
        door.start()
        return door

    def tick(self, now: float) -> None:
        """See `roles.HasSnapshot`."""
        self.witness.tick(now)

    @property
    def plane(self) -> Plane:
        return self.door.plane

    @property
    def cluster(self) -> Cluster:
        return self.current.servers[b"o"].cluster

    @property
    def pool(self) -> Pool:
        return self.runs(self._pool())

    async def _pool(self) -> Pool:
        return self.plane.pools.of(self.endpoint)

    @property
    def upstream(self) -> Peer:
        """The newest."""
        return self.upstreams[-1]

    # --- the wire ---

    def another_client(
        self, address: object = ("10.0.0.7", 4711), entryway: Entryway | None = None
    ) -> Peer:
        downstream = self.runs(self._accept(entryway or Entryway()))
        return Peer(self, self.connect(downstream, address))

    async def _accept(self, entryway: Entryway) -> Downstream:
        return self.door.protocol(entryway)()

    def connect(self, protocol: asyncio.Protocol, address: object) -> FakeTransport:
        """A connection for the protocol; the loop takes it up at its next turn."""
        ours, theirs = socket.socketpair()
        self._sockets += [ours, theirs]
        transport = FakeTransport(self.loop, protocol, {"peername": address, "socket": ours})
        transport.far_socket = theirs
        self.does(transport.open) if not self.loop.is_running() else transport.open()
        return transport

    def client_sends(self, octets: bytes) -> None:
        self.client.sends(octets)

    def expect_client(self, expected: bytes | re.Pattern[bytes]) -> None:
        self.client.expect(expected)

    def client_leaves(self) -> None:
        self.client.ends()

    def upstream_sends(self, octets: bytes) -> None:
        self.upstream.sends(octets)

    def expect_upstream(self, expected: bytes | re.Pattern[bytes]) -> None:
        self.upstream.expect(expected)

    def upstream_closes(self) -> None:
        self.upstream.ends()

    # --- connecting by hand ---

    async def opened(
        self, new: Callable[[], Upstream], host: str
    ) -> tuple[asyncio.Transport, Upstream]:
        """See `Connect`."""
        self.dialled.append(host)
        if not self.connects_at_once:
            connected: asyncio.Future[OSError | None] = self.loop.create_future()
            self.connecting.append(
                lambda error: None if connected.done() else connected.set_result(error)
            )
            error = await connected
            if error is not None:
                raise error
        if host in self.refusing:
            raise ConnectionRefusedError("refused")
        upstream = new()
        transport = self.connect(upstream, (host, 80))
        self.upstreams.append(Peer(self, transport))
        return transport, upstream

    def connects(self, error: OSError | None = None) -> None:
        """The oldest attempt to connect succeeds, or fails."""
        self.does(lambda: self.connecting.pop(0)(error))

    # --- time ---

    def passes(self, seconds: float) -> None:
        """Time goes by; whatever is due by then happens."""
        self.loop.moment += seconds
        self.settle()

    def settle(self) -> None:
        for _ in range(_LEFT_ALONE_AFTER):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def does(self, action: Callable[[], object]) -> None:
        self.loop.call_soon(action)
        self.settle()

    def runs(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        return self.loop.run_until_complete(work)

    def starts(self, work: Coroutine[Any, Any, ResultT]) -> "asyncio.Task[ResultT]":
        task = self.loop.create_task(work)
        self.settle()
        return task

    def close(self) -> None:
        """The end of the play: nothing may be left over, and nobody may have complained."""
        self.does(self.door.stop)
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        for each in self._sockets:
            each.close()
        assert (self.complaints, left) == ([], set())


class Begin(Protocol):
    """Begins a transcript that ends with the test (`server` adds YAML to its registry entry)."""

    def __call__(
        self, server: str = "", *, rules: Rules | None = None, entry: Entry | None = None
    ) -> Transcript: ...


class FakeControlPlane:
    """A control plane that answers nothing by itself; it keeps what it was asked."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []

    def has(self, path: bytes) -> bool:
        return path.startswith(b"/health")

    def open(self, connection: Downstream) -> ControlSession:
        session = FakeSession(connection)
        self.sessions.append(session)
        return session


class FakeSession:
    """One connection's requests for the control plane, each answered when the test says so."""

    def __init__(self, connection: Downstream) -> None:
        self.connection = connection
        self.closed = False
        self.handlers: list[FakeHandler] = []

    def handler(self, head: RequestHead) -> Handler:
        handler = FakeHandler(repr(head))
        self.handlers.append(handler)
        return handler

    def close(self) -> None:
        self.closed = True


class FakeHandler:
    """A request for the control plane: `done` is its answer's end, `told` what it was told."""

    due_at = float("inf")

    def __init__(self, head: str) -> None:
        self.head = head
        self.told: list[object] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        await self.done

    def overdue(self, now: float) -> None:
        self.told.append(now)

    def request_piece(self, payload: bytes) -> None:
        self.told.append(payload)

    def pause_answer(self) -> None:
        self.told.append("pause")

    def outlive(self, _: "asyncio.Task[None]") -> bool:
        return False

    def resume_answer(self) -> None:
        self.told.append("resume")


async def resolves_nothing(name: str) -> tuple[str, ...]:
    """Transcripts have no names."""
    raise OSError(name)
