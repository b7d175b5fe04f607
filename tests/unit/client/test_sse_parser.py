"""Event streams are read as WHATWG HTML, 9.2.6 says, however they are cut into pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.client.errors import GatewayError
from proxy.client.models import Event
from proxy.client.sse_parser import EventStreamParser

STREAM = (
    "\ufeff: hello\nevent: a\nid: 1\ndata: one\ndata: two\n\n"
    "data:no blank\r\rid\ndata\r\n\r\n: ka\nid: 3\nevent: ü\ndata:  x\u2028y\r\n\r\n"
    "retry: 1500\ndata: last\n\nevent: never\ndata: ended"
).encode()
EVENTS = [
    Event("a", "one\ntwo", "1"),
    Event("message", "no blank", "1"),
    Event("message", "", ""),
    Event("ü", " x\u2028y", "3"),
    Event("message", "last", "3"),
]


def read(*pieces: bytes) -> list[Event]:
    parser = EventStreamParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def pieces_of(octets: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(places)]


def test_whole_stream_is_read() -> None:
    assert read(STREAM) == EVENTS


def test_one_octet_at_a_time_gives_the_same() -> None:
    assert read(*(bytes([octet]) for octet in STREAM)) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_any_cutting_gives_the_same(cuts: list[int]) -> None:
    assert read(*pieces_of(STREAM, cuts)) == EVENTS


LINES = st.sampled_from(
    [
        "data: x",
        "data",
        "event: e",
        "id: 7",
        "id",
        "id: \0",
        ": c",
        "retry: 5",
        "",
        "é",
        "data:\ufeff",
    ]
)
ENDS = st.sampled_from(["\n", "\r", "\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=20), st.lists(st.integers(0, 400), max_size=20))
def test_any_stream_reads_alike_in_any_pieces(
    lines: list[tuple[str, str]], cuts: list[int]
) -> None:
    octets = "".join(line + end for line, end in lines).encode()

    assert read(*pieces_of(octets, cuts)) == read(octets)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=10))
def test_any_octets_read_alike_in_any_pieces(octets: bytes, cuts: list[int]) -> None:
    assert read(*pieces_of(octets, cuts)) == read(octets)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"], ids=["lf", "cr", "crlf"])
def test_every_line_end_ends_a_line(end: str) -> None:
    assert read(f"data: a{end}data: b{end}{end}".encode()) == [Event("message", "a\nb")]


def test_keep_alive_without_blank_line_is_no_message() -> None:
    assert read(b": ka\n: ka\n", b"data: x\n\n") == [Event("message", "x")]


def test_message_without_data_moves_the_id_on() -> None:
    parser = EventStreamParser("1")

    assert (parser.feed(b"id: 2\n\n"), parser.last_event_id) == ([], "2")


def test_id_counts_once_its_message_has_ended() -> None:
    parser = EventStreamParser("1")
    parser.feed(b"id: 2\ndata: half")

    assert parser.last_event_id == "1"


def test_id_with_a_nul_is_ignored() -> None:
    assert read(b"id: 1\0\ndata: x\n\n") == [Event("message", "x", "")]


@pytest.mark.parametrize(
    ("value", "retry_s"),
    [("250", 0.25), ("-1", None), ("1.5", None), ("x", None), ("9" * 5000, None), ("\u0663", None)],
    ids=["digits", "sign", "point", "letter", "endless", "other-digit"],
)
def test_retry_is_digits(value: str, retry_s: float | None) -> None:
    parser = EventStreamParser()
    parser.feed(f"retry: {value}\n".encode())

    assert parser.retry_s == retry_s


def test_broken_utf_8_is_replaced() -> None:
    assert read(b"data: \xff\n\n") == [Event("message", "\ufffd")]


@pytest.mark.parametrize(
    "octets", [b"data: " + b"x" * 200, b"data: x\n" * 100], ids=["line", "message"]
)
def test_endless_messages_are_refused(octets: bytes) -> None:
    parser = EventStreamParser(most_characters=100)

    with pytest.raises(GatewayError, match="more than 100 characters"):
        parser.feed(octets)


def test_endless_fields_that_are_not_kept_do_not_add_up() -> None:
    parser = EventStreamParser(most_characters=100)

    assert parser.feed(b": a comment of some length\n" * 100 + b"data: x\n\n")


def test_next_message_may_be_as_long_again() -> None:
    parser = EventStreamParser(most_characters=100)
    message = b"data: " + b"x" * 90 + b"\n\n"

    assert len(parser.feed(message * 5)) == 5
