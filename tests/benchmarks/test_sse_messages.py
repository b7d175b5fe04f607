"""Server-sent events as bytes."""

import pytest

from benchmarks.sse.messages import (
    BrokenError,
    Message,
    Messages,
    Opening,
    RefusedError,
    opening,
    subscription,
)

HEAD = b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
FIRST = b"event: a\nid: 1\ndata: {}\n\n"
SECOND = b"id:2\r\ndata:x:y\r\n\r\n"
BODY = b": hi\n\n" + FIRST + SECOND + b"id: 3\nda"
TOLD = [Message(b"a", b"1", b"{}"), Message(b"", b"2", b"x:y")]


def chunk(octets: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(octets), octets)


def test_a_subscription_asks_for_an_event_stream() -> None:
    head, *fields = subscription("/events?types=a").decode().split("\r\n")

    assert (head, "Accept: text/event-stream" in fields) == ("GET /events?types=a HTTP/1.1", True)


def test_nothing_is_known_before_the_head_is_whole() -> None:
    assert opening(HEAD) is None


@pytest.mark.parametrize(
    ("field", "chunked"),
    [(b"", False), (b"Transfer-Encoding: chunked\r\n", True)],
    ids=["until-close", "chunked"],
)
def test_the_head_says_how_the_body_is_framed(field: bytes, *, chunked: bool) -> None:
    assert opening(HEAD + field + b"\r\n: hi") == Opening(chunked, b": hi")


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Type: text/event-stream\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n",
    ],
    ids=["another-status", "another-type"],
)
def test_what_is_no_event_stream_is_a_refusal(head: bytes) -> None:
    with pytest.raises(RefusedError, match=r"^HTTP/1.1 (503 Busy|200 OK)$"):
        opening(head)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("chunked", [False, True], ids=["plain", "chunked"])
def test_messages_are_the_same_in_pieces_of_any_size(size: int, *, chunked: bool) -> None:
    wire = chunk(BODY[:40]) + chunk(BODY[40:]) if chunked else BODY
    messages = Messages(chunked=chunked)

    told = [
        each for at in range(0, len(wire), size) for each in messages.take(wire[at : at + size])
    ]

    assert told == TOLD


def test_what_is_no_chunk_is_told() -> None:
    with pytest.raises(BrokenError, match="no chunk: b'id: 1'"):
        list(Messages(chunked=True).take(b"id: 1\r\n"))
