"""Who asks for a WebSocket, and where its frames end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.head import RequestHead, ResponseHead
from proxy.wire.parser import RequestReader, ResponseReader
from proxy.wire.reader import HeadLimits
from proxy.wire.websocket import GOING_AWAY, Frames, asking, is_asked, is_switched, switched
from tests.support.messages import get, message
from tests.support.websockets import frame

ASKS = (b"Connection: keep-alive, Upgrade", b"Upgrade: WebSocket")


def asked(request: bytes) -> RequestHead:
    head = RequestReader(HeadLimits()).read(request)
    assert head is not None
    return head


def answered(*fields: bytes) -> ResponseHead:
    line = b"HTTP/1.1 101 Switching Protocols"
    head = ResponseReader(HeadLimits()).read(message(line, *fields))
    assert head is not None
    return head


def test_websocket_is_asked_for_in_any_case() -> None:
    assert is_asked(asked(get("/", *ASKS)))


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(get("/"), id="nothing"),
        pytest.param(get("/", b"Upgrade: websocket"), id="not-nominated"),
        pytest.param(get("/", b"Connection: upgrade"), id="no-protocol"),
        pytest.param(get("/", b"Connection: upgrade", b"Upgrade: h2c"), id="another"),
        pytest.param(get("/", b"Connection: upgrade", b"Upgrade: websocket, h2c"), id="two"),
        pytest.param(get("/", *ASKS, b"Upgrade: websocket"), id="twice"),
        pytest.param(get("/", *ASKS).replace(b"GET", b"HEAD"), id="no-get"),
        pytest.param(get("/", *ASKS).replace(b"HTTP/1.1", b"HTTP/1.0"), id="http-1-0"),
    ],
)
def test_anything_else_asks_for_none(request_bytes: bytes) -> None:
    assert not is_asked(asked(request_bytes))


def test_upgrade_with_a_body_asks_for_none() -> None:
    head = asked(get("/", *ASKS))
    head.body_bytes = 1

    assert not is_asked(head)


def test_asking_says_so_in_our_own_words() -> None:
    head = asking(asked(get("/", b"Accept: x", *ASKS)))

    assert head.lines == b"\r\nAccept: x\r\nConnection: Upgrade\r\nUpgrade: websocket"


@pytest.mark.parametrize(
    ("noted", "is_one"),
    [
        ({b"connection": b"Upgrade", b"upgrade": b"WebSocket"}, True),
        ({b"upgrade": b"websocket"}, False),
        ({b"connection": b"upgrade", b"upgrade": b"h2c"}, False),
        ({b"connection": b"upgrade"}, False),
    ],
    ids=["both", "not-nominated", "another", "no-protocol"],
)
def test_switch_is_to_what_was_asked_for(noted: dict[bytes, bytes], *, is_one: bool) -> None:
    head = ResponseHead(101, b"101 Switching", b"", noted, 0, True)  # noqa: FBT003 - by place

    assert is_switched(head) is is_one


@pytest.mark.parametrize("date", [(), (b"Date: today",)], ids=["none", "dated"])
def test_switched_answer_says_nothing_of_a_body(date: tuple[bytes, ...]) -> None:
    head = switched(answered(*ASKS, *date, b"Content-Length: 5", b"X: y"))

    lines = b"\r\nX: y\r\nConnection: Upgrade\r\nUpgrade: websocket"
    assert (head.lines, list(head.noted)) == (lines, [b"date"] * len(date))


FRAMES = st.builds(
    frame,
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"x" * 125, b"x" * 126, b"x" * 300, b"x" * 65536])
    ),
    opcode=st.sampled_from([0, 1, 2, 9, 10]),
    masked=st.booleans(),
)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(octets) + 1) for place in places}), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(edges) if a < b]


CUTS = st.lists(st.integers(min_value=0, max_value=1 << 17), max_size=20)


@given(st.lists(FRAMES, min_size=1, max_size=5), CUTS)
def test_boundaries_are_where_frames_end_in_any_cuts(
    frames: list[bytes], places: list[int]
) -> None:
    stream, seen, at = b"".join(frames), Frames(), 0
    ends = {0}
    for each in frames:
        ends.add(max(ends) + len(each))

    for piece in cut(stream, places):
        seen.pass_by(piece)
        at += len(piece)
        assert seen.at_boundary is (at in ends)

    assert not seen.closed


@given(FRAMES, FRAMES, CUTS, st.integers(min_value=1, max_value=1 << 17))
def test_rest_of_a_frame_ends_with_it(
    first: bytes, second: bytes, places: list[int], begun: int
) -> None:
    begun %= len(first)
    seen, passed = Frames(), b""
    if begun:
        seen.pass_by(first[:begun])

    for piece in cut((first + second)[begun:], places):
        passed += piece[: seen.rest_of_frame(piece)]

    assert (passed, seen.at_boundary) == (first[begun:] if begun else b"", True)


@given(st.lists(FRAMES, max_size=3), CUTS)
def test_close_is_seen_in_any_cuts(frames: list[bytes], places: list[int]) -> None:
    seen = Frames()

    for piece in cut(b"".join(frames) + frame(b"\x03\xe8bye", opcode=8), places):
        seen.pass_by(piece)

    assert (seen.closed, seen.at_boundary) == (True, True)


def test_going_away_is_a_close_with_1001() -> None:
    assert frame((1001).to_bytes(2, "big"), opcode=8) == GOING_AWAY


def test_frames_show_where_they_are() -> None:
    seen = Frames()

    seen.pass_by(frame(b"hello")[:3])

    assert repr(seen) == "<Frames 4 bytes left>"
