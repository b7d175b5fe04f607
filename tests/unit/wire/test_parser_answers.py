"""Facts about answer heads: what is read, what it means, and what is refused."""

import pytest

from proxy.wire.head import CHUNKED, UNTIL_CLOSE
from proxy.wire.reader import HeadLimits
from tests.support.heads import read_response, response_verdict, word_for_response
from tests.support.messages import message

SMALL = HeadLimits(line_bytes=20, head_bytes=60, fields=2)


def answer(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return message(line, *fields)


def test_answers_fields_are_sorted() -> None:
    head = read_response(answer(b"Date: d", b"X_Y: u", b"Set-Cookie: a", b"X-Request-Id: i"))

    assert (head.lines, head.noted) == (
        b"\r\nX_Y: u\r\nSet-Cookie: a",
        {b"date": b"d", b"x-request-id": b"i"},
    )


@pytest.mark.parametrize(
    "status_line", [b"200 OK", b"200 ", b"200", b"404 \x80 really\t"], ids=repr
)
def test_status_line_is_kept_as_it_came(status_line: bytes) -> None:
    head = read_response(answer(line=b"HTTP/1.1 " + status_line))

    assert (head.status_line, head.status) == (status_line, int(status_line[:3]))


@pytest.mark.parametrize(
    ("line", "fields", "body_bytes"),
    [
        pytest.param(b"HTTP/1.1 200 OK", [], UNTIL_CLOSE, id="until-close"),
        pytest.param(b"HTTP/1.1 200 OK", [b"Content-Length: 3"], 3, id="length"),
        pytest.param(b"HTTP/1.1 200", [b"Transfer-Encoding: chunked"], CHUNKED, id="chunked"),
        pytest.param(b"HTTP/1.1 204 ", [], 0, id="no-content"),
        pytest.param(b"HTTP/1.1 304 x", [b"Content-Length: 3"], 0, id="not-modified"),
        pytest.param(b"HTTP/1.1 103 Early Hints", [], 0, id="interim"),
    ],
)
def test_length_of_an_answers_body(line: bytes, fields: list[bytes], body_bytes: int) -> None:
    assert read_response(answer(*fields, line=line)).body_bytes == body_bytes


def test_answer_to_head_has_no_body_whatever_it_says() -> None:
    assert read_response(answer(b"Content-Length: 9"), bodiless=True).body_bytes == 0


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        pytest.param(b"HTTP/1.1 200 OK", [b"Content-Length: 0"], True, id="plain"),
        pytest.param(b"HTTP/1.1 200 OK", [], False, id="until-close"),
        pytest.param(b"HTTP/1.0 200 OK", [b"Content-Length: 0"], False, id="one-dot-nought"),
        pytest.param(
            b"HTTP/1.1 200 OK", [b"Content-Length: 0", b"Connection: Close"], False, id="close"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK", [b"Content-Length: 0", b"Connection: keep-alive"], True, id="kept"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK", [b"Content-Length: 0", b"Connection: x"], True, id="nominated"
        ),
    ],
)
def test_upstreams_connection_persists(line: bytes, fields: list[bytes], *, keeps: bool) -> None:
    assert read_response(answer(*fields, line=line)).keep_alive is keeps


def test_what_an_answers_connection_nominates_is_dropped() -> None:
    head = read_response(answer(b"X-A: 1", b"Content-Length: 0", b"X-B: 2", b"Connection: X-A"))

    assert (head.lines, head.body_bytes) == (b"\r\nX-B: 2", 0)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(answer(line=b"HTTP/1.1 0200 OK"), id="four-digits"),
        pytest.param(answer(line=b"HTTP/1.1 099 OK"), id="below-100"),
        pytest.param(answer(line=b"HTTP/1.1  200 OK"), id="two-spaces"),
        pytest.param(answer(line=b"HTTP/2.0 200 OK"), id="two-dot-nought"),
        pytest.param(answer(line=b"ICY 200 OK"), id="other-protocol"),
        pytest.param(b"\r\n" + answer(), id="empty-line-in-front"),
        pytest.param(answer(b"X : v"), id="space-before-colon"),
        pytest.param(answer(b"X: v", b" folded"), id="folded-line"),
        pytest.param(answer(b"Content-Length: x"), id="length-of-no-number"),
        pytest.param(answer(b"Content-Length: 1", b"Content-Length: 1"), id="lengths"),
        pytest.param(answer(b"Transfer-Encoding: gzip, chunked"), id="codings-two"),
        pytest.param(
            answer(b"Transfer-Encoding: chunked", b"Content-Length: 0"), id="length-and-coding"
        ),
        pytest.param(
            answer(b"Transfer-Encoding: chunked", line=b"HTTP/1.0 200 OK"),
            id="coding-on-one-dot-nought",
        ),
        pytest.param(
            answer(b"Transfer-Encoding: gzip", line=b"HTTP/1.1 204 x"), id="coding-without-body"
        ),
    ],
)
def test_answer_is_refused(octets: bytes) -> None:
    assert word_for_response(octets) == 502


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(answer(line=b"HTTP/1.1 200 " + b"x" * 8), id="line-over"),
        pytest.param(answer(b"X: " + b"y" * 60), id="head-over"),
        pytest.param(answer(b"X: 1", b"Y: 2", b"Z: 3"), id="fields-over"),
    ],
)
def test_answers_limits(octets: bytes) -> None:
    assert response_verdict([octets], SMALL) == 502
