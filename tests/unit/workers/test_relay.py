"""Facts about a control request on its way from a worker to the office, and back."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from proxy import errors
from proxy.data_plane.roles import Entryway
from proxy.wire.forwarding import Caller
from proxy.workers.relay import Arrival, Relayed, relay
from tests.support.offices import come_true

ENTRYWAY = Entryway("admin", b"https", 8443)


class Connection:
    """A caller's, at the worker."""

    def __init__(self) -> None:
        self.caller = Caller(b"10.0.0.9", b"https", b"1.1 worker", trusted=True)
        self.entryway = ENTRYWAY
        self.paused: list[bool] = []

    def pause_body(self) -> None:
        self.paused.append(True)

    def resume_body(self) -> None:
        self.paused.append(False)


class Session:
    def __init__(self) -> None:
        self.connection = Connection()
        self.current: object = object()  # the exchange that is under way
        self.written = b""
        self.refused: list[errors.ProxyError] = []

    def wrote(self, data: bytes) -> None:
        self.written += data

    def refuse(self, error: errors.ProxyError) -> None:
        self.refused.append(error)


class Served(asyncio.Protocol):
    """The office's connection for that caller: answers each piece with itself."""

    def __init__(self, entryway: Entryway, *, deaf: bool) -> None:
        self.entryway = entryway
        self.deaf = deaf
        self.caller = Caller(b"unix:", b"http", b"", trusted=False)
        self.read = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.read += data
        if not self.deaf:
            self.transport.write(b"<" + data + b">")


class Desk:
    """Where the office serves; `served` are those who came."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "callers")
        self.served: list[Served] = []
        self.deaf = False  # do they answer nothing?
        self.arrivals: list[Arrival] = []
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self._arrival, self.path)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for each in self.served:
            each.transport.abort()

    def _arrival(self) -> Arrival:
        self.arrivals.append(Arrival(self._serve, b"1.1 office"))
        return self.arrivals[-1]

    def _serve(self, entryway: Entryway) -> Served:
        self.served.append(Served(entryway, deaf=self.deaf))
        return self.served[-1]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


Begin = Callable[[], tuple[Session, Relayed]]


@pytest.fixture
async def begin(desk: Desk) -> AsyncIterator[Begin]:
    begun: list[Relayed] = []

    def start() -> tuple[Session, Relayed]:
        session = Session()
        relayed = relay(desk.path)(session)
        begun.append(relayed)
        return session, relayed

    yield start
    for each in begun:
        each.lose()


async def test_the_office_knows_who_connected_and_where(desk: Desk, begin: Begin) -> None:
    await desk.open()
    session, relayed = begin()
    relayed.protocol.data_received(b"one")

    await come_true(lambda: session.written)

    (served,) = desk.served
    caller = served.caller
    assert served.entryway == ENTRYWAY
    assert (caller.address, caller.scheme, caller.trusted) == (b"10.0.0.9", b"https", True)
    assert session.written == b"<one>"


async def test_what_follows_goes_the_same_way(desk: Desk, begin: Begin) -> None:
    await desk.open()
    session, relayed = begin()
    await come_true(lambda: desk.served)

    relayed.protocol.data_received(b"two")

    await come_true(lambda: session.written == b"<two>")


async def test_it_waits_for_an_office_that_is_about_to_be_there(desk: Desk, begin: Begin) -> None:
    session, relayed = begin()
    relayed.protocol.data_received(b"early")
    await asyncio.sleep(0)

    await desk.open()

    await come_true(lambda: session.written == b"<early>")


async def test_when_no_office_comes_the_caller_is_told_when_to_ask_again(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.relay._THERE_WITHIN_S", 0.0)
    session, _ = begin()

    await come_true(lambda: session.refused)

    assert [error.status for error in session.refused] == [503]


async def test_an_office_that_dies_in_between_is_said_once(desk: Desk, begin: Begin) -> None:
    await desk.open()
    session, relayed = begin()
    relayed.protocol.data_received(b"one")
    await come_true(lambda: session.written)

    desk.served[0].transport.abort()

    await come_true(lambda: session.refused)
    relayed.lose()
    assert len(session.refused) == 1


async def test_what_only_asks_and_was_not_answered_is_asked_again(desk: Desk, begin: Begin) -> None:
    await desk.open()
    desk.deaf = True
    session, relayed = begin()
    relayed.protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    await come_true(lambda: desk.served and desk.served[0].read)

    desk.deaf = False
    desk.served[0].transport.abort()

    await come_true(lambda: session.written == b"<GET / HTTP/1.1\r\n\r\n>")
    assert not session.refused


async def test_what_may_change_something_is_not_sent_twice(desk: Desk, begin: Begin) -> None:
    await desk.open()
    desk.deaf = True
    session, relayed = begin()
    relayed.protocol.data_received(b"POST / HTTP/1.1\r\n\r\n")
    await come_true(lambda: desk.served and desk.served[0].read)

    desk.served[0].transport.abort()

    await come_true(lambda: session.refused)
    assert len(desk.served) == 1


async def test_a_body_waits_for_the_office(desk: Desk, begin: Begin) -> None:
    session, relayed = begin()
    for piece in (b"head", b"body"):
        relayed.protocol.data_received(piece)
    held = list(session.connection.paused)

    await desk.open()

    await come_true(lambda: session.written == b"<headbody>")
    assert (held, session.connection.paused) == ([True], [True, False])


async def test_a_caller_that_leaves_ends_the_office_s_side(desk: Desk, begin: Begin) -> None:
    await desk.open()
    session, relayed = begin()
    await come_true(lambda: desk.served)

    relayed.lose()

    await come_true(desk.served[0].transport.is_closing)
    assert not session.refused


async def test_each_side_is_held_up_while_the_other_is_full(desk: Desk, begin: Begin) -> None:
    await desk.open()
    session, relayed = begin()
    await come_true(lambda: desk.served)

    relayed.pause_writing()
    relayed.resume_writing()
    relayed.protocol.pause_writing()
    desk.served[0].transport.write(b"held")
    await asyncio.sleep(0)
    held = session.written
    relayed.protocol.resume_writing()

    await come_true(lambda: session.written == b"held")
    assert (session.connection.paused, held) == ([True, False], b"")


async def test_a_preface_in_pieces_is_one(desk: Desk) -> None:
    await desk.open()
    relayed = Relayed(desk.path, Session())
    relayed.lose()
    _, writer = await asyncio.open_unix_connection(desk.path)

    for octet in relayed._preface:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0)

    await come_true(lambda: desk.served)
    writer.close()
    await writer.wait_closed()


async def test_a_preface_that_is_too_long_is_none(desk: Desk) -> None:
    await desk.open()
    reader, writer = await asyncio.open_unix_connection(desk.path)

    writer.write(b"\xff\xff\xff\xff")

    assert await reader.read() == b""
    assert not desk.served
    writer.close()
