"""The end of a sidecar, as its subscribers see it: told to come back, and a clean end."""

import contextlib
import re
import signal
import threading
from collections.abc import Callable

import pytest

from tests.support.event_crowd import EventCrowd
from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.scripts import holds
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

NOWHERE = post("/tools/o.nothing")


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", start_origin().url))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_stream_ends_well_and_says_when_to_come_back(
    sidecar: Sidecar, version: str, number: signal.Signals
) -> None:
    with EventReader(sidecar.port, version=version) as reader:
        sidecar.signal(number)
        told = reader.rest()
        behind = reader.caller.rest()

    (retry_ms,) = reader.parser.retry_ms
    kinds = [each.event for each in told if each.event != "server_health"]  # of the first probe
    assert (kinds[-1:], behind) == (["gateway_draining"], b"")
    assert 100 <= retry_ms <= 10_000
    assert reader.text.endswith(b"retry: %d\n" % retry_ms)
    assert sidecar.exit_status(within_s=10) == 0


def test_not_all_come_back_at_once(sidecar: Sidecar) -> None:
    with EventCrowd(sidecar.port, 30) as crowd:
        assert eventually(lambda: crowd.listening == 30)
        sidecar.signal(signal.SIGTERM)
        assert sidecar.exit_status(within_s=10) == 0
        assert eventually(lambda: all(b"retry:" in stream for stream in crowd.streams()))
        retries = {re.findall(rb"retry: (\d+)\n", stream)[0] for stream in crowd.streams()}

    assert len(retries) > 10


def test_drain_is_told_to_everybody_under_load(sidecar: Sidecar) -> None:
    stopped = threading.Event()

    def call_until_stopped() -> None:
        with sidecar.caller() as caller:
            while not stopped.is_set():
                caller.send(NOWHERE)
                caller.answer()

    with EventReader(sidecar.port) as reader:
        load = threading.Thread(target=_ignoring_the_end, args=(call_until_stopped,))
        load.start()
        reader.take(200)
        sidecar.signal(signal.SIGTERM)
        told = reader.rest()
        stopped.set()
        load.join()
        assert reader.caller.rest() == b""

    assert "gateway_draining" in [each.event for each in told]
    sequences = [each.sequence for each in told]
    assert sequences == [*range(sequences[0], sequences[0] + len(told))]


def test_no_stream_begins_while_the_sidecar_drains(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call") + get("/events"))
        assert eventually(lambda: origin.calls)
        with EventReader(sidecar.port) as reader:
            sidecar.signal(signal.SIGTERM)
            reader.rest()
        gate.open()

        answers = [answer.status for answer in caller.answers_until_close()]

    assert answers in ([200, 503], [200])
    assert sidecar.exit_status(within_s=10) == 0


def test_stream_goes_on_through_the_delay(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings={"drain_delay": "1500ms"})
    kinds = "/events?types=tool_invoked,gateway_draining"
    with EventReader(sidecar.port, kinds) as before:
        sidecar.signal(signal.SIGTERM)
        before.until_kind("gateway_draining")
        with EventReader(sidecar.port, "/events?types=tool_invoked") as during:
            sidecar.ask(NOWHERE)

            assert (before.next().event, during.next().event) == ("tool_invoked", "tool_invoked")
            assert (before.rest(), during.rest()) == ([], [])
    assert sidecar.exit_status(within_s=10) == 0


def test_subscriber_who_reads_nothing_holds_up_the_end_no_longer_than_the_drain(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings={"drain_timeout": "500ms"})
    long = b"X-Chora-Trace-Id: " + b"x" * 190
    with EventReader(sidecar.port, receive_buffer_bytes=4096) as _, sidecar.caller() as caller:
        for _ in range(120):
            caller.send(post("/tools/o.nothing", long) * 50)
            for _ in range(50):
                caller.answer()

        sidecar.signal(signal.SIGTERM)

        assert sidecar.exit_status(within_s=10) == 0


def test_int_ends_streams_too(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port) as reader:
        sidecar.signal(signal.SIGINT)

        assert sidecar.exit_status(within_s=5) == 0
        reader.caller.rest()


def _ignoring_the_end(work: Callable[[], None]) -> None:
    with contextlib.suppress(AssertionError, ConnectionError):
        work()
