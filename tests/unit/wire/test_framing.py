"""Facts about bodies: where they end, what is payload, and what breaks them."""

import pytest

from proxy.errors import BadRequestError
from proxy.wire.framing import (
    ChunkedBody,
    EndlessBody,
    SizedBody,
    body_reader,
    chunk,
    last_chunk,
)
from proxy.wire.head import CHUNKED, UNTIL_CLOSE
from tests.support.octets import EVERY, HEX_DIGITS, TOKEN, VALUE, sorted_by


def chunked_body(*pieces: bytes) -> tuple[list[bytes], ChunkedBody]:
    body = ChunkedBody(BadRequestError)
    return [body.take(piece) for piece in pieces], body


def word(data: bytes) -> str:
    """What becomes of a chunked body that comes at once."""
    try:
        _, body = chunked_body(data)
    except BadRequestError:
        return "broken"
    return "done" if body.done else "open"


def word_in_halves(data: bytes) -> str:
    """The same when it comes octet by octet."""
    body = ChunkedBody(BadRequestError)
    try:
        for at in range(len(data)):
            if body.done:
                return "done early"
            body.take(data[at : at + 1])
    except BadRequestError:
        return "broken"
    return "done" if body.done else "open"


# --- sized and endless ---


def test_sized_body_takes_its_bytes_and_leaves_the_rest() -> None:
    body = SizedBody(5)

    pieces = [body.take(b"he"), body.take(b"llo, you")]

    assert (pieces, body.done, body.rest) == ([b"he", b"llo"], True, b", you")


def test_sized_body_that_comes_whole_leaves_nothing() -> None:
    body = SizedBody(5)

    piece = body.take(b"hello")

    assert (piece, body.done, body.rest, body.left_bytes) == (b"hello", True, b"", 0)


def test_body_of_no_bytes_is_over_at_once() -> None:
    assert SizedBody(0).done


def test_endless_body_is_all_payload() -> None:
    body = EndlessBody()

    piece = body.take(b"0\r\n\r\n")

    assert (piece, body.done, body.rest, body.trailers) == (b"0\r\n\r\n", False, b"", [])


@pytest.mark.parametrize(
    ("body_bytes", "kind"),
    [
        pytest.param(CHUNKED, ChunkedBody, id="chunked"),
        pytest.param(UNTIL_CLOSE, EndlessBody, id="until-close"),
        pytest.param(0, SizedBody, id="none"),
        pytest.param(3, SizedBody, id="sized"),
    ],
)
def test_reader_is_what_the_head_says(body_bytes: int, kind: type) -> None:
    assert type(body_reader(body_bytes, BadRequestError)) is kind


# --- chunked ---


def test_chunks_are_joined() -> None:
    pieces, body = chunked_body(b"2\r\nhe\r\n003;x=y\r\nllo\r\n0\r\n\r\nmore")

    assert (pieces, body.done, body.rest) == ([b"hello"], True, b"more")


def test_payload_is_given_as_it_comes() -> None:
    pieces, body = chunked_body(b"5", b"\r", b"\nhe", b"l", b"lo\r", b"\n", b"0\r\n\r", b"\n")

    assert (pieces, body.done) == ([b"", b"", b"he", b"l", b"lo", b"", b"", b""], True)


def test_size_is_hexadecimal_in_either_case() -> None:
    pieces, _ = chunked_body(b"a\r\n0123456789\r\nA\r\n0123456789\r\n")

    assert pieces == [b"0123456789" * 2]


