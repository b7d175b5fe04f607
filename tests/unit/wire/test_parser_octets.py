"""Facts about heads, byte by byte: each of the 256 in each place is what RFC 9112 says of it."""

import pytest

from tests.support.heads import octet_by_octet, request_verdict, word_for_request, word_for_response
from tests.support.octets import (
    ALPHA,
    DIGITS,
    EVERY,
    REG_NAME,
    TOKEN,
    VALUE,
    VISIBLE,
    WHITESPACE,
    put,
    sorted_by,
)

END = b"HTTP/1.1\r\nHost: a\r\n\r\n"
COLON = frozenset(b":")


def in_request(field: bytes) -> bytes:
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("template", "taken"),
    [
        pytest.param(in_request(b"@@y: v"), TOKEN, id="first-of-a-name"),
        pytest.param(in_request(b"X@@y: v"), TOKEN | COLON, id="inside-a-name"),
        pytest.param(in_request(b"X@@: v"), TOKEN | COLON, id="last-of-a-name"),
        pytest.param(in_request(b"X:@@v"), VALUE, id="first-of-a-value"),
        pytest.param(in_request(b"X: v@@v"), VALUE, id="inside-a-value"),
        pytest.param(in_request(b"X: v@@"), VALUE, id="last-of-a-value"),
        pytest.param(in_request(b"X:@@"), VALUE, id="all-of-a-value"),
        pytest.param(in_request(b"@@X: v"), TOKEN, id="in-front-of-a-field"),
        pytest.param(in_request(b"Content-Length: @@"), DIGITS, id="a-length"),
        pytest.param(in_request(b"Content-Length: 1@@"), DIGITS | WHITESPACE, id="after-a-length"),
        pytest.param(in_request(b"Content-Length:@@1"), DIGITS | WHITESPACE, id="before-a-length"),
        # Beyond RFC 3986 in the signs that it leaves out, as h11 and most readers are.
        pytest.param(b"GET /a@@b " + END, VISIBLE - {ord("#")}, id="in-a-path"),
        pytest.param(b"GET /?a@@b " + END, VISIBLE - {ord("#")}, id="in-a-query"),
        pytest.param(b"GET http://a/@@ " + END, VISIBLE - {ord("#")}, id="in-a-url"),
        pytest.param(b"GET @@ " + END, frozenset(b"/"), id="a-target"),
        pytest.param(b"GET@@/ " + END, frozenset(b" "), id="after-the-method"),
        pytest.param(b"GET /@@HTTP/1.1\r\nHost: a\r\n\r\n", frozenset(b" "), id="after-the-target"),
        pytest.param(b"GET / HTTP/1.@@\r\nHost: a\r\n\r\n", frozenset(b"01"), id="minor-version"),
        pytest.param(b"GET / HTTP/@@.1\r\nHost: a\r\n\r\n", frozenset(b"1"), id="major-version"),
        pytest.param(b"GET / HTTP/1@@1\r\nHost: a\r\n\r\n", frozenset(b"."), id="version-dot"),
        pytest.param(b"GET / HTTP/1.1@@\r\nHost: a\r\n\r\n", frozenset(), id="after-the-version"),
        pytest.param(b"@@GET / " + END, frozenset(), id="in-front-of-a-request"),
        pytest.param(b"\r\n@@GET / " + END, frozenset(), id="after-an-empty-line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a@@b\r\n\r\n", REG_NAME | COLON, id="in-a-host"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: a:8@@\r\n\r\n", DIGITS | WHITESPACE, id="after-a-port"
        ),
        pytest.param(
            b"GET http://a@@b/ HTTP/1.1\r\nHost: a@@b\r\n\r\n", REG_NAME, id="in-an-authority"
        ),
    ],
)
def test_octet_is_taken_in_a_request(template: bytes, taken: frozenset[int]) -> None:
    # `a:b` is a host and a port that is no number, so the colon falls out again.
    expected = taken - COLON if b"Host: a@@" in template else taken

    assert sorted_by(word_for_request, template).get("ok", frozenset()) == expected


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(in_request(b"@@y: v"), id="name"),
        pytest.param(in_request(b"X: v@@v"), id="value"),
        pytest.param(b"GET /a@@b " + END, id="target"),
        pytest.param(b"GE@@T / " + END, id="inside-a-method"),
        pytest.param(b"@@ET / " + END, id="first-of-a-method"),
        pytest.param(b"GET@@ / " + END, id="after-a-method"),
        pytest.param(b"GET@@/ " + END, id="between-method-and-target"),
        pytest.param(b"GET / HTTP/1.@@\r\nHost: a\r\n\r\n", id="version"),
        pytest.param(b"@@GET / " + END, id="in-front"),
    ],
)
def test_verdict_on_an_octet_is_the_same_octet_by_octet(template: bytes) -> None:
    differing = {
        octet
        for octet in EVERY
        if request_verdict([put(template, octet)])
        != request_verdict(octet_by_octet(put(template, octet)))
    }

    assert differing == set()


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(b"@@X / " + END, id="first"),
        pytest.param(b"X@@X / " + END, id="inside"),
        pytest.param(b"X@@ / " + END, id="last"),
        pytest.param(b"GET@@ / " + END, id="behind-a-known-one"),
    ],
)
def test_unknown_method_is_not_implemented_if_it_is_a_token(template: bytes) -> None:
    verdicts = sorted_by(word_for_request, template)

    # A space ends the method, and what stands before the target then is a second one.
    assert verdicts[501] - {ord(" ")} == TOKEN


