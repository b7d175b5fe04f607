"""WebSockets through the real command: real clients and servers, and bytes as they are."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest

from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, ok
from tests.support.origin import Ending, Origin, Script, Visit
from tests.support.scripts import answers, echo
from tests.support.sidecar import NEVER_OPENS, Sidecar, registry, server
from tests.support.waiting import eventually
from tests.support.websocket_echo import EchoServer
from tests.support.websockets import SWITCHED, asks, frame

MIB = 1024 * 1024
FLOOD_BYTES = 32 * MIB


@pytest.fixture(scope="module")
def echo_server(loop_thread: LoopThread) -> Iterator[EchoServer]:
    started = EchoServer()
    loop_thread.run(started.start())
    yield started
    loop_thread.run(started.stop())


@pytest.fixture(scope="module")
def shared_origin(loop_thread: LoopThread) -> Iterator[Origin]:
    started = Origin(echo)
    loop_thread.run(started.start())
    yield started
    loop_thread.run(started.stop())


def servers(echo_url: str, origin_url: str) -> str:
    return registry(
        server("e", echo_url, passthrough=True),
        server("o", origin_url, passthrough=True),
    )


@pytest.fixture(scope="module")
def shared_sidecar(
    echo_server: EchoServer, shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    text = servers(echo_server.url, shared_origin.url)
    lenient = {"defaults": {"circuit": NEVER_OPENS}}
    sidecar = Sidecar(tmp_path_factory.mktemp("websocket"), text, lenient)
    yield sidecar
    sidecar.close()


@pytest.fixture
def origin(shared_origin: Origin) -> Origin:
    shared_origin.forget(echo)
    return shared_origin


@pytest.fixture
def sidecar(shared_sidecar: Sidecar) -> Iterator[Sidecar]:
    yield shared_sidecar
    shared_sidecar.assert_no_traceback()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def switches(then: Script) -> Script:
    """Say 101, then do this."""

    async def script(visit: Visit) -> None:
        await visit.send(SWITCHED)
        await then(visit)

    return script


async def waits(visit: Visit) -> None:
    await visit.connection.reader.read()


def joined(sidecar: Sidecar, *, receive_buffer_bytes: int | None = None) -> Caller:
    """A caller with a WebSocket to the origin."""
    caller = sidecar.caller(receive_buffer_bytes=receive_buffer_bytes)
    caller.send(asks("/servers/o/chat"))
    caller.until(b"\r\n\r\n")
    return caller


def tunnels(sidecar: Sidecar) -> float:
    line = next(
        line
        for line in sidecar.get("/metrics").body.splitlines()
        if line.startswith(b"toolproxy_tunnels_open")
    )
    return float(line.split()[1])


def stands_still(number: Callable[[], int]) -> bool:
    """Has it grown, and for a tenth of a second not any more?"""
    before = number()
    time.sleep(0.1)
    return bool(before) and number() == before


# --- clients and servers as people have them ---


async def test_messages_come_back(sidecar: Sidecar, session: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{sidecar.port}/servers/e/echo?x=1"
    large = bytes(range(256)) * 4096 * 4
    async with session.ws_connect(url, max_msg_size=0, compress=15) as socket:
        await socket.send_str("hello")
        await socket.send_bytes(large)
        await socket.ping(b"there?")
        came = [(await socket.receive()).data for _ in range(2)]
        open_tunnels = await asyncio.to_thread(tunnels, sidecar)

    assert (came == ["hello", large], open_tunnels, socket.close_code) == (True, 1, 1000)
    assert await asyncio.to_thread(eventually, lambda: tunnels(sidecar) == 0)


async def test_subprotocol_is_chosen_by_the_server(
    sidecar: Sidecar, session: aiohttp.ClientSession
) -> None:
    url = f"http://127.0.0.1:{sidecar.port}/servers/e/echo"
    async with session.ws_connect(url, protocols=["other", "chat"]) as socket:
        assert socket.protocol == "chat"


def test_fragments_with_a_ping_between_them_are_one_message(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(asks("/servers/e/echo"))
        caller.until(b"\r\n\r\n")
        caller.send(
            frame(b"hel", opcode=1, final=False, masked=True)
            + frame(b"there?", opcode=9, masked=True)
            + frame(b"lo", opcode=0, masked=True)
        )

        expected = frame(b"there?", opcode=10) + frame(b"hello", opcode=1)
        assert caller.some(len(expected)) == expected


def test_reload_drops_no_tunnel(sidecar: Sidecar, origin: Origin, echo_server: EchoServer) -> None:
    origin.script = switches(waits)
    still = frame(b"still", masked=True)
    with joined(sidecar) as caller:
        tunnel, origin.script = origin.connections[-1], echo
        sidecar.registry_path.write_text(registry(server("e", echo_server.url)))
        gone = eventually(lambda: sidecar.get("/servers/o/x").status == 404)
        caller.send(still)
        arrived = eventually(lambda: bytes(tunnel.raw).endswith(still))
        sidecar.registry_path.write_text(servers(echo_server.url, origin.url))
        back = eventually(lambda: sidecar.get("/servers/o/x").status == 200)

        assert (gone, arrived, back, tunnel.ending) == (True, True, True, None)


# --- bytes ---


@pytest.mark.parametrize("status", [b"400 Bad Request", b"404 Not Found"])
def test_refusal_is_an_ordinary_answer(sidecar: Sidecar, origin: Origin, status: bytes) -> None:
    origin.script = answers(ok(b"no").replace(b"200 OK", status))
    with sidecar.caller() as caller:
        caller.send(asks("/servers/o/chat"))
        refused = caller.answer("GET")
        origin.script = echo
        caller.send(get("/servers/o/x"))

        assert (refused.status, refused.body) == (int(status[:3]), b"no")
        assert caller.answer("GET").status == 200


def test_tools_are_no_websockets(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(asks("/tools/o.call"))

    assert (answer.status, origin.calls) == (405, [])


def test_half_close_is_passed_on_both_ways(sidecar: Sidecar, origin: Origin) -> None:
    async def answers_the_end(visit: Visit) -> None:
        came = await visit.connection.reader.read()
        await visit.send(b"%d bytes and the end" % len(came))

    origin.script = switches(answers_the_end)
    with joined(sidecar) as caller:
        caller.send(b"x" * 1000)
        caller.half_close()

        assert (caller.rest(), caller.was_reset) == (b"1000 bytes and the end", False)


def test_upstream_that_is_killed_resets_the_caller(sidecar: Sidecar, origin: Origin) -> None:
    async def dies(visit: Visit) -> None:
        await visit.connection.reader.readexactly(1)
        visit.reset()

    origin.script = switches(dies)
    with joined(sidecar) as caller:
        caller.send(b"x")

        assert (caller.rest(), caller.was_reset) == (b"", True)


def test_caller_that_is_killed_resets_the_upstream(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = switches(waits)
    caller = joined(sidecar)

    caller.reset()

    assert eventually(lambda: origin.connections[-1].ending is Ending.RESET)


def test_slow_reader_holds_its_own_buffers_and_nothing_more(
    sidecar: Sidecar, origin: Origin
) -> None:
    piece = bytes(range(256)) * 1024
    sent_bytes = 0

    async def floods(visit: Visit) -> None:
        nonlocal sent_bytes
        for _ in range(FLOOD_BYTES // len(piece)):
            await visit.send(piece)
            sent_bytes += len(piece)
        visit.close()

    origin.script = switches(floods)
    before = sidecar.resident_bytes()
    with joined(sidecar, receive_buffer_bytes=64 * 1024) as caller:
        stands = eventually(lambda: stands_still(lambda: sent_bytes))
        held = (stands, 0 < sent_bytes < FLOOD_BYTES)
        grown_bytes = sidecar.resident_bytes() - before
        came = hashlib.sha256(caller.rest()).hexdigest()

    whole = hashlib.sha256(piece * (FLOOD_BYTES // len(piece))).hexdigest()
    assert (held, grown_bytes < 16 * MIB, came) == ((True, True), True, whole)
