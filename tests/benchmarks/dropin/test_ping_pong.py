"""Callers and echo against each other, without a proxy between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from benchmarks.dropin import frames
from benchmarks.dropin.echo import Echo
from benchmarks.dropin.ping_pong import CONNECTIONS, play
from benchmarks.processes import UnusableError

pytestmark = pytest.mark.sockets


@asynccontextmanager
async def serving(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


class Deafened(Echo):
    """Hangs up at the first message."""

    def _answer(self, frame: bytes, payload_bytes: int) -> None:
        del frame, payload_bytes
        self._transport.close()


class Mumbling(Echo):
    """Says something else."""

    def _answer(self, frame: bytes, payload_bytes: int) -> None:
        del frame
        self._transport.write(frames.message(payload_bytes, masked=False).upper())


@pytest.mark.parametrize("payload_bytes", [32, 16 * 1024])
async def test_messages_go_to_and_fro(payload_bytes: int) -> None:
    async with serving(Echo) as port:
        score = await play(port, "/ws", payload_bytes, 0.05)

    assert score.failed == 0
    assert score.round_trips >= CONNECTIONS
    assert 0 < score.p50_ms <= score.p99_ms


async def test_other_words_than_those_sent_are_failures() -> None:
    async with serving(Mumbling) as port:
        score = await play(port, "/ws", 32, 0.05)

    assert (score.round_trips, score.failed) == (CONNECTIONS, CONNECTIONS)


async def test_no_score_is_made_when_nobody_answers() -> None:
    async with serving(Deafened) as port:
        with pytest.raises(UnusableError, match="no message came back"):
            await play(port, "/ws", 32, 0.05)


async def test_a_refusal_is_said_in_its_own_words() -> None:
    class Refusing(Echo):
        def _begin(self) -> None:
            self._transport.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")

    async with serving(Refusing) as port:
        with pytest.raises(UnusableError, match=r"no WebSocket: b'HTTP/1\.1 403 Forbidden'"):
            await play(port, "/ws", 32, 0.05)


async def test_the_echo_answers_a_probe_and_a_goodbye() -> None:
    async with serving(Echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        probed = await reader.readuntil(frames.END_OF_HEAD)
        writer.write(frames.opening("/ws"))
        opened = await reader.readuntil(frames.END_OF_HEAD)
        writer.write(frames.close(masked=True))
        rest = await reader.read()
        writer.close()

    assert probed.startswith(b"HTTP/1.1 200 ")
    assert opened.startswith(b"HTTP/1.1 101 ")
    assert rest == frames.close(masked=False)
