"""How it is told whom an upheaval has hurt."""

import asyncio
import threading

import pytest

from benchmarks.dropin import upheavals
from benchmarks.dropin.echo import Echo
from benchmarks.dropin.ping_pong import Player
from benchmarks.processes import LOOPBACK


@pytest.mark.sockets
async def test_a_websocket_that_brings_no_message_back_is_dropped() -> None:
    loop = asyncio.get_running_loop()
    served: list[Echo] = []

    def serve() -> Echo:
        served.append(Echo())
        return served[-1]

    server = await loop.create_server(serve, LOOPBACK[0], 0)
    port = server.sockets[0].getsockname()[1]
    players = []
    for _ in range(5):
        _, player = await loop.create_connection(lambda: Player("/ws", 32), LOOPBACK[0], port)
        await player.opened
        players.append(player)
    for echo in served[:2]:
        echo._transport.abort()

    dropped = await upheavals._dropped(players)
    server.close()
    for each in players:
        each.leave()

    assert dropped == 2


def test_calls_go_on_until_the_end_of_the_block_and_failures_are_kept() -> None:
    enough = threading.Event()
    calls: list[int] = []

    def call() -> None:
        calls.append(len(calls))
        if len(calls) > 3:
            enough.set()
            raise OSError("refused")

    with upheavals._calling(call, threads=1) as failures:
        assert enough.wait(10)

    assert len(calls) >= 4
    assert [str(each) for each in failures] == ["refused"] * (len(calls) - 3)
