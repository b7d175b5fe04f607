"""Answers are read alike however they were cut, and as h11 reads them."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.wire import AnswerReader, MalformedAnswerError
from tests.support.messages import chunked, ok
from tests.support.messy import answers, cut, cuts

INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def read(pieces: list[bytes], method: bytes = b"GET") -> object:
    """Status and number of the pieces that it took; or what kept it from being read."""
    reader = AnswerReader(method)
    for number, piece in enumerate(pieces, start=1):
        try:
            head = reader.take(piece)
        except MalformedAnswerError:
            return "malformed"
        if head is not None:
            return head.status, number
    ended = reader.end()
    return "unfinished" if ended is None else (ended.status, "until its end")


def by_h11(octets: bytes) -> tuple[int, bool]:
    """Status, and whether the answer is whole before its connection ends."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(octets)
    response = connection.next_event()
    assert isinstance(response, h11.Response), response
    while isinstance(event := connection.next_event(), h11.Data):
        pass
    return response.status_code, isinstance(event, h11.EndOfMessage)


@settings(deadline=None, max_examples=150)
@given(answers(), st.sampled_from([b"", INTERIM]), cuts)
def test_answer_is_read_alike_however_it_was_cut(
    answer: tuple[bytes, bytes], before: bytes, places: list[int]
) -> None:
    octets = before + b"".join(answer)
    whole = read([octets])

    pieces = cut(octets, places)

    if whole == "malformed":
        assert read(pieces) == "malformed"
    elif isinstance(whole, tuple) and whole[1] == 1:
        assert read(pieces) == (whole[0], len(pieces))
    else:
        assert read(pieces) == whole


@settings(deadline=None, max_examples=150)
@given(answers())
def test_answer_that_is_taken_ends_where_h11_says(answer: tuple[bytes, bytes]) -> None:
    octets = b"".join(answer)

    taken = read([octets])

    if taken != "malformed":
        assert isinstance(taken, tuple)
        assert (taken[0], taken[1] == 1) == by_h11(octets)


@pytest.mark.parametrize(
    ("octets", "method", "expected"),
    [
        pytest.param(ok(b"hello"), b"GET", (200, 1), id="sized"),
        pytest.param(ok(b""), b"GET", (200, 1), id="empty"),
        pytest.param(INTERIM + ok(), b"GET", (200, 1), id="behind-interim"),
        pytest.param(INTERIM, b"GET", "unfinished", id="interim-alone"),
        pytest.param(ok(b"hello")[:-1], b"GET", "unfinished", id="short"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a", b"bc"),
            b"GET",
            (200, 1),
            id="chunked",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\nab", b"GET", (200, "until its end"), id="endless"),
        pytest.param(b"HTTP/1.1 204 No\r\n\r\n", b"GET", (204, 1), id="no-content"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"HEAD", (200, 1), id="head"),
        pytest.param(ok() + b"x", b"GET", "malformed", id="more-than-asked"),
        pytest.param(b"HTTP/1.1 101 Up\r\n\r\n", b"GET", "malformed", id="switching"),
        pytest.param(b"nonsense\r\n\r\n", b"GET", "malformed", id="not-http"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET",
            "malformed",
            id="bad-chunk",
        ),
    ],
)
def test_answer_is_whole_when_its_framing_says_so(
    octets: bytes, method: bytes, expected: object
) -> None:
    assert read([octets], method) == expected


def test_reader_reads_one_answer_after_the_other() -> None:
    reader = AnswerReader(b"GET")
    octets = [ok(b"a"), ok(b"b")[:20], ok(b"b")[20:], ok(b"c", b"X-A: 1")]

    heads = [reader.take(each) for each in octets]

    assert [head is not None for head in heads] == [True, False, True, True]


def test_what_is_wrong_is_said_without_the_products_words() -> None:
    octets = b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n"

    with pytest.raises(MalformedAnswerError) as raised:
        AnswerReader(b"GET").take(octets)

    assert "upstream" not in str(raised.value)
