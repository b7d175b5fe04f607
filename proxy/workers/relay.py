"""A control request from the worker that it reached to the office that answers it, and back.

The office answers as it would alone: it is told who connected, and where, in front of the first
byte. Knows nothing of what is asked.
"""

import asyncio
import pickle
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

from proxy import errors
from proxy.data_plane.roles import Entryway
from proxy.wire.forwarding import Caller, Certificate

_LENGTH_BYTES: Final = 4
_MOST_PREFACE_BYTES: Final = 64 * 1024
_AGAIN_S: Final = 0.05
_ONLY_ASK: Final = (b"GET ", b"HEAD ")
_THERE_WITHIN_S: Final = 3.0  # an office that is killed is back sooner


class Preface(NamedTuple):
    """What the office must know of a caller's connection that it does not have itself."""

    address: bytes
    scheme: bytes
    trusted: bool
    tls: bytes
    certificate: Certificate | None
    serves: Literal["all", "admin", "routes"]
    port: int


class Connection(Protocol):
    """What is needed here of the caller's connection."""

    caller: Caller
    entryway: Entryway

    def pause_body(self) -> None: ...

    def resume_body(self) -> None: ...


class Session(Protocol):
    """The session whose inner end this is (see `control_plane.bridge.Session`)."""

    @property
    def connection(self) -> Any: ...

    @property
    def current(self) -> object: ...

    def wrote(self, data: bytes) -> None: ...

    def refuse(self, error: errors.ProxyError) -> None: ...


def relay(path: str) -> "Callable[[Session], Relayed]":
    """What makes the inner ends of sessions: each a connection to the office."""
    return lambda session: Relayed(path, session)


class Relayed(asyncio.Protocol):
    """One caller's way to the office, opened with the first request.

    An office that is killed is back in a moment: what only asks, and was not answered yet, is asked
    again there.
    """

    def __init__(self, path: str, session: Session) -> None:
        self.protocol = _Onward(self)
        self._path = path
        self._session = session
        self._transport: asyncio.Transport | None = None
        self._preface = _written(session.connection)
        self._exchange: object = None  # of the request that was sent last
        self._waiting: list[bytes] = []  # of it, while there is no connection
        self._question = b""  # all of it, while it may have to be asked again
        self._paused = False
        self._over = False
        self._loop = asyncio.get_running_loop()
        self._opening = self._loop.create_task(self._open())

    def lose(self) -> None:
        """The caller is gone."""
        self._over = True
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    def let_go(self) -> None:
        """Never: the office's own answers go past aiohttp, not these."""

    async def _open(self) -> None:
        ends_at = self._loop.time() + _THERE_WITHIN_S
        while True:
            try:
                await self._loop.create_unix_connection(lambda: self, self._path)
            except OSError:
                if self._loop.time() > ends_at:
                    self._fail()
                    return
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    def _fail(self) -> None:
        if not self._over:
            self._over = True
            self._session.refuse(
                errors.NoHealthyEndpointError(
                    "The process that answers this is being started again; ask again in a second",
                    retry_after_s=1,
                )
            )

    # --- from the caller ---

    def send(self, data: bytes) -> None:
        if self._exchange is not self._session.current:
            self._exchange = self._session.current
            self._question = data if data.startswith(_ONLY_ASK) else b""
        else:
            self._question = b""  # it has a body
        if self._transport is not None:
            self._transport.write(data)
            return
        self._waiting.append(data)
        if len(self._waiting) > 1:
            self._session.connection.pause_body()

    def pause(self) -> None:
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    # --- from the office ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._preface + b"".join(self._waiting))
        if len(self._waiting) > 1:
            self._session.connection.resume_body()
        self._waiting.clear()
        if self._paused:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._question = b""
        if not self._over:
            self._session.wrote(data)

    def pause_writing(self) -> None:
        self._session.connection.pause_body()

    def resume_writing(self) -> None:
        self._session.connection.resume_body()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        if self._question and not self._over:
            self._waiting, self._question = [self._question], b""  # once: it may be what kills it
            self._opening = self._loop.create_task(self._open())
        else:
            self._fail()


class _Onward:
    """The caller's side of it (see `control_plane.bridge.Inside`)."""

    def __init__(self, relayed: Relayed) -> None:
        self._relayed = relayed

    def data_received(self, data: bytes) -> None:
        self._relayed.send(data)

    def pause_writing(self) -> None:
        self._relayed.pause()

    def resume_writing(self) -> None:
        self._relayed.resume()


def _written(connection: Connection) -> bytes:
    caller = connection.caller
    entryway = connection.entryway
    preface = Preface(
        caller.address,
        caller.scheme,
        caller.trusted,
        caller.tls,
        caller.certificate,
        entryway.serves,
        entryway.port,
    )
    octets = pickle.dumps(preface, pickle.HIGHEST_PROTOCOL)
    return len(octets).to_bytes(_LENGTH_BYTES, "big") + octets


class Served(Protocol):
    """The office's connection for a caller of a worker (see `data_plane.downstream`)."""

    caller: Caller

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...


class Arrival(asyncio.Protocol):
    """The office's end until the preface is read; `serve` makes what answers from then on."""

    def __init__(self, serve: Callable[[Entryway], Served], via: bytes) -> None:
        self._serve = serve
        self._via = via
        self._read = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        start = _LENGTH_BYTES
        end = start + int.from_bytes(self._read[:start], "big")
        if len(self._read) < start or self._transport is None:
            return
        if end > _MOST_PREFACE_BYTES:
            self._transport.abort()
        elif len(self._read) >= end:
            # Of our own process, in a folder that nobody else can open (see `link`).
            preface: Preface = pickle.loads(self._read[start:end])  # noqa: S301 - as it says above
            self._hand_on(self._transport, preface, self._read[end:])

    def _hand_on(self, transport: asyncio.Transport, preface: Preface, rest: bytes) -> None:
        served = self._serve(Entryway(preface.serves, preface.scheme, preface.port))
        transport.set_protocol(cast("asyncio.Protocol", served))
        served.connection_made(transport)
        served.caller = Caller(
            preface.address,
            preface.scheme,
            self._via,
            trusted=preface.trusted,
            tls=preface.tls,
            certificate=preface.certificate,
        )
        if rest:
            served.data_received(rest)
