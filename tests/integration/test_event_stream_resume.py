"""Who comes back to the event stream goes on where he was, or is told what is gone."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.caller import Caller
from tests.support.event_reader import CALLS, EventReader, Message
from tests.support.messages import post
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar

NOWHERE = post("/tools/o.nothing")  # answered by the sidecar itself, so a call costs little


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for all who come back."""
    servers = registry(server("o", "http://127.0.0.1:9"))
    settings = {"events": {"queue": 50}}  # less than what many of them have to catch up on
    shared = Sidecar(tmp_path_factory.mktemp("resume"), servers, settings)
    yield shared
    shared.close()


def told_of(sidecar: Sidecar, count: int) -> list[Message]:
    """So many calls, as a stream tells of them."""
    with EventReader(sidecar.port, CALLS) as reader, sidecar.caller() as caller:
        return [_told_of_one(reader, caller) for _ in range(count)]


def _told_of_one(reader: EventReader, caller: Caller) -> Message:
    caller.send(NOWHERE)
    caller.answer()
    return reader.next()


def test_last_event_id_leads_on(sidecar: Sidecar) -> None:
    first, second, third = told_of(sidecar, 3)

    with EventReader(sidecar.port, CALLS, f"Last-Event-ID: {first.id}") as reader:
        assert reader.take(2) == [second, third]


def test_browser_may_give_it_in_the_query(sidecar: Sidecar) -> None:
    first, second, _ = told_of(sidecar, 3)

    with EventReader(sidecar.port, f"{CALLS}&last_event_id={first.id}") as reader:
        assert reader.next() == second


def test_header_wins_over_the_query(sidecar: Sidecar) -> None:
    first, second, third = told_of(sidecar, 3)

    with EventReader(
        sidecar.port, f"{CALLS}&last_event_id={first.id}", f"Last-Event-ID: {second.id}"
    ) as reader:
        assert reader.next() == third


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/audit/stream",
        "/api/v1/events?types=tool_invoked",
        "/events?server=&types=tool_invoked",
    ],
)
def test_every_stream_can_be_resumed(sidecar: Sidecar, path: str) -> None:
    first, second, _ = told_of(sidecar, 3)

    with EventReader(sidecar.port, path, f"Last-Event-ID: {first.id}") as reader:
        assert reader.next() == second


def test_plain_stream_is_resumed_too(sidecar: Sidecar) -> None:
    first, second, third = told_of(sidecar, 3)

    with EventReader(sidecar.port, CALLS, f"Last-Event-ID: {first.id}", version="1.0") as reader:
        assert reader.take(2) == [second, third]


def test_newest_id_leads_to_what_comes(sidecar: Sidecar) -> None:
    *_, last = told_of(sidecar, 2)

    with EventReader(sidecar.port, CALLS, f"Last-Event-ID: {last.id}") as reader:
        (following,) = told_of(sidecar, 1)

        assert reader.next() == following


@pytest.mark.parametrize(
    "last_id",
    [
        pytest.param("nonsense", id="nonsense"),
        pytest.param("-", id="dash"),
        pytest.param("t0-1", id="of-another-epoch"),
        pytest.param("1700000000000-0", id="of-a-bus"),
        pytest.param("9" * 20_000, id="huge"),
        pytest.param("t1-" + "9" * 20_000, id="huge-number"),
        pytest.param("é", id="utf-8"),
        pytest.param("\udcff\udcfe", id="no-utf-8"),
        pytest.param('"quoted"', id="quoted"),
        pytest.param("{epoch}-999999", id="of-the-future"),
        pytest.param("{epoch}-", id="without-a-number"),
        pytest.param("{epoch}--1", id="negative"),
        pytest.param("{epoch}-1.5", id="fraction"),
        pytest.param("{epoch}-" + "9" * 10_000, id="of-the-far-future"),
    ],
)
def test_id_that_was_never_given_is_a_gap_and_then_all_there_is(
    sidecar: Sidecar, last_id: str
) -> None:
    told = told_of(sidecar, 2)
    last_id = last_id.replace("{epoch}", told[0].id.rpartition("-")[0])

    with EventReader(sidecar.port, CALLS, f"Last-Event-ID: {last_id}") as reader:
        gap, *others = reader.until(lambda message: message == told[-1])

    assert (gap.event, gap.json()["reason"], others[-2:]) == ("gap", "epoch", told)


def test_empty_id_is_none(sidecar: Sidecar) -> None:
    told_of(sidecar, 2)

    with EventReader(sidecar.port, CALLS, "Last-Event-ID:") as reader:
        (following,) = told_of(sidecar, 1)

        assert reader.next() == following


def test_gap_tells_how_much_fell_out_and_its_id_leads_on(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings={"events": {"ring": 4}})
    told = told_of(sidecar, 10)
    with EventReader(sidecar.port, "/events", f"Last-Event-ID: {told[0].id}") as reader:
        gap = reader.next()
        held = reader.take(4)

    with EventReader(sidecar.port, "/events", f"Last-Event-ID: {gap.id}") as reader:
        again = reader.take(4)

    assert (gap.event, gap.json()["reason"]) == ("gap", "expired")
    assert gap.json()["count"] == held[0].sequence - told[0].sequence - 1
    assert again == held


def test_sidecar_that_was_restarted_tells_a_gap(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    url = start_origin().url
    before = start_sidecar(server("o", url))
    last = told_of(before, 2)[-1]
    before.close()
    after = start_sidecar(server("o", url))

    with EventReader(after.port, "/events", f"Last-Event-ID: {last.id}") as reader:
        gap = reader.next()
        reader.until_kind("gateway_started")

    assert (gap.event, gap.json()["reason"]) == ("gap", "epoch")
    with EventReader(after.port, "/events", f"Last-Event-ID: {gap.id}") as reader:
        assert reader.next().event != "gap"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_subscriber_who_is_killed_100_times_misses_nothing(sidecar: Sidecar, version: str) -> None:
    stopped = threading.Event()

    def call_until_stopped() -> None:
        with sidecar.caller() as caller:
            while not stopped.wait(0.01):  # the ring must hold what he has not read yet
                caller.send(NOWHERE * 10)
                for _ in range(10):
                    caller.answer()

    calls = threading.Thread(target=call_until_stopped)
    got: list[Message] = []
    with ExitStack() as stack:
        stack.callback(calls.join)
        stack.callback(stopped.set)
        with EventReader(sidecar.port, CALLS) as reader:
            calls.start()
            got += reader.take(1)
        for life in range(100):
            resumed = f"Last-Event-ID: {got[-1].id}"
            with EventReader(sidecar.port, CALLS, resumed, version=version) as reader:
                got += reader.take(1 + life % 7)
                if life % 2:
                    reader.caller.reset()

    sequences = [message.sequence for message in got]
    others = [message for message in got if message.event != "tool_invoked"]
    missed = set(range(sequences[0], sequences[-1] + 1)) - set(sequences)
    assert (others, missed - _of_others(sidecar, missed)) == ([], set())
    assert all(one < next_one for one, next_one in itertools.pairwise(sequences))


def _of_others(sidecar: Sidecar, sequences: set[int]) -> set[int]:
    """Those of them that were no calls."""
    if not sequences:
        return set()
    with EventReader(sidecar.port, "/events", "Last-Event-ID: all") as reader:
        told = reader.until(lambda each: each.event != "gap" and each.sequence >= max(sequences))
    return {each.sequence for each in told if each.event not in {"tool_invoked", "gap"}}
