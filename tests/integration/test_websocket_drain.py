"""A sidecar that drains leaves its WebSockets between two frames, with 1001."""

import signal

from tests.support.loop_thread import LoopThread
from tests.support.origin import Visit
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually
from tests.support.websockets import SWITCHED, asks, close, frame

LARGE = frame(b"x" * 300_000)
ANSWER = close(1001, masked=True)


def test_drain_waits_for_the_frame_and_completes_the_handshake(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    came = bytearray()

    async def script(visit: Visit) -> None:
        await visit.send(SWITCHED + LARGE[:1000])
        await gate.passed()
        await visit.send(LARGE[1000:] + frame(b"too late"))
        came.extend(await visit.connection.reader.readexactly(len(ANSWER)))
        await visit.send(close(1001))
        visit.close()

    sidecar = start_sidecar(server("o", start_origin(script).url, passthrough=True))
    with sidecar.caller() as caller, sidecar.caller() as silent:
        for each in (caller, silent):
            each.send(asks("/servers/o/chat"))
            each.until(b"\r\n\r\n")
            each.some(1000)
        sidecar.signal(signal.SIGTERM)
        assert eventually(lambda: sidecar.said("Draining"))
        assert not caller.has_something(within_s=0.3)
        gate.open()

        expected = LARGE[1000:] + close(1001)
        assert caller.some(len(expected)) == expected
        silent.some(len(expected))
        caller.send(ANSWER)
        assert (caller.rest(), caller.was_reset, bytes(came)) == (b"", False, ANSWER)
        silent.half_close()
    assert sidecar.exit_status(within_s=30) == 0
