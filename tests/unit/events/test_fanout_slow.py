"""Facts about the fan-out to those who are slow, who fail, or whose stream is to end."""

import asyncio

from tests.support.fake_outlet import FakeOutlet, Listening, StartStation, Station


def gaps(one: Listening) -> list[object]:
    return [message.json()["count"] for message in one.messages if message.event == "gap"]


class Failing(FakeOutlet):
    """Its connection is in a state that nobody thought of."""

    def write(self, data: bytes) -> None:
        raise RuntimeError(f"{len(data)} bytes were too many")


class FailingToEnd(FakeOutlet):
    """It can't even be ended."""

    def abort(self) -> None:
        raise OSError(9, "Bad file descriptor")


# --- who is slow ---


def test_full_line_waits_and_nobody_else_does(station: Station) -> None:
    slow, other = station.listens(), station.listens()
    slow.outlet.shut()

    for kind in "abc":
        station.tells(kind)
        station.passes()
    before = (slow.outlet.writes, other.kinds)
    slow.outlet.open()
    station.passes()

    assert (before, slow.kinds) == ((1, ["a", "b", "c"]), ["a", "b", "c"])


def test_slow_one_gets_a_gap_with_the_exact_count(start_station: StartStation) -> None:
    station = start_station(queue=3)
    slow = station.listens()
    slow.outlet.shut()
    for kind in "abcdefgh":
        station.tells(kind)
        station.passes()

    slow.outlet.open()
    station.passes()

    assert (slow.kinds, gaps(slow)) == (["a", "gap", "f", "g", "h"], [4])
    assert station.hub.fanout.dropped == 4


def test_dropped_events_are_counted_after_he_has_left(start_station: StartStation) -> None:
    station = start_station(queue=3)
    slow = station.listens()
    slow.outlet.shut()
    for _ in range(8):
        station.tells("a")
        station.passes()

    station.leaves(slow)

    assert station.hub.fanout.dropped == 4


def test_line_that_fills_again_at_once_goes_on_later(station: Station) -> None:
    station.tells(*["a"] * 2_000)
    one = station.listens(last_id=f"{station.epoch}-0", outlet=FakeOutlet(high_water_bytes=70_000))
    one.outlet.open()
    station.passes()
    one.outlet.shut()
    station.tells(*["b"] * 900)
    for _ in range(5):
        one.outlet.open()
        one.outlet.shut()
        station.passes()
    one.outlet.open()
    station.passes()

    assert [m.sequence for m in one.messages] == [*range(1, 2_901)]


def test_who_takes_nothing_for_30_s_is_sent_away(station: Station) -> None:
    stuck, idle = station.listens(), station.listens()
    stuck.outlet.shut()
    station.tells("a")

    aborted_at = _seconds_until_aborted(station, stuck, most=60)

    assert (30 <= aborted_at <= 42, idle.outlet.aborted, station.hub.fanout.stuck) == (
        True,
        False,
        1,
    )


def test_who_takes_a_little_now_and_then_stays(station: Station) -> None:
    one = station.listens()
    one.outlet.shut()
    station.tells("a")

    for _ in range(12):
        for _ in range(10):
            station.passes(1.5)
        one.outlet.take_some(1)

    assert not one.outlet.aborted


# --- what goes wrong with one ---


def test_line_that_fails_costs_only_itself(station: Station) -> None:
    crowd = [station.listens() for _ in range(10)]
    station.listens(outlet=Failing())
    crowd += [station.listens() for _ in range(10)]

    station.does(lambda: station.hub.tell("a", {}))
    station.passes()
    station.does(lambda: station.hub.tell("b", {}))
    station.passes()
    station.complaints.clear()

    assert [one.kinds for one in crowd] == [["a", "b"]] * 20


def test_line_that_cannot_be_ended_costs_only_itself(station: Station) -> None:
    stuck, other = station.listens(outlet=FailingToEnd()), station.listens()
    stuck.outlet.shut()
    station.tells("a")
    for _ in range(45):
        station.passes(1.0)

    station.tells("b")
    station.passes()
    station.complaints.clear()

    assert other.kinds == ["a", "b"]


# --- the end ---


def test_end_says_when_to_come_back_and_ends_each_stream(station: Station) -> None:
    chunked, plain = station.listens(), station.listens(chunked=False)
    retry_ms = iter([500, 1_234])

    station.loop.run_until_complete(station.hub.fanout.end_all(lambda: next(retry_ms)))

    said = {chunked.outlet.came, plain.outlet.came}
    assert said in (
        {b"b\r\nretry: 500\n\r\n", b"retry: 1234\n"},
        {b"c\r\nretry: 1234\n\r\n", b"retry: 500\n"},
    )
    assert (chunked.outlet.ended, plain.outlet.ended) == (True, True)


def test_what_has_happened_is_told_before_the_end(station: Station) -> None:
    one = station.listens()
    station.tells("a")
    station.tells("b")  # waits for more, to share a write

    station.loop.run_until_complete(station.hub.end_streams())

    assert one.kinds == ["a", "b"]


def test_nothing_is_written_behind_the_end(station: Station) -> None:
    crowd = [station.listens() for _ in range(40)]

    async def end_while_something_happens() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(station.hub.end_streams())
            await asyncio.sleep(0)
            station.hub.tell("a", {})

    station.loop.run_until_complete(end_while_something_happens())
    station.settle()

    said = [str(complaint["exception"]) for complaint in station.complaints]
    station.complaints.clear()
    assert (said, all(one.outlet.ended for one in crowd)) == ([], True)


def test_nobody_is_told_to_come_back_twice(station: Station) -> None:
    one = station.listens(chunked=False)

    for _ in range(2):
        station.loop.run_until_complete(station.hub.end_streams())

    assert one.text.count(b"retry:") == 1


def _seconds_until_aborted(station: Station, one: Listening, most: int) -> int:
    for second in range(most):
        if one.outlet.aborted:
            return second
        station.passes(1.0)
    return most