def test_trailers_that_concern_nobody_between_are_kept() -> None:
    _, body = chunked_body(
        b"0\r\nX-Sum: 1\r\nHost: b\r\nContent-Length: 5\r\nAuthorization: x\r\nX_Y: u\r\n"
        b"Set-Cookie: a\r\nContent-Encoding: br\r\nY:\r\n\r\n"
    )

    assert (body.trailers, body.done) == ([b"X-Sum: 1", b"Y:"], True)


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\r\n", id="no-size"),
        pytest.param(b"-1\r\n", id="signed"),
        pytest.param(b"0x1\r\n", id="prefixed"),
        pytest.param(b"1_0\r\n", id="underscored"),
        pytest.param(b" 1\r\n", id="space-in-front"),
        pytest.param(b"1 \r\n", id="space-behind"),
        pytest.param(b"1 ;x\r\n", id="space-before-extension"),
        pytest.param(b"1\n", id="bare-lf"),
        pytest.param(b"1;x\ny\r\n", id="bare-lf-in-extension"),
        pytest.param(b"1;x\ry\r\n", id="bare-cr-in-extension"),
        pytest.param(b"1" * 16 + b"\r\n", id="overflowing"),
        pytest.param(b"1" * 16, id="overflowing-without-end"),
        pytest.param(b"1;" + b"x" * 4095 + b"\r\n", id="long-line"),
        pytest.param(b"1;" + b"x" * 4096, id="long-line-without-end"),
        pytest.param(b"1\r\nab\r\n", id="longer-than-its-size"),
        pytest.param(b"1\r\na\n", id="lf-after-payload"),
        pytest.param(b"1\r\nab", id="no-end-after-payload"),
        pytest.param((b"1;" + b"x" * 4000 + b"\r\na\r\n") * 5, id="extension-flood"),
        pytest.param(b"0\r\n" + (b"X: " + b"x" * 4093 + b"\r\n") * 9, id="trailer-flood"),
        pytest.param(b"0\r\nX: " + b"x" * 32800, id="trailer-flood-without-end"),
        pytest.param(b"0\r\nX\r\n\r\n", id="trailer-without-colon"),
        pytest.param(b"0\r\n: x\r\n\r\n", id="trailer-without-name"),
        pytest.param(b"0\r\nX : x\r\n\r\n", id="trailer-with-a-space"),
        pytest.param(b"0\r\nX: 1\r\n y\r\n\r\n", id="trailer-folded"),
        pytest.param(b"0\r\n\n", id="lf-as-end"),
    ],
)
def test_broken_coding_is_refused_however_it_is_cut(octets: bytes) -> None:
    assert (word(octets), word_in_halves(octets)) == ("broken", "broken")


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"0" * 14 + b"1\r\na\r\n0\r\n\r\n", id="fifteen-digits"),
        pytest.param(b"1;" + b"x" * 4094 + b"\r\na\r\n0\r\n\r\n", id="longest-extension"),
        pytest.param(b"1;\r\na\r\n0;\x80\t x\r\n\r\n", id="odd-extensions"),
        pytest.param(b"0\r\nX: " + b"x" * 32765 + b"\r\n\r\n", id="longest-trailer"),
    ],
)
def test_coding_at_its_limits_is_read_however_it_is_cut(octets: bytes) -> None:
    assert (word(octets), word_in_halves(octets)) == ("done", "done")


LINE_END = frozenset(b"\r")


@pytest.mark.parametrize(
    ("template", "taken"),
    [
        pytest.param(b"@@\r\n", HEX_DIGITS, id="a-size"),
        pytest.param(b"1@@\r\n", HEX_DIGITS | {ord(";")}, id="after-a-digit"),
        pytest.param(b"1;a@@b\r\n", VALUE, id="in-an-extension"),
        pytest.param(b"1;a@@\r\n", VALUE, id="last-of-an-extension"),
        pytest.param(b"0\r\n@@: x\r\n\r\n", TOKEN, id="a-trailers-name"),
        pytest.param(b"0\r\nX@@y: x\r\n\r\n", TOKEN | {ord(":")}, id="in-a-trailers-name"),
        pytest.param(b"0\r\nX: a@@b\r\n\r\n", VALUE, id="in-a-trailers-value"),
        pytest.param(b"1\r\n@@\r\n", EVERY, id="payload"),
        pytest.param(b"1\r\nx@@\n", LINE_END, id="after-the-payload"),
        pytest.param(b"1\r\nx\r@@", frozenset(b"\n"), id="last-after-the-payload"),
        pytest.param(b"0\r@@\r\n", frozenset(b"\n"), id="end-of-a-size-line"),
    ],
)
def test_octet_is_taken_in_the_chunked_coding(template: bytes, taken: frozenset[int]) -> None:
    whole, cut = sorted_by(word, template), sorted_by(word_in_halves, template)

    assert EVERY - whole.get("broken", frozenset()) == taken
    assert whole == cut


# --- written ---


def test_chunk_has_its_size_in_front() -> None:
    assert chunk(b"x" * 17) == b"11\r\n" + b"x" * 17 + b"\r\n"


def test_nothing_is_no_chunk() -> None:
    assert chunk(b"") == b""


def test_last_chunk_carries_the_trailers() -> None:
    assert (last_chunk([]), last_chunk([b"A: 1", b"B: 2"])) == (
        b"0\r\n\r\n",
        b"0\r\nA: 1\r\nB: 2\r\n\r\n",
    )
