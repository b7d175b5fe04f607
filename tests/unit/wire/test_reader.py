"""Facts about reading heads: what is held, what is left, and who has the last word."""

from collections.abc import Callable

import httptools
import pytest

from proxy.errors import BadRequestError, HeadersTooLargeError, UpstreamProtocolError
from proxy.wire.head import RequestHead
from proxy.wire.parser import RequestReader, ResponseReader
from proxy.wire.reader import HeadLimits, HeadReader, Listener
from tests.support.heads import octet_by_octet, request_verdict
from tests.support.messages import message

Question = Callable[[HeadReader[RequestHead]], object]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


# --- what is held, and what is left ---


def test_what_comes_behind_a_head_is_left() -> None:
    reader = RequestReader(HeadLimits())

    head = reader.read(GET + b"POST")

    assert (repr(head), reader.rest, reader.waiting) == ("<RequestHead GET />", b"POST", False)


def test_what_has_come_of_a_head_is_held_until_it_is_complete() -> None:
    reader = RequestReader(HeadLimits())

    reader.read(GET[:9])
    begun = (reader.held, reader.waiting)
    reader.read(GET[9:])

    assert (begun, reader.held, reader.waiting) == ((GET[:9], True), b"", False)


def test_head_that_ends_its_piece_leaves_nothing() -> None:
    reader = RequestReader(HeadLimits())
    reader.read(GET + b"POST")

    reader.read(GET)

    assert reader.rest == b""


def test_head_is_held_until_it_is_complete() -> None:
    reader = RequestReader(HeadLimits())

    heads = [reader.read(GET[:-1]), reader.waiting, reader.read(GET[-1:]), reader.waiting]

    assert [repr(each) for each in heads] == ["None", "True", "<RequestHead GET />", "False"]


@pytest.mark.parametrize("at", range(1, len(GET)))
def test_head_may_be_cut_anywhere(at: int) -> None:
    reader = RequestReader(HeadLimits())

    heads = [reader.read(GET[:at]), reader.read(GET[at:] + b"rest")]

    assert (repr(heads), reader.rest) == ("[None, <RequestHead GET />]", b"rest")


def test_one_reader_reads_one_head_after_the_other() -> None:
    reader = RequestReader(HeadLimits())

    heads = [reader.read(GET[:9]), reader.read(GET[9:] + GET[:20]), reader.read(reader.rest)]
    heads.append(reader.read(GET[20:]))

    assert [head and head.target for head in heads] == [None, b"/", None, b"/"]


# --- empty lines in front ---


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"\r\n\r\n" + GET], id="at-once"),
        pytest.param([b"\r", b"\n", b"\r\n", GET], id="cut"),
        pytest.param([b"\r\n\r", b"\n" + GET], id="cut-inside-one"),
        pytest.param([b"\r\n", b"\r", b"\n" + GET[:3], GET[3:]], id="cut-everywhere"),
    ],
)
def test_empty_lines_before_a_request_are_ignored(pieces: list[bytes]) -> None:
    reader = RequestReader(HeadLimits())

    heads = [reader.read(piece) for piece in pieces]

    assert (repr(heads[-1]), heads[:-1]) == ("<RequestHead GET />", [None] * (len(pieces) - 1))


@pytest.mark.parametrize("begun", [b"\r", b"\r\n", b"\r\n\r"], ids=repr)
def test_empty_line_is_the_beginning_of_a_head(begun: bytes) -> None:
    reader = RequestReader(HeadLimits())

    assert (reader.read(begun), reader.waiting) == (None, True)


def test_empty_lines_take_no_room() -> None:
    reader = RequestReader(HeadLimits())

    for _ in range(100):
        reader.read(b"\r\n" * 100)

    assert reader._held == b"\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"\n" + GET], id="lf"),
        pytest.param([b"\r" + GET], id="cr"),
        pytest.param([b"\r", b"G"], id="cr-and-more-later"),
        pytest.param([b"\r\n", b"\n"], id="lf-after-an-empty-line"),
        pytest.param([b"\r\n\r\r\n"], id="two-crs"),
    ],
)
def test_bare_cr_or_lf_before_a_request_is_refused(pieces: list[bytes]) -> None:
    reader = RequestReader(HeadLimits())

    with pytest.raises(BadRequestError, match="bare CR or LF"):
        [reader.read(piece) for piece in pieces]


