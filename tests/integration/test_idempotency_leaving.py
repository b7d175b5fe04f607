"""`Idempotency-Key`: callers who leave and deadlines that pass change nobody else's call."""

from collections.abc import Iterator

import pytest

from tests.support.caller import Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.origin import Origin, Visit
from tests.support.pairs import Pair, running
from tests.support.scripts import answers, echo, holds, in_turn
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, server
from tests.support.waiting import eventually

REPLAYED = "idempotency-replayed"

_NUMBERS = iter(range(1 << 62))


@pytest.fixture
def key() -> bytes:
    """One that no test before has used."""
    return b"Idempotency-Key: k-%d" % next(_NUMBERS)


def servers(url: str) -> list[Server]:
    return [server("o", url, tools=["call", "other"], passthrough=True), server("p", url)]


@pytest.fixture(scope="module")
def pair(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("idempotency")
    settings = {"defaults": {"circuit": NEVER_OPENS}}
    with running(loop_thread, directory, servers, settings) as both:
        yield both


@pytest.fixture
def origin(pair: Pair) -> Origin:
    pair.origin.forget(echo)
    return pair.origin


@pytest.fixture
def sidecar(pair: Pair, origin: Origin) -> Sidecar:
    del origin
    return pair.sidecar


@pytest.mark.parametrize("leave", [Caller.leave, Caller.reset], ids=["closes", "resets"])
def test_call_goes_on_when_the_first_caller_leaves(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes, leave: object
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once")))
    with sidecar.caller() as first, sidecar.caller() as second:
        first.send(post("/tools/o.call", key))
        assert eventually(lambda: origin.calls)
        assert callable(leave)
        leave(first)
        second.send(post("/tools/o.call", key))
        second.wait_until_read()
        gate.open()
        answer = second.answer()

    assert (answer.body, answer.value(REPLAYED), len(origin.calls)) == (b"once", "true", 1)
    assert origin.calls[0].connection.ending is None


def test_answer_is_kept_when_nobody_is_there_to_take_it(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate, answered = loop_thread.gate(), []

    async def script(visit: Visit) -> None:
        await visit.send(ok(b"once"))
        answered.append(visit)

    origin.script = holds(gate, script)
    with sidecar.caller() as first:
        first.send(post("/tools/o.call", key))
        assert eventually(lambda: origin.calls)
    gate.open()
    assert eventually(lambda: answered)

    answer = sidecar.ask(post("/tools/o.call", key))

    assert (answer.body, answer.value(REPLAYED), len(origin.calls)) == (b"once", "true", 1)


def test_one_who_waits_may_leave(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once")))
    with sidecar.caller() as first, sidecar.caller() as third:
        first.send(post("/tools/o.call", key))
        assert eventually(lambda: origin.calls)
        with sidecar.caller() as second:
            second.send(post("/tools/o.call", key))
            second.wait_until_read()
        third.send(post("/tools/o.call", key))
        third.wait_until_read()
        gate.open()

        assert [first.answer().body, third.answer().body] == [b"once", b"once"]
    assert (len(origin.calls), origin.calls[0].connection.ending) == (1, None)


def test_one_who_waits_has_a_deadline_of_its_own(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate, answers(ok(b"once")))
    with sidecar.caller() as first:
        first.send(post("/tools/o.call", key))
        assert eventually(lambda: origin.calls)

        hasty = sidecar.ask(post("/tools/o.call", key, b"Request-Timeout: 0.2"))
        gate.open()

        assert (hasty.status, first.answer().body, len(origin.calls)) == (504, b"once", 1)


def test_deadline_of_the_first_is_not_kept(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    origin.script = in_turn(holds(loop_thread.gate()), answers(ok(b"second")))

    hasty = sidecar.ask(post("/tools/o.call", key, b"Request-Timeout: 0.2"))
    answer = sidecar.ask(post("/tools/o.call", key))

    assert (hasty.status, answer.body) == (504, b"second")


def test_one_who_waits_longer_than_the_first_may_gets_an_answer(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    origin.script = in_turn(holds(loop_thread.gate()), answers(ok(b"second")))
    with sidecar.caller() as first, sidecar.caller() as second:
        first.send(post("/tools/o.call", key, b"Request-Timeout: 0.5"))
        assert eventually(lambda: origin.calls)
        second.send(post("/tools/o.call", key, b"Request-Timeout: 9"))

        assert (first.answer().status, second.answer().status in {200, 504}) == (504, True)
