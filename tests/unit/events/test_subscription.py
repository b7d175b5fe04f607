"""Facts about one who listens: what waits for him, and what he is told of what is gone."""

import orjson
import pytest

from proxy.events.event import Event, Facts, Wanted
from proxy.events.ring import Place, Ring
from proxy.events.subscription import PIECE_BYTES, Bounds, Channel, Subscription
from tests.support.event_reader import Message, Unchunked, WhatwgParser
from tests.support.fake_outlet import FakeOutlet
from tests.support.ring_looks import positions_looked_at

ODD = Wanted(frozenset({"odd"}))


class Scene:
    """A ring, and those who listen to it (see `subscription.Crowd`); nothing is scheduled."""

    def __init__(self, capacity: int, *, queue: int = 1_000, count: int = 0) -> None:
        self.ring = Ring(capacity, b"t1")
        self.bounds = Bounds()
        self.bounds.queue = queue
        self.hurried: list[Subscription] = []
        self.left: list[Subscription] = []
        self.adds(count)

    def adds(self, count: int, data: bytes = b"{}") -> None:
        for _ in range(count):
            name = self.ring.next_id()
            kind = "odd" if self.ring.sequence % 2 else "even"
            self.ring.add(Event(name, Facts(kind, "", "", ""), data))

    def joins(
        self, place: Place | None = None, wanted: Wanted | None = None, *, chunked: bool = False
    ) -> Subscription:
        channel = Channel(wanted or Wanted(), chunked=chunked)
        return Subscription(
            self.ring,
            self.bounds,
            channel,
            FakeOutlet(),
            place or self.ring.here(),
            self,
        )

    def hurry(self, one: Subscription) -> None:
        self.hurried.append(one)

    def leave(self, one: Subscription) -> None:
        self.left.append(one)


def read(one: Subscription) -> list[Message]:
    """All that waits for him."""
    text = b""
    while one.behind:
        text += one.next_piece()
    if one.channel.chunked:
        text = Unchunked().take(text)
    return WhatwgParser().feed(text)


def sequences(messages: list[Message]) -> list[tuple[str, int]]:
    return [(message.event, message.sequence) for message in messages]


async def test_who_is_new_waits_for_nothing() -> None:
    one = Scene(10, count=5).joins()

    assert (one.behind, repr(one)) == (False, "<Subscription at 5 of 5, 0 queued>")


async def test_who_comes_back_gets_what_is_there() -> None:
    scene = Scene(10, count=5)

    one = scene.joins(Place(3))

    assert [each.sequence for each in read(one)] == [4, 5]


async def test_only_what_was_asked_for_is_told() -> None:
    one = Scene(10, count=5).joins(Place(0), ODD)

    assert sequences(read(one)) == [("odd", 1), ("odd", 3), ("odd", 5)]


@pytest.mark.parametrize("chunked", [True, False])
async def test_gap_is_told_before_what_is_left(*, chunked: bool) -> None:
    one = Scene(3, count=8).joins(Place(5, 5, "expired"), chunked=chunked)

    gap, *others = read(one)

    assert (gap.event, gap.id, [each.sequence for each in others]) == ("gap", "t1-5", [6, 7, 8])
    assert orjson.loads(gap.data) == {
        "event_id": "t1-5",
        "event_type": "gap",
        "schema_version": "1.0",
        "source": "toolproxy",
        "count": 5,
        "reason": "expired",
    }


async def test_gap_with_nothing_behind_it_is_told() -> None:
    one = Scene(3).joins(Place(0, 0, "epoch"))

    (gap,) = read(one)

    assert (gap.event, gap.id, one.behind) == ("gap", "t1-0", False)


async def test_too_much_for_his_queue_drops_the_oldest_and_says_how_many() -> None:
    scene = Scene(100, queue=3)
    one = scene.joins()
    scene.adds(8)

    one.put_aside(scene.ring.end)

    gap, *others = read(one)
    assert (gap.json()["count"], gap.json()["reason"], one.dropped) == (5, "slow", 5)
    assert (gap.sequence, [each.sequence for each in others]) == (5, [6, 7, 8])


async def test_only_what_he_asked_for_is_dropped_and_counted() -> None:
    scene = Scene(100, queue=2)
    one = scene.joins(wanted=ODD)
    scene.adds(8)

    one.put_aside(scene.ring.end)

    gap, *others = read(one)
    assert (gap.json()["count"], [each.sequence for each in others]) == (2, [5, 7])


async def test_queue_is_bounded_in_bytes_too() -> None:
    scene = Scene(100)
    scene.bounds.queue_bytes = 300
    one = scene.joins()
    scene.adds(8, data=b"x" * 70)

    one.put_aside(scene.ring.end)

    assert (len(one.queue), one.queue_bytes <= 300, one.missed) == (2, True, 6)


async def test_event_larger_than_the_queue_is_dropped_and_told() -> None:
    scene = Scene(100)
    scene.bounds.queue_bytes = 300
    one = scene.joins()
    scene.adds(1, data=b"x" * 301)

    one.put_aside(scene.ring.end)

    assert [(each.event, each.json()["count"]) for each in read(one)] == [("gap", 1)]