@pytest.mark.parametrize(
    "octets", [b"\r\n\r\n", b"\r\n" + OK, b"\n" + OK, b"\r"], ids=[4, "crlf", "lf", "cr"]
)
def test_empty_line_is_no_beginning_of_an_answer(octets: bytes) -> None:
    with pytest.raises(UpstreamProtocolError, match="an empty line stands where it should begin"):
        ResponseReader(HeadLimits()).read(octets)


# --- the head before this one ---


def test_same_head_again_is_the_same_object() -> None:
    reader = RequestReader(HeadLimits())

    heads = [reader.read(GET), reader.read(GET + b"x")]

    assert heads[0] is not None
    assert (heads[1] is heads[0], reader.rest, reader.waiting) == (True, b"x", False)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([GET[:5], GET[5:]], id="cut"),
        pytest.param([b"\r\n" + GET], id="empty-line-in-front"),
        pytest.param([b"\r\n", GET], id="empty-line-before"),
    ],
)
def test_same_head_in_other_pieces_means_the_same(pieces: list[bytes]) -> None:
    reader = RequestReader(HeadLimits())
    reader.read(GET)

    heads = [reader.read(piece) for piece in pieces]

    assert (repr(heads[-1]), heads[:-1]) == ("<RequestHead GET />", [None] * (len(pieces) - 1))


def test_same_head_inside_one_that_has_begun_is_no_head() -> None:
    reader = RequestReader(HeadLimits())
    reader.read(GET)
    reader.read(b"POST /other HTTP/1.1\r\nHost: a\r\n")

    with pytest.raises(BadRequestError):
        reader.read(GET)


@pytest.mark.parametrize(("spare_bytes", "remembered"), [(0, True), (1, False)])
def test_only_a_small_head_is_remembered(spare_bytes: int, *, remembered: bool) -> None:
    octets = GET[:-2] + b"X: %b\r\n\r\n" % (b"x" * (2048 + spare_bytes - len(GET) - 5))
    reader = RequestReader(HeadLimits())

    heads = [reader.read(octets), reader.read(octets)]

    assert (heads[0] is heads[1], repr(heads[1])) == (remembered, "<RequestHead GET />")


def test_other_head_is_read_anew() -> None:
    reader = RequestReader(HeadLimits())

    targets = [head and head.target for head in map(reader.read, [GET, OTHER, GET, OTHER])]

    assert targets == [b"/", b"/other", b"/", b"/other"]


def test_no_two_connections_share_a_head() -> None:
    first, second = (RequestReader(HeadLimits()).read(GET) for _ in range(2))

    assert first is not second


def test_refused_head_is_not_taken_for_the_one_before() -> None:
    reader = RequestReader(HeadLimits())
    reader.read(GET)

    for _ in range(2):
        with pytest.raises(BadRequestError):
            reader.read(GET.replace(b"Host", b"Hos_"))

    assert repr(reader.read(GET)) == "<RequestHead GET />"


@pytest.mark.parametrize("order", [(True, False, True), (False, True, False)], ids=repr)
def test_same_answer_has_a_body_by_what_was_asked(order: tuple[bool, ...]) -> None:
    reader = ResponseReader(HeadLimits())
    lengths = []

    for bodiless in order:
        reader.expect(bodiless=bodiless)
        head = reader.read(OK)
        lengths.append(head and head.body_bytes)

    assert lengths == [0 if bodiless else 2 for bodiless in order]


def test_same_answer_again_is_the_same_object() -> None:
    reader = ResponseReader(HeadLimits())
    first = reader.read(OK)

    reader.expect(bodiless=False)

    assert reader.read(OK) is first


# --- who has the last word ---


def test_overlong_length_is_no_length_though_it_would_fit_a_machines_word() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: " + b"1" * 19 + b"\r\n\r\n"

    with pytest.raises(UpstreamProtocolError, match="not one number"):
        ResponseReader(HeadLimits()).read(octets)


