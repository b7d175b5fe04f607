"""Facts about the ring: what it holds, and where somebody goes on who comes back."""

import pytest

from proxy.events.event import Event, Facts
from proxy.events.ring import Place, Ring
from tests.support.ring_looks import positions_looked_at


def event(name: bytes) -> Event:
    return Event(name, Facts("k", "", "", ""), b"{}")


def ring(capacity: int, count: int) -> Ring:
    """A ring of epoch `t1` that has seen so many events."""
    made = Ring(capacity, b"t1")
    for _ in range(count):
        made.add(event(made.next_id()))
    return made


def stream_ring(*names: bytes, capacity: int = 10) -> Ring:
    """A ring whose events came over the bus."""
    made = Ring(capacity, b"t1")
    made.in_step = False
    for name in names:
        made.add(event(name))
    return made


def ids(made: Ring) -> list[bytes]:
    return [each.id for each in made.span(0, made.end)]


@pytest.mark.parametrize(
    ("capacity", "count", "held"),
    [(3, 0, []), (3, 2, [1, 2]), (3, 3, [1, 2, 3]), (3, 8, [6, 7, 8]), (1, 4, [4])],
)
def test_ring_holds_the_newest(capacity: int, count: int, held: list[int]) -> None:
    assert ids(ring(capacity, count)) == [b"t1-%d" % number for number in held]


def test_positions_stay_true_while_old_ones_fall_out() -> None:
    made = ring(3, 8)

    assert (made.first, made.end, made.at(5).id, repr(made)) == (5, 8, b"t1-6", "<Ring 5..8>")


@pytest.mark.parametrize("position", [-1, 4, 8, 9, 11])
def test_position_that_is_not_held_is_an_error(position: int) -> None:
    with pytest.raises(IndexError):
        ring(3, 8).at(position)


def test_span_is_cut_where_the_ring_begins() -> None:
    assert [each.id for each in ring(3, 8).span(2, 7)] == [b"t1-6", b"t1-7"]


@pytest.mark.parametrize(
    ("number", "place"),
    [
        pytest.param(8, Place(8), id="the-newest"),
        pytest.param(6, Place(6), id="one-that-is-held"),
        pytest.param(5, Place(5), id="the-newest-that-fell-out"),
        pytest.param(4, Place(5, 1, "expired"), id="one-is-missing"),
        pytest.param(0, Place(5, 5, "expired"), id="all-that-fell-out-are-missing"),
    ],
)
def test_who_comes_back_goes_on_behind_what_he_has_seen(number: int, place: Place) -> None:
    assert ring(3, 8).after(b"t1-%d" % number) == place


@pytest.mark.parametrize(
    "last_id",
    [
        b"t0-7",
        b"t1-9",
        b"t1-",
        b"t1-x",
        b"t1--7",
        b"t1-7 ",
        b"7",
        b"-7",
        b"",
        b"\xff",
        b"t1-" + b"9" * 5000,
        "t1-\u0667".encode(),
        b"1700000000000-0",
    ],
)
def test_id_that_this_epoch_never_gave_leads_to_the_oldest(last_id: bytes) -> None:
    assert ring(3, 8).after(last_id) == Place(5, 5, "epoch")


def test_id_of_another_epoch_is_not_looked_for_in_the_whole_ring(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = ring(100, 100)
    looked_at = positions_looked_at(monkeypatch)

    made.after(b"t0-50")

    assert len(looked_at) < 10


def test_everyone_who_is_new_begins_at_the_end() -> None:
    assert ring(3, 8).here() == Place(8)


def test_id_before_a_position_resumes_there() -> None:
    made = ring(3, 8)

    assert [made.after(made.id_before(at)).position for at in range(5, 9)] == [5, 6, 7, 8]


def test_id_before_the_first_event_ever_resumes_there() -> None:
    made = ring(3, 0)

    assert made.after(made.id_before(0)) == Place(0)


# --- of another size ---


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 100])
def test_resized_ring_holds_what_it_can_at_the_same_positions(capacity: int) -> None:
    made = ring(3, 8).resized(capacity)

    held = min(capacity, 3)
    assert ids(made) == [b"t1-6", b"t1-7", b"t1-8"][-held:]
    assert (made.first, made.end) == (8 - held, 8)


@pytest.mark.parametrize("capacity", [1, 2, 3, 100])
def test_resized_ring_knows_who_comes_back(capacity: int) -> None:
    made = ring(3, 8).resized(capacity)

    missed = made.first - 4
    assert made.after(b"t1-4") == Place(made.first, missed, "expired")
    assert made.after(made.id_before(made.first)) == Place(made.first)


def test_resized_ring_goes_on_counting() -> None:
    made = ring(3, 8).resized(2)
    made.add(event(made.next_id()))

    assert (ids(made), made.after(b"t1-9")) == ([b"t1-8", b"t1-9"], Place(9))


def test_empty_ring_is_resized() -> None:
    made = ring(3, 0).resized(5)

    assert (made.first, made.end, made.after(made.id_before(0))) == (0, 0, Place(0))


# --- ids of a bus ---


@pytest.mark.parametrize(
    ("last_id", "place"),
    [
        pytest.param(b"20-0", Place(2), id="one-that-is-held"),
        pytest.param(b"30-1", Place(4), id="the-newest"),
        pytest.param(b"25-0", Place(2), id="between-two"),
        pytest.param(b"30-0", Place(3), id="held-with-a-neighbour"),
        pytest.param(b"99-0", Place(4), id="of-the-future"),
        pytest.param(b"5-0", Place(0, 0, "expired"), id="older-than-all"),
        pytest.param(b"t1-3", Place(0, 0, "epoch"), id="of-our-own-epoch"),
    ],
)
def test_ids_of_a_stream_are_compared_by_their_moment(last_id: bytes, place: Place) -> None:
    assert stream_ring(b"10-0", b"20-0", b"30-0", b"30-1").after(last_id) == place


def test_newest_of_a_stream_that_fell_out_is_known() -> None:
    assert stream_ring(b"1-0", b"2-0", b"3-0", capacity=2).after(b"1-0") == Place(1)


def test_moments_are_compared_as_numbers() -> None:
    assert stream_ring(b"9-0", b"10-0").after(b"9-5") == Place(1)


def test_ids_of_our_own_between_those_of_a_stream_are_found() -> None:
    made = stream_ring(b"10-0", b"t1-1", b"20-0")

    assert (made.after(b"t1-1"), made.after(b"10-0"), made.after(b"20-0")) == (
        Place(2),
        Place(1),
        Place(3),
    )


@pytest.mark.parametrize(
    ("names", "last_id", "lags"),
    [
        ((b"5-0", b"6-0"), b"6-1", True),
        ((b"5-0", b"6-0", b"t1-3"), b"7-0", True),
        ((b"5-0", b"6-0"), b"6-0", False),
        ((b"5-0", b"6-0"), b"5-9", False),
        ((b"5-0",), b"t1-9", False),
        ((b"t1-1",), b"7-0", False),
        ((), b"7-0", False),
    ],
)
def test_ring_lags_behind_whoever_has_seen_more_of_the_stream(
    names: tuple[bytes, ...], last_id: bytes, *, lags: bool
) -> None:
    assert stream_ring(*names).lags(last_id) is lags


def test_ring_of_one_sidecar_alone_lags_behind_nobody() -> None:
    assert not ring(3, 2).lags(b"9-0")
