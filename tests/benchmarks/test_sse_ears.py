"""What subscribers note of what they hear."""

from collections.abc import Sequence

import pytest

from benchmarks.sse.ears import STAMP, Account, CountingEar, Ear, Report, Witness
from benchmarks.sse.messages import RefusedError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
MS = 1_000_000


def event(stamp_ns: int) -> bytes:
    return (
        b'id: 7\ndata: {"trace_id":"%b","status":"success"}\n\n' % STAMP.format(stamp_ns).encode()
    )


def witness(*stamps_ms: int, late_ms: int = 2) -> Witness:
    """One who has heard these calls' events, each so late."""
    one = Witness()
    one.take(HEAD, 0)
    for stamp_ms in stamps_ms:
        one.take(event(stamp_ms * MS), (stamp_ms + late_ms) * MS)
    return one


@pytest.mark.parametrize("new_ear", [CountingEar, Witness])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_every_event_is_heard_once_in_pieces_of_any_size(new_ear: type[Ear], size: int) -> None:
    ear = new_ear()
    wire = (
        HEAD + b": hi\n\n" + event(1) + event(2) + b"event: server_health\ndata: {}\n\n" + event(3)
    )

    for at in range(0, len(wire), size):
        ear.take(wire[at : at + size], 0)

    assert (ear.seated, ear.heard) == (True, 3)


@pytest.mark.parametrize("new_ear", [CountingEar, Witness])
def test_a_refusal_is_no_subscription(new_ear: type[Ear]) -> None:
    ear = new_ear()

    with pytest.raises(RefusedError, match="503"):
        ear.take(REFUSAL, 0)

    assert not ear.seated


@pytest.mark.parametrize("new_ear", [CountingEar, Witness])
def test_a_course_begins_with_nothing_heard(new_ear: type[Ear]) -> None:
    ear = new_ear()
    ear.take(HEAD + event(1), 0)

    ear.begin()
    ear.take(event(2), 0)

    assert (ear.seated, ear.heard) == (True, 1)


def test_what_is_lost_and_what_comes_twice_do_not_cancel_out() -> None:
    report = Report.of([witness(1), witness(1, 2), witness(1, 2, 2)], 2)

    assert report + report == Report(seated=6, left=0, heard=12, astray=4)


def test_delays_are_from_the_call_to_the_reading() -> None:
    said = Account.of([witness(*range(100, 150)), witness(*range(100, 150), late_ms=9)])

    assert (said.p50_ms, said.p99_ms, said.worst_ms) == (9, 9, 9)
    assert said.span_s == pytest.approx(0.058)
    assert said.event_bytes == len(event(0)) - len(b"id: 7\ndata: \n\n")


@pytest.mark.parametrize(
    ("others", "at_odds"),
    [
        ([witness(1, 2, 3)], 0),
        ([witness(1, 3)], 1),
        ([witness(1, 3, 2)], 1),
        ([witness(1, 2, 3, 3)], 3),
    ],
    ids=["same", "one-lost", "another-order", "one-twice"],
)
def test_witnesses_who_do_not_say_the_same_are_at_odds(
    others: Sequence[Witness], at_odds: int
) -> None:
    assert Account.of([witness(1, 2, 3), witness(1, 2, 3), *others]).at_odds == at_odds


def test_who_is_told_of_a_gap_is_at_odds_too() -> None:
    told = witness(1)
    told.take(b'event: gap\ndata: {"count":3}\n\n', 0)

    assert Account.of([witness(1), told]).at_odds == 1