class _Hasty:
    """A parser that takes anything for a whole head, as llhttp's next version may."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def feed_data(self, data: bytes) -> None:
        del data
        self._listener.on_headers_complete()


class _Patient(_Hasty):
    """A parser that never sees the end of a head."""

    def feed_data(self, data: bytes) -> None:
        del data


def test_head_ends_in_an_empty_line_whatever_the_parser_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(httptools, "HttpRequestParser", _Hasty)

    with pytest.raises(BadRequestError, match="does not end in an empty line"):
        RequestReader(HeadLimits()).read(GET[:-2])


def test_empty_line_ends_a_head_for_the_parser_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httptools, "HttpRequestParser", _Patient)

    with pytest.raises(BadRequestError, match="does not end where its first empty line is"):
        RequestReader(HeadLimits()).read(GET)


def test_upgrade_does_not_stop_the_judging_of_a_head() -> None:
    fields = (b"Host: a", b"Connection: upgrade", b"Upgrade: websocket")
    octets = message(b"GET / HTTP/1.1", *fields, b"X: y")

    whole = request_verdict([octets])

    assert isinstance(whole, tuple)
    assert request_verdict(octet_by_octet(octets)) == whole
    assert request_verdict([octets.replace(b"X: y", b"X : y")]) == 400


SMALL = HeadLimits(line_bytes=40, head_bytes=120, fields=4)
CUT = {
    "unknown-method-without-a-version": (b"BREW /\r\nHost: a\r\n\r\n", HeadLimits()),
    "nought-in-a-field": (b"GET / HTTP/3.0\r\nHost: a\r\nX: HTTP/0\r\n\r\n", HeadLimits()),
    "long-line-of-an-unknown-method": (message(b"BREW /" + b"x" * 40, b"Host: a"), SMALL),
    "long-line-with-a-bad-octet": (message(b"GET /\x01" + b"x" * 40, b"Host: a"), SMALL),
    "many-empty-lines": (b"\r\n" * 70 + GET, SMALL),
    "no-version": (b"GET /\r\nHost: a\r\n\r\n", HeadLimits()),
    "line-at-the-limit": (message(b"GET /" + b"x" * 26 + b" HTTP/1.1", b"Host: a"), SMALL),
    "line-over-the-limit": (message(b"GET /" + b"x" * 27 + b" HTTP/1.1", b"Host: a"), SMALL),
    "head-over-the-limit": (message(b"GET / HTTP/1.1", b"X: " + b"x" * 90, b"Host: a"), SMALL),
}


@pytest.mark.parametrize(("octets", "limits"), CUT.values(), ids=CUT)
def test_verdict_is_the_same_in_every_two_pieces(octets: bytes, limits: HeadLimits) -> None:
    whole = request_verdict([octets], limits)

    differing = {
        at: verdict
        for at in range(1, len(octets))
        if (verdict := request_verdict([octets[:at], octets[at:]], limits)) != whole
    }

    assert differing == {}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_fields_are_counted(count: int) -> None:
    reader = RequestReader(HeadLimits(fields=2))
    octets = message(b"GET / HTTP/1.0", *[b"A:" + b"x" * 20] * count)

    if count <= 2:
        assert reader.read(octets)
    else:
        with pytest.raises(HeadersTooLargeError, match="2 fields"):
            reader.read(octets)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda reader: reader._parse(b""), id="parse"),
        pytest.param(lambda reader: reader._may_be_judged(b""), id="may-be-judged"),
        pytest.param(lambda reader: reader._new_parser(Listener()), id="parser"),
        pytest.param(lambda reader: reader._refused(ValueError(), b""), id="refused"),
        pytest.param(lambda reader: reader._malformed(""), id="malformed"),
        pytest.param(lambda reader: reader._too_long(), id="too-long"),
        pytest.param(lambda reader: reader._too_large(), id="too-large"),
    ],
)
def test_bare_reader_leaves_to_its_kinds_what_a_head_is(ask: Question) -> None:
    with pytest.raises(NotImplementedError):
        ask(HeadReader[RequestHead](HeadLimits()))
