"""Facts about the fan-out: who gets what, when, and what one costs the others."""

from proxy.events import fanout
from proxy.events.event import Wanted
from tests.support.fake_outlet import FakeOutlet, Listening, StartStation, Station

CHUNKED_KEEP_ALIVE = b"5\r\n: ka\n\r\n"


def gaps(one: Listening) -> list[object]:
    return [message.json()["count"] for message in one.messages if message.event == "gap"]


# --- delivery ---


def test_event_after_a_silence_goes_at_once(station: Station) -> None:
    one = station.listens()

    station.tells("a")

    assert one.kinds == ["a"]


def test_events_that_follow_closely_share_a_write(station: Station) -> None:
    one = station.listens()
    station.tells("a")

    station.tells("b")
    station.tells("c")
    before = (one.kinds, one.outlet.writes)
    station.passes(fanout.ROUND_S)

    assert (before, one.kinds, one.outlet.writes) == ((["a"], 1), ["a", "b", "c"], 2)


def test_everybody_gets_every_event_once(station: Station) -> None:
    crowd = [station.listens(chunked=number % 3 > 0) for number in range(50)]

    for _ in range(10):
        station.tells("a", "b", "c")
        station.passes()

    assert {tuple(m.sequence for m in one.messages) for one in crowd} == {tuple(range(1, 31))}


def test_each_gets_what_he_asked_for(station: Station) -> None:
    a, b = (station.listens(Wanted(frozenset({kind}))) for kind in "ab")

    station.tells("a", "b", "b", "c", "a")

    assert (a.kinds, b.kinds) == (["a", "a"], ["b", "b"])


def test_who_wants_nothing_of_it_gets_no_write(station: Station) -> None:
    one = station.listens(Wanted(frozenset({"z"})))

    station.tells("a", "b")

    assert one.outlet.writes == 0


def test_same_bytes_serve_all_who_asked_for_the_same(station: Station) -> None:
    written: list[bytes] = []

    class Noting(FakeOutlet):
        def write(self, data: bytes) -> None:
            written.append(data)

    for _ in range(5):
        station.listens(outlet=Noting())
    station.tells("a", "b")

    assert len({id(data) for data in written}) == 1


def test_burst_larger_than_the_ring_is_a_gap_for_who_keeps_up(start_station: StartStation) -> None:
    station = start_station(capacity=4)
    one = station.listens()

    station.tells(*"abcdefghij")

    assert (one.kinds, gaps(one)) == (["gap", "g", "h", "i", "j"], [6])


def test_ring_made_smaller_amid_a_burst_is_a_gap_for_who_keeps_up(station: Station) -> None:
    one = station.listens()

    def shrink() -> None:
        for kind in "abcde":
            station.hub.tell(kind, {})
        station.hub.resize(1)

    station.does(shrink)

    assert (one.kinds, gaps(one)) == (["gap", "e"], [4])


# --- joining and leaving ---


def test_who_joins_between_event_and_round_gets_it_once(station: Station) -> None:
    station.listens()
    station.tells("a")
    station.tells("b")

    late, resumed = station.listens(), station.listens(last_id=f"{station.epoch}-1")
    station.tells("c")
    station.passes()

    assert (late.kinds, resumed.kinds) == (["c"], ["b", "c"])


def test_resuming_far_behind_while_events_come_has_no_gap(start_station: StartStation) -> None:
    station = start_station(queue=10)
    station.tells(*["a"] * 100)

    one = station.listens(last_id=f"{station.epoch}-0")
    station.tells("b")
    station.passes()

    assert one.kinds == ["a"] * 100 + ["b"]


def test_resuming_far_behind_amid_a_round_has_no_gap(start_station: StartStation) -> None:
    """The event is told in the same turn of the loop as he joins."""
    station = start_station(queue=10)
    station.tells(*["a"] * 100)
    outlet = FakeOutlet()

    def join_and_tell() -> Listening:
        last_id = f"{station.epoch}-0".encode()
        one = station.hub.subscribe(outlet, Wanted(), last_id, chunked=True)
        outlet.listener = one
        station.hub.tell("b", {})
        return Listening(outlet, one, chunked=True)

    one = station.does(join_and_tell)
    station.passes()

    assert one.kinds == ["a"] * 100 + ["b"]


def test_who_has_left_gets_nothing_more(station: Station) -> None:
    one, other = station.listens(), station.listens()

    station.leaves(one)
    station.leaves(one)
    station.tells("a")

    assert (one.kinds, other.kinds, repr(station.hub.fanout)) == (
        [],
        ["a"],
        "<Fanout 1 subscribers>",
    )


def test_who_leaves_amid_a_round_gets_no_more_of_it(station: Station) -> None:
    everybody: list[Listening] = []

    class Leaving(FakeOutlet):
        """Takes all others with it at its first message."""

        def write(self, data: bytes) -> None:
            super().write(data)
            for one in everybody:
                one.subscription.over()

    everybody += [station.listens(outlet=Leaving()) for _ in range(40)]
    station.tells("a")

    assert (sum(one.outlet.writes for one in everybody), station.hub.fanout.subscribers) == (1, 0)


def test_nothing_is_kept_of_those_who_left(station: Station) -> None:
    for number in range(200):
        wanted = Wanted(frozenset({f"kind-{number}"}), trace_id=str(number))
        station.leaves(station.listens(wanted, last_id="nonsense"))
    station.passes()

    left = station.hub.fanout
    assert (left._channels, left._behind, left.subscribers, left._timer) == ({}, set(), 0, None)


def test_first_after_an_empty_house_gets_nothing_old(station: Station) -> None:
    station.leaves(station.listens())
    station.tells("a")

    one = station.listens()
    station.tells("b")
    station.passes()

    assert one.kinds == ["b"]


# --- keep-alive ---


def test_quiet_stream_gets_a_comment_every_15_s(station: Station) -> None:
    chunked, plain = station.listens(), station.listens(chunked=False)

    for _ in range(64):
        station.passes(1.0)

    count = chunked.outlet.came.count(CHUNKED_KEEP_ALIVE)
    assert 3 <= count <= 4
    assert chunked.outlet.came == CHUNKED_KEEP_ALIVE * count
    assert plain.outlet.came == b": ka\n" * count


def test_comment_comes_between_messages_too(station: Station) -> None:
    one = station.listens(chunked=False)

    for _ in range(64):
        station.tells("a")
        station.passes(1.0)

    assert (one.kinds, 3 <= one.text.count(b"\n\n: ka\nevent: a\n") <= 4) == (["a"] * 64, True)


def test_who_is_behind_gets_no_comment(station: Station) -> None:
    slow = station.listens()
    slow.outlet.shut()
    station.tells("a")

    for _ in range(20):
        station.passes(1.0)

    assert slow.outlet.writes == 1


def test_shorter_keep_alive_holds_from_now_on(station: Station) -> None:
    station.hub.bounds.keepalive_s = 3600.0
    one = station.listens(chunked=False)
    station.passes(1.0)

    station.hub.bounds.keepalive_s = 5.0
    for _ in range(30):
        station.passes(1.0)

    assert one.text.startswith(b": ka\n: ka\n: ka\n")