@pytest.mark.parametrize("minor", sorted(DIGITS - frozenset(b"01")))
def test_other_minor_version_is_not_spoken(minor: int) -> None:
    octets = put(b"GET / HTTP/1.@@\r\nHost: a\r\n\r\n", minor)

    assert word_for_request(octets) == 505


def in_answer(field: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("template", "taken"),
    [
        pytest.param(in_answer(b"@@y: v"), TOKEN, id="first-of-a-name"),
        pytest.param(in_answer(b"X@@y: v"), TOKEN | COLON, id="inside-a-name"),
        pytest.param(in_answer(b"X@@: v"), TOKEN | COLON, id="last-of-a-name"),
        pytest.param(in_answer(b"X: v@@v"), VALUE, id="inside-a-value"),
        pytest.param(in_answer(b"Content-Length: @@"), DIGITS, id="a-length"),
        pytest.param(in_answer(b"Transfer-Encoding: chunked@@"), WHITESPACE, id="after-the-coding"),
        pytest.param(b"HTTP/1.1 200 O@@K\r\n\r\n", VALUE, id="in-a-reason"),
        pytest.param(b"HTTP/1.1 200@@OK\r\n\r\n", frozenset(b" "), id="before-the-reason"),
        pytest.param(b"HTTP/1.1@@200 OK\r\n\r\n", frozenset(b" "), id="before-the-status"),
        pytest.param(b"HTTP/1.1 20@@ OK\r\n\r\n", DIGITS, id="last-of-a-status"),
        pytest.param(b"HTTP/1.1 @@00 OK\r\n\r\n", DIGITS - {ord("0")}, id="first-of-a-status"),
        pytest.param(b"HTTP/1.@@ 200 OK\r\n\r\n", frozenset(b"01"), id="minor-version"),
        pytest.param(b"@@HTTP/1.1 200 OK\r\n\r\n", frozenset(), id="in-front-of-an-answer"),
    ],
)
def test_octet_is_taken_in_an_answer(template: bytes, taken: frozenset[int]) -> None:
    verdicts = sorted_by(word_for_response, template)

    assert (verdicts.get("ok", frozenset()), set(verdicts) - {"ok"}) == (taken, {502})


def test_digits_and_letters_are_ascii() -> None:
    assert (len(DIGITS), len(ALPHA)) == (10, 52)
