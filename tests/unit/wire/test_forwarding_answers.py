"""Facts about rewriting answers: what comes back, what is ours, and how it is framed."""

import pytest

from proxy.wire.forwarding import (
    connection_field,
    interim_head,
    needs_chunks,
    response_head,
    with_cors,
)
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, ResponseHead
from tests.support.heads import parts_of, read_response
from tests.support.messages import message

IDS = b"X-Request-Id: request\r\n"
VIA = b"Via: 1.1 toolproxy-1\r\n"
TAIL = [IDS[:-2], VIA[:-2]]


def answer_octets(head: ResponseHead, *, chunked: bool = False) -> bytes:
    return response_head(head, chunked=chunked, more_lines=IDS, via_line=VIA, date=b"now")


def answer_lines(
    *fields: bytes, chunked: bool = False, line: bytes = b"HTTP/1.1 200 Fine"
) -> list[bytes]:
    """The lines that the caller gets of an answer with these fields."""
    octets = answer_octets(read_response(message(line, *fields)), chunked=chunked)
    assert octets.endswith(b"\r\n\r\n")
    return octets[:-4].split(b"\r\n")


def test_answer_goes_back_with_our_fields_behind_its_own() -> None:
    assert answer_lines(b"Content-Length: 2", b"Set-Cookie: a", b"Set-Cookie: b", b"Via: x") == [
        b"HTTP/1.1 200 Fine",
        b"Set-Cookie: a",
        b"Set-Cookie: b",
        b"Via: x",
        b"Date: now",
        b"Content-Length: 2",
        *TAIL,
    ]


def test_answers_own_date_stays() -> None:
    assert answer_lines(b"date: then", b"Content-Length: 0")[1:] == [
        b"Date: then",
        b"Content-Length: 0",
        *TAIL,
    ]


def test_head_written_before_is_written_the_same_again() -> None:
    head = read_response(b"HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 0\r\n\r\n")
    first, chunked, again = (
        response_head(head, chunked=each, more_lines=b"", via_line=b"", date=b"now")
        for each in (False, True, False)
    )

    assert (first == again, b"chunked" in chunked, b"Content-Length" in chunked) == (
        True,
        True,
        False,
    )


def test_answer_without_a_field_of_its_own_has_no_empty_line() -> None:
    assert answer_lines()[1:] == [b"Date: now", *TAIL]


def test_http_1_0_answer_goes_back_as_1_1() -> None:
    assert answer_lines(line=b"HTTP/1.0 200 OK")[0] == b"HTTP/1.1 200 OK"


def test_ids_of_the_upstream_are_replaced_by_ours() -> None:
    assert answer_lines(b"X-Request-Id: theirs", b"X-Chora-Trace-Id: theirs")[2:] == TAIL


@pytest.mark.parametrize(
    ("line", "fields", "chunked", "framing"),
    [
        pytest.param(
            b"HTTP/1.1 200 x",
            [b"Transfer-Encoding: chunked"],
            True,
            [b"Transfer-Encoding: chunked"],
            id="chunked",
        ),
        pytest.param(b"HTTP/1.1 200 x", [], False, [], id="until-close"),
        pytest.param(b"HTTP/1.1 204 x", [b"Content-Length: 0"], False, [], id="no-content"),
        pytest.param(
            b"HTTP/1.1 304 x",
            [b"Content-Length: 7"],
            False,
            [b"Content-Length: 7"],
            id="not-modified",
        ),
    ],
)
def test_answer_is_framed_in_one_way(
    line: bytes, fields: list[bytes], framing: list[bytes], *, chunked: bool
) -> None:
    lines = answer_lines(*fields, chunked=chunked, line=line)

    assert [each for each in lines if each.startswith((b"Transfer", b"Content-L"))] == framing


THEIRS = message(
    b"HTTP/1.1 200 x", b"Access-Control-Allow-Origin: *", b"A: 1", b"access-control-max-age: 1"
)


def test_our_cors_replace_the_upstreams() -> None:
    ours = b"Access-Control-Allow-Origin: https://a\r\nVary: Origin\r\n"

    octets = answer_octets(with_cors(read_response(THEIRS), ours))

    assert octets.startswith(b"HTTP/1.1 200 x\r\nA: 1\r\n" + ours + b"Date: now\r\n")


def test_answer_that_our_cors_say_nothing_of_has_no_empty_line() -> None:
    octets = answer_octets(with_cors(read_response(THEIRS), b""))

    assert octets.startswith(b"HTTP/1.1 200 x\r\nA: 1\r\nDate: now\r\n")


def test_answer_that_cors_were_changed_in_stays_as_it_was() -> None:
    head = read_response(THEIRS)
    before = head.lines

    changed = with_cors(head, b"Vary: Origin\r\n")

    assert head.lines == before
    assert parts_of(changed) == {**parts_of(head), "lines": changed.lines}


@pytest.mark.parametrize(
    ("keep_alive", "minor_version", "field"),
    [
        pytest.param(True, 1, b"", id="kept"),
        pytest.param(True, 0, b"Connection: keep-alive\r\n", id="kept-for-one-dot-nought"),
        pytest.param(False, 1, b"Connection: close\r\n", id="closed"),
        pytest.param(False, 0, b"Connection: close\r\n", id="closed-for-one-dot-nought"),
    ],
)
def test_connection_is_said_where_the_version_does_not(
    minor_version: int, field: bytes, *, keep_alive: bool
) -> None:
    assert connection_field(keep_alive=keep_alive, minor_version=minor_version) == field


def test_interim_head_has_no_framing_of_its_own() -> None:
    head = read_response(message(b"HTTP/1.1 103 Early Hints", b"Link: a", b"Content-Length: 5"))

    assert interim_head(head, VIA) == (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\nVia: 1.1 toolproxy-1\r\n\r\n"
    )


@pytest.mark.parametrize("body_bytes", [CHUNKED, UNTIL_CLOSE, 0, 5])
@pytest.mark.parametrize("minor_version", [0, 1])
def test_answer_of_unknown_length_is_chunked_for_http_1_1(
    body_bytes: int, minor_version: int
) -> None:
    head = read_response(message(b"HTTP/1.1 200 x"))
    head.body_bytes = body_bytes

    assert needs_chunks(head, minor_version) is (body_bytes < 0 and minor_version == 1)
