"""Signals in nginx's words, and a drain that fails no call that was accepted."""

import itertools
import signal
import threading
from collections import Counter

import pytest

from tests.support.caller import NoAnswerError
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.scripts import echo, holds, streams
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

GENTLE = [signal.SIGTERM, signal.SIGQUIT]


@pytest.mark.parametrize("number", [*GENTLE, signal.SIGINT])
def test_idle_sidecar_ends_with_0(
    start_origin: StartOrigin, start_sidecar: StartSidecar, number: signal.Signals
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))
    with sidecar.caller() as idle:
        idle.send(post("/tools/o.call"))
        idle.answer()

        sidecar.signal(number)

        assert (idle.rest(), sidecar.exit_status(within_s=10)) == (b"", 0)


@pytest.mark.parametrize("number", GENTLE)
def test_call_that_was_accepted_is_answered(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    loop_thread: LoopThread,
    number: signal.Signals,
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        sidecar.signal(number)
        assert eventually(lambda: not _accepts(sidecar))
        gate.open()
        answer = caller.answer()

        assert (answer.status, answer.closes, caller.rest()) == (200, True, b"")
    assert sidecar.exit_status(within_s=10) == 0


@pytest.mark.parametrize("number", GENTLE)
def test_answer_that_has_begun_is_finished(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    loop_thread: LoopThread,
    number: signal.Signals,
) -> None:
    gate = loop_thread.gate()
    head = message(b"HTTP/1.1 200 OK", b"Content-Length: 5")
    origin = start_origin(streams(head, [b"hello"], [gate]))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        caller.until(b"\r\n\r\n")
        sidecar.signal(number)
        assert eventually(lambda: not _accepts(sidecar))
        gate.open()

        assert caller.some(5) == b"hello"
    assert sidecar.exit_status(within_s=10) == 0


def test_request_that_is_half_sent_is_answered(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    request = post("/tools/o.call", body=b"hello")
    with sidecar.caller() as caller:
        caller.send(request[:-3])
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)
        assert eventually(lambda: not _accepts(sidecar))
        caller.send(request[-3:])

        assert caller.answer().json()["body"] == "hello"
    assert sidecar.exit_status(within_s=10) == 0


@pytest.mark.slow
def test_term_under_load_fails_no_accepted_call(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    came: Counter[str] = Counter()
    answered: set[bytes] = set()
    jobs = [(sidecar, f"{number}", came, answered) for number in range(8)]
    load = [threading.Thread(target=_call_until_it_ends, args=job) for job in jobs]
    for caller in load:
        caller.start()
    assert eventually(lambda: came["200"] > 300)

    sidecar.signal(signal.SIGTERM)
    status = sidecar.exit_status(within_s=20)
    for caller in load:
        caller.join()

    print(came)  # noqa: T201
    # Closed without a word is no failure, as long as nobody had begun with the call.
    unanswered = {bytes(call.body) for call in origin.calls} - answered
    failed = set(came) - {"200", "closed without a word", "not accepted"}
    assert (status, failed, unanswered) == (0, set(), set())


def test_readiness_ends_at_once_and_accepting_after_the_delay(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), settings={"drain_delay": "1500ms"})
    assert sidecar.get("/readyz").status == 200

    sidecar.signal(signal.SIGTERM)
    assert eventually(lambda: sidecar.get("/readyz").status == 503, within_s=1)

    ready, live, call = (sidecar.get("/readyz"), sidecar.get("/livez"), _call(sidecar))
    assert (ready.status, b"draining" in ready.body, live.status, call) == (503, True, 200, 200)
    assert eventually(lambda: not _accepts(sidecar))
    assert sidecar.exit_status(within_s=10) == 0


def test_connection_that_is_idle_is_closed_by_the_drain(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as busy, sidecar.caller() as idle:
        idle.send(get("/livez"))
        idle.answer()
        busy.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)

        assert idle.rest() == b""
        gate.open()
        assert busy.answer().status == 200
    assert sidecar.exit_status(within_s=10) == 0


def test_call_that_outlasts_the_drain_is_cut(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url), settings={"drain_timeout": "300ms"})
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        sidecar.signal(signal.SIGTERM)

        assert sidecar.exit_status(within_s=10) == 0
        assert b" 200 " not in caller.rest()
    assert eventually(lambda: origin.calls[0].connection.ending)


def test_int_waits_for_nobody(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)

        sidecar.signal(signal.SIGINT)

        assert sidecar.exit_status(within_s=5) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_other_signals_do_not_end_it(
    start_origin: StartOrigin, start_sidecar: StartSidecar, number: signal.Signals
) -> None:
    origin: Origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        for _ in range(20):
            sidecar.signal(number)
            caller.send(post("/tools/o.call"))
            assert caller.answer().status == 200

    assert sidecar.ended() is None


def _accepts(sidecar: Sidecar) -> bool:
    try:
        with sidecar.caller():
            return True
    except ConnectionError:
        return False


def _call(sidecar: Sidecar) -> int:
    return sidecar.ask(post("/tools/o.call")).status


def _call_until_it_ends(
    sidecar: Sidecar, name: str, came: Counter[str], answered: set[bytes]
) -> None:
    """Call on one kept connection after another, until no connection is accepted."""
    numbers = itertools.count()
    while True:
        try:
            with sidecar.caller() as caller:
                while True:
                    body = f"{name}-{next(numbers)}".encode()
                    caller.send(post("/tools/o.call", body=body))
                    answer = caller.answer()
                    came[str(answer.status)] += 1
                    answered.add(body)
        except ConnectionRefusedError:
            came["not accepted"] += 1
            return
        except (NoAnswerError, ConnectionError):
            came["closed without a word"] += 1
        except AssertionError as error:
            came[repr(error)] += 1
            return
