"""Facts about the hub: each event's name and bytes, and who is handed them."""

import re
from functools import partial

import pytest

from proxy.events.event import Wanted
from proxy.wire.trace import Trace
from tests.support.event_reader import Message
from tests.support.fake_outlet import StartStation, Station
from tests.support.records import TRACE_ID, record

RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Kept:
    """A journal, or a bus: keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.published: list[tuple[bytes, bytes]] = []

    def append(self, line: bytes) -> None:
        self.lines.append(line)

    def publish(self, event_id: bytes, data: bytes) -> None:
        self.published.append((event_id, data))


def only(messages: list[Message]) -> dict[str, object]:
    (message,) = messages
    return message.json()


# --- what is told ---


def test_told_event_has_the_usual_keys(station: Station) -> None:
    one = station.listens()

    station.tells("gateway_started", facts={"message": "Listening"})

    (message,) = one.messages
    document = message.json()
    assert RFC_3339.fullmatch(document.pop("timestamp"))
    assert (message.event, message.id) == ("gateway_started", document.pop("event_id"))
    assert document == {
        "event_type": "gateway_started",
        "schema_version": "1.0",
        "source": "toolproxy",
        "trace_id": None,
        "status": "success",
        "message": "Listening",
    }


def test_facts_win_over_the_usual_keys(station: Station) -> None:
    one = station.listens()

    station.tells("server_health", facts={"status": "unhealthy", "trace_id": "t"})

    assert {k: only(one.messages)[k] for k in ("status", "trace_id")} == {
        "status": "unhealthy",
        "trace_id": "t",
    }


def test_call_is_one_event_that_every_filter_finds(station: Station) -> None:
    asked = [
        Wanted(frozenset({"tool_invoked"})),
        Wanted(server="o"),
        Wanted(trace_id=TRACE_ID),
        Wanted(status="error"),
        Wanted(frozenset({"tool_invoked"}), "o", TRACE_ID, "failure"),
    ]
    listeners = [station.listens(wanted) for wanted in asked]
    other = station.listens(Wanted(status="success"))

    station.does(lambda: station.hub.record(record(503, "circuit_open")))

    assert [one.kinds for one in listeners] == [["tool_invoked"]] * 5
    assert other.kinds == []


def test_ids_are_epoch_and_sequence(station: Station) -> None:
    one = station.listens()

    station.tells("a", "b")
    station.does(lambda: station.hub.record(record()))
    station.passes()

    epoch = station.hub.ring.epoch.decode()
    assert [message.id for message in one.messages] == [f"{epoch}-{n}" for n in (1, 2, 3)]
    assert re.fullmatch(r"[0-9a-z]{2,16}", epoch)


def test_no_two_hubs_have_one_epoch(start_station: StartStation) -> None:
    assert start_station().hub.ring.epoch != start_station().hub.ring.epoch


# --- other people's events ---


def test_merged_event_stays_its_own(station: Station) -> None:
    one = station.listens()
    document = {
        "event_type": "chora.content_generated",
        "timestamp": "2025-01-01T00:00:00Z",
        "status": "error",
        "source": "chora",
        "n": 2**40,
    }

    station.does(lambda: station.hub.merge(document))

    (message,) = one.messages
    assert message.event == "chora.content_generated"
    assert {key: message.json()[key] for key in document} == document


@pytest.mark.parametrize(
    "kind",
    ["", "a\nb", "a\rdata: x", "a\0", "a\u2028", "a\x85", "\ud800", "x" * 129, None, 5, ["a"]],
)
def test_type_that_no_stream_can_name_is_refused(station: Station, kind: object) -> None:
    with pytest.raises(ValueError, match="event type"):
        station.does(lambda: station.hub.merge({"event_type": kind}))


def test_refused_event_costs_who_resumes_nothing(station: Station) -> None:
    with pytest.raises(ValueError, match="event type"):
        station.does(lambda: station.hub.merge({"event_type": ""}))
    station.tells("a", "b", "c")

    one = station.listens(last_id=_id_of(station, "a"))

    assert one.kinds == ["b", "c"]


def test_event_that_cannot_be_written_costs_who_resumes_nothing(station: Station) -> None:
    broken = record()
    broken.trace = Trace(b"\xff", b"r", b"", b"")  # a bug of whoever filled the record
    with pytest.raises(UnicodeDecodeError):
        station.does(lambda: station.hub.record(broken))
    station.tells("a", "b", "c")

    one = station.listens(last_id=_id_of(station, "a"))

    assert one.kinds == ["b", "c"]


@pytest.mark.parametrize(
    "own_id", ["x\ndata: {}\n\nevent: evil", "x\r\nid: y", "a\0b", "\u2028", "", 7, None, {"a": 1}]
)
def test_id_of_somebody_else_breaks_no_stream(station: Station, own_id: object) -> None:
    one = station.listens()
    document = {"event_type": "k", "event_id": own_id, "n": 1}

    station.does(lambda: station.hub.merge(document))

    assert [(message.event, message.json()["n"]) for message in one.messages] == [("k", 1)]


@pytest.mark.parametrize("own_id", ["x\ndata: {}\n\nevent: evil", "x\r\nid: y", "a\0b", "\u2028"])
def test_id_of_somebody_else_breaks_no_stream_while_the_bus_is_away(
    station: Station, own_id: str
) -> None:
    one = station.listens()
    bus = Kept()
    station.hub.join(bus)
    station.hub.merge({"event_type": "k", "event_id": own_id, "n": 1})
    ((_, data),) = bus.published

    station.does(lambda: station.hub.deliver(data, None))

    assert all(_is_one_frame(message) for message in one.text.split(b"\n\n")[:-1])
    assert [(message.event, message.json()["n"]) for message in one.messages] in ([("k", 1)], [])


def test_every_message_has_an_id_of_its_own(station: Station) -> None:
    """A reader that comes back with the id of one must not be taken for having seen another."""
    one = station.listens()
    bus = Kept()
    station.hub.join(bus)
    for number in range(3):
        station.hub.merge({"event_type": "k", "event_id": "same", "n": number})
    for _, data in bus.published:
        station.does(partial(station.hub.deliver, data, None))
    station.passes()

    assert len({message.id for message in one.messages}) == 3


# --- journal and bus ---


def test_journal_gets_the_same_json(station: Station) -> None:
    station.hub.journal = journal = Kept()
    one = station.listens()

    station.tells("a")
    station.does(lambda: station.hub.record(record()))
    station.passes()

    assert journal.lines == [message.data.encode() for message in one.messages]


def test_merged_event_is_not_written_to_the_journal_again(station: Station) -> None:
    station.hub.journal = journal = Kept()

    station.does(lambda: station.hub.merge({"event_type": "k"}))

    assert journal.lines == []


def test_events_take_the_way_over_the_bus(station: Station) -> None:
    bus = Kept()
    station.hub.join(bus)
    one = station.listens()
    station.tells("a")
    ((name, data),) = bus.published
    before = one.kinds

    station.does(lambda: station.hub.deliver(data, b"1700000000000-0"))

    (message,) = one.messages
    assert (before, message.id, message.data.encode()) == ([], "1700000000000-0", data)
    assert name.startswith(station.hub.ring.epoch)


def test_event_over_the_bus_while_it_is_away_keeps_our_id(station: Station) -> None:
    bus = Kept()
    station.hub.join(bus)
    one = station.listens()
    station.tells("a")
    ((name, data),) = bus.published

    station.does(lambda: station.hub.deliver(data, None))

    assert one.messages[0].id.encode() == name


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b'"a"',
        b"null",
        b"{}",
        b'{"event_type":""}',
        b'{"event_type":"a\\nb"}',
    ],
)
@pytest.mark.parametrize("stream_id", [None, b"1-0"])
def test_what_is_no_event_is_left_out(
    station: Station, data: bytes, stream_id: bytes | None
) -> None:
    one = station.listens()

    station.does(lambda: station.hub.deliver(data, stream_id))
    station.tells("after")
    station.passes()

    assert one.kinds == ["after"]


# --- who reads ---


def test_house_is_full_at_its_bound(station: Station) -> None:
    station.hub.bounds.subscribers = 2
    one, _ = station.listens(), station.listens()

    full = station.hub.is_full
    station.leaves(one)

    assert (full, station.hub.is_full) == (True, False)


@pytest.mark.parametrize(
    "last_id", ["", "0", "t-1", "\ufeff", "9" * 9000, "t1-99999999999999999999999", "1-1"]
)
def test_any_last_id_is_answered_by_what_there_is(station: Station, last_id: str) -> None:
    station.tells("a", "b")

    one = station.listens(last_id=last_id)
    station.tells("c")
    station.passes()

    assert one.kinds == (["gap", "a", "b", "c"] if last_id else ["c"])


def test_newest_are_given_oldest_first(station: Station) -> None:
    station.tells(*"abcab")

    assert [each["event_type"] for each in station.newest(Wanted(), 3)] == ["c", "a", "b"]
    only_a = station.newest(Wanted(frozenset({"a"})), 9)
    assert [each["event_type"] for each in only_a] == ["a", "a"]
    assert station.newest(Wanted(frozenset({"z"})), 9) == []


@pytest.mark.parametrize("capacity", [1, 2, 5, 10_000, 20_000])
def test_resized_ring_keeps_who_listens(station: Station, capacity: int) -> None:
    one = station.listens()
    station.tells("a", "b")
    station.passes()

    station.does(lambda: station.hub.resize(capacity))
    station.tells("c")
    station.passes()

    assert (one.kinds, station.hub.ring.capacity) == (["a", "b", "c"], capacity)


@pytest.mark.parametrize("capacity", [1, 2, 5])
def test_slow_one_survives_a_smaller_ring(station: Station, capacity: int) -> None:
    slow = station.listens()
    slow.outlet.shut()
    for kind in "abcdefgh":
        station.tells(kind)
        station.passes()

    station.does(lambda: station.hub.resize(capacity))
    slow.outlet.open()
    station.passes()

    assert slow.kinds == [*"abcdefgh"]  # what waits for him is his


def test_hub_is_shown_with_what_it_holds(station: Station) -> None:
    assert repr(station.hub) == "<Hub <Ring 0..0> <Fanout 0 subscribers>>"


def _id_of(station: Station, kind: str) -> str:
    ids = (each["event_id"] for each in station.newest(Wanted(frozenset({kind})), 1))
    return str(next(ids))


def _is_one_frame(text: bytes) -> bool:
    return re.fullmatch(rb"event: [^\r\n\0]+\nid: [^\r\n\0]+\ndata: \{[^\r\n]+\}", text) is not None