async def test_what_waits_for_him_outlasts_the_ring() -> None:
    scene = Scene(4)
    one, picky = scene.joins(), scene.joins(wanted=ODD)
    for _ in range(2):
        scene.adds(3)
        one.put_aside(scene.ring.end)
        picky.put_aside(scene.ring.end)

    assert [each.sequence for each in read(one)] == [1, 2, 3, 4, 5, 6]
    assert [each.sequence for each in read(picky)] == [1, 3, 5]


async def test_ring_that_overtakes_who_is_told_the_past_is_a_gap_of_what_he_lost() -> None:
    scene = Scene(4, count=4)
    one = scene.joins(Place(1))
    scene.adds(3)
    one.put_aside(scene.ring.end)

    gap, *others = read(one)

    assert (gap.json()["count"], gap.json()["reason"], gap.sequence) == (2, "expired", 3)
    assert [each.sequence for each in others] == [4, 5, 6, 7]


async def test_past_without_anything_for_him_is_looked_through_in_pieces() -> None:
    scene = Scene(2_000, count=1_200)
    one = scene.joins(Place(0), Wanted(frozenset({"none"})))

    pieces = []
    while one.behind:
        pieces.append(one.next_piece())

    assert pieces == [b"", b"", b""]


async def test_ring_that_turns_before_he_is_looked_at_is_a_gap() -> None:
    scene = Scene(2)
    one = scene.joins()
    scene.adds(7)

    one.put_aside(scene.ring.end)

    gap, *others = read(one)
    assert (gap.json()["count"], [each.sequence for each in others]) == (5, [6, 7])


async def test_ring_that_turns_while_something_waits_loses_no_count() -> None:
    """What he resumes with is the last id he has: all before it is told, and no more."""
    scene = Scene(4)
    one = scene.joins()
    scene.adds(2)
    one.put_aside(scene.ring.end)
    scene.adds(7)
    one.put_aside(scene.ring.end)

    gap, *others = read(one)

    assert (gap.event, gap.json()["count"], gap.sequence) == ("gap", 5, 5)
    assert [each.sequence for each in others] == [6, 7, 8, 9]


async def test_being_overtaken_costs_what_fell_out_and_not_the_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = Scene(2_000)
    one = scene.joins(wanted=ODD)
    scene.adds(1_000)
    one.put_aside(scene.ring.end)
    scene.adds(1_000)
    one.put_aside(scene.ring.end)
    looked_at = positions_looked_at(monkeypatch)

    for _ in range(10):
        scene.adds(10)
        one.put_aside(scene.ring.end)

    assert len(looked_at) < 1_000


async def test_what_came_before_him_may_be_more_than_a_queue() -> None:
    one = Scene(100, queue=3, count=50).joins(Place(0))

    assert [each.sequence for each in read(one)] == [*range(1, 51)]


async def test_what_comes_while_the_past_is_told_has_a_queue_of_its_own() -> None:
    scene = Scene(100, queue=3, count=50)
    one = scene.joins(Place(0))
    scene.adds(3)

    one.put_aside(scene.ring.end)

    assert (one.reason, [each.sequence for each in read(one)]) == ("", [*range(1, 54)])


async def test_piece_is_bounded() -> None:
    scene = Scene(1_000, count=0)
    scene.adds(300, data=b"x" * 1_000)
    one = scene.joins(Place(0))

    pieces = []
    while one.behind:
        pieces.append(len(one.next_piece()))

    assert (len(pieces), max(pieces) < PIECE_BYTES + 2_000) == (5, True)


async def test_empty_room_is_given_back_once_the_past_is_told() -> None:
    scene = Scene(100, queue=3, count=50)
    one = scene.joins(Place(0))
    read(one)
    scene.adds(10)

    one.put_aside(scene.ring.end)

    assert len(one.queue) == 3


async def test_line_that_is_free_again_hurries_only_who_is_behind() -> None:
    scene = Scene(10)
    one = scene.joins()
    one.pause()
    one.resume()
    assert scene.hurried == []
    one.pause()
    scene.adds(1)
    one.put_aside(1)

    one.resume()

    assert scene.hurried == [one]


async def test_who_has_left_is_not_hurried() -> None:
    scene = Scene(10, count=1)
    one = scene.joins(Place(0))
    one.closed = True

    one.resume()

    assert scene.hurried == []


async def test_line_that_is_over_is_left() -> None:
    scene = Scene(10)
    one = scene.joins()

    one.over()

    assert scene.left == [one]


@pytest.mark.parametrize(("chunked", "comment"), [(True, b"5\r\n: ka\n\r\n"), (False, b": ka\n")])
async def test_comment_is_framed_as_its_channel(*, chunked: bool, comment: bytes) -> None:
    assert Channel(Wanted(), chunked=chunked).comment(b": ka\n") == comment
