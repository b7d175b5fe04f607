"""Facts about request heads: what is read, what it means, and what is refused."""

import pytest

from proxy import errors
from proxy.wire.head import CHUNKED
from proxy.wire.parser import RequestReader
from proxy.wire.reader import HeadLimits
from tests.support.heads import (
    read_request,
    word_for_request,
)
from tests.support.messages import message

GET = b"GET / HTTP/1.1"


def get(*fields: bytes) -> bytes:
    return message(GET, b"Host: a", *fields)


def test_fields_are_sorted_by_what_becomes_of_them() -> None:
    head = read_request(
        get(b"Accept: */*", b"Origin: o", b"Cookie: c", b"X_Y: u", b"Via: v", b"Via:w ")
    )

    assert (head.lines, head.noted) == (
        b"\r\nAccept: */*",
        {b"host": b"a", b"origin": b"o", b"cookie": b"c", b"via": b"v, w"},
    )


def test_underscored_name_goes_on_where_the_settings_allow() -> None:
    head = read_request(get(b"X_Y: u"), limits=HeadLimits(underscores=True))

    assert head.lines == b"\r\nX_Y: u"


def test_what_connection_nominates_is_dropped() -> None:
    head = read_request(
        get(b"X-A: 1", b"Cookie: c", b"X-B: 2", b"Origin: o", b"Connection: x-a, Cookie,origin")
    )

    assert (head.lines, sorted(head.noted)) == (b"\r\nX-B: 2", [b"connection", b"host"])


@pytest.mark.parametrize("nominated", ["host", "content-length", "transfer-encoding", "close"])
def test_what_frames_a_message_cannot_be_nominated_away(nominated: str) -> None:
    head = read_request(get(b"Content-Length: 5", b"Connection: " + nominated.encode()))

    assert (head.authority, head.body_bytes) == (b"a", 5)


@pytest.mark.parametrize(
    ("line", "fields", "keeps"),
    [
        pytest.param(GET, [], True, id="one-dot-one"),
        pytest.param(GET, [b"Connection: x, Close"], False, id="one-dot-one-close"),
        pytest.param(b"GET / HTTP/1.0", [], False, id="one-dot-nought"),
        pytest.param(b"GET / HTTP/1.0", [b"Connection: Keep-Alive"], True, id="asked-to-keep"),
        pytest.param(b"GET / HTTP/1.0", [b"Connection: keep-alive, close"], False, id="close-wins"),
        pytest.param(
            b"GET / HTTP/1.0", [b"Connection: keep-alive", b"Via: 1.0 x"], False, id="passed-on"
        ),
        pytest.param(
            GET, [b"Connection: keep-alive", b"Via: 1.0 x"], True, id="via-of-one-dot-one"
        ),
    ],
)
def test_connection_persists(line: bytes, fields: list[bytes], *, keeps: bool) -> None:
    assert read_request(message(line, b"Host: a", *fields)).keep_alive is keeps


@pytest.mark.parametrize(
    ("method", "target", "host", "read"),
    [
        pytest.param(b"GET", b"/a?b=/c", b"a:1", (b"/a?b=/c", b"a:1"), id="origin-form"),
        pytest.param(b"OPTIONS", b"*", b"a", (b"*", b"a"), id="asterisk"),
        pytest.param(b"GET", b"http://A:1/x?y", b"a:1", (b"/x?y", b"A:1"), id="absolute"),
        pytest.param(b"GET", b"HTTPS://a", b"a", (b"/", b"a"), id="absolute-without-path"),
        pytest.param(b"GET", b"http://a?q", b"a", (b"/?q", b"a"), id="absolute-with-query-alone"),
        pytest.param(b"GET", b"http://[::1]:8/", b"[::1]:8", (b"/", b"[::1]:8"), id="ipv6"),
        pytest.param(b"GET", b"/", b"a%2Fb", (b"/", b"a%2Fb"), id="encoded-host"),
    ],
)
def test_target_and_authority(
    method: bytes, target: bytes, host: bytes, read: tuple[bytes, bytes]
) -> None:
    head = read_request(message(method + b" " + target + b" HTTP/1.1", b"Host: " + host))

    assert (head.target, head.authority) == read


@pytest.mark.parametrize(
    ("fields", "body_bytes"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([b"Content-Length: 0"], 0, id="empty"),
        pytest.param([b"Content-Length: 007"], 7, id="zeros-in-front"),
        pytest.param([b"Content-Length: " + b"9" * 18], 10**18 - 1, id="longest"),
        pytest.param([b"Transfer-Encoding: chunked"], CHUNKED, id="chunked"),
        pytest.param([b"Transfer-Encoding: CHUNKED"], CHUNKED, id="chunked-in-capitals"),
        pytest.param([b"Content-Length: 0", b"Connection: upgrade"], 0, id="upgrade-without-body"),
        pytest.param([b"Content-Length: 1", b"Connection: x"], 1, id="no-upgrade"),
    ],
)
def test_length_of_a_requests_body(fields: list[bytes], body_bytes: int) -> None:
    assert read_request(get(*fields)).body_bytes == body_bytes


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(message(GET), 400, id="no-host"),
        pytest.param(get(b"Host: a"), 400, id="two-hosts"),
        pytest.param(message(GET, b"Host: "), 400, id="empty-host"),
        pytest.param(message(b"GET / HTTP/1.0", b"Host:"), 400, id="empty-host-on-one-dot-nought"),
        pytest.param(message(GET, b"Host: a b"), 400, id="host-with-a-space"),
        pytest.param(message(GET, b"Host: u@a"), 400, id="host-with-a-user"),
        pytest.param(message(GET, b"Host: a:999999"), 400, id="host-with-a-long-port"),
        pytest.param(message(GET, b"Host: a%2"), 400, id="host-with-half-an-escape"),
        pytest.param(message(b"GET /#f HTTP/1.1", b"Host: a"), 400, id="fragment"),
        pytest.param(message(b"GET * HTTP/1.1", b"Host: a"), 400, id="asterisk-for-get"),
        pytest.param(message(b"GET a:80 HTTP/1.1", b"Host: a"), 400, id="authority-for-get"),
        pytest.param(message(b"GET ftp://a/ HTTP/1.1", b"Host: a"), 400, id="other-scheme"),
        pytest.param(message(b"GET http://b/ HTTP/1.1", b"Host: a"), 400, id="other-host"),
        pytest.param(message(b"GET http:/// HTTP/1.0"), 400, id="absolute-without-host"),
        pytest.param(message(b"CONNECT a:80 HTTP/1.1", b"Host: a"), 405, id="connect"),
        pytest.param(message(b"CONNECT /x HTTP/1.1", b"Host: a"), 405, id="connect-to-a-path"),
        pytest.param(message(b"TRACE / HTTP/1.1", b"Host: a"), 405, id="trace"),
        pytest.param(message(b"BREW / HTTP/1.1", b"Host: a"), 501, id="unknown-method"),
        pytest.param(message(b"GETS / HTTP/1.1", b"Host: a"), 501, id="method-longer-than-known"),
        pytest.param(message(b"GET  / HTTP/1.1", b"Host: a"), 400, id="two-spaces"),
        pytest.param(message(b"GET / HTTP/1.1 ", b"Host: a"), 400, id="space-at-the-end"),
        pytest.param(message(b"GET / HTTP/1.1 x", b"Host: a"), 400, id="word-at-the-end"),
        pytest.param(message(b"GET /", b"Host: a"), 400, id="nought-dot-nine"),
        pytest.param(message(b"GET / http/1.1", b"Host: a"), 400, id="small-letters"),
        pytest.param(message(b"GET / RTSP/1.0", b"Host: a"), 400, id="other-protocol"),
        pytest.param(message(b"GET / HTTP/1.11", b"Host: a"), 400, id="two-digits"),
        pytest.param(message(b"GET / HTTP/1.2", b"Host: a"), 505, id="one-dot-two"),
        pytest.param(message(b"GET / HTTP/2.0", b"Host: a"), 505, id="two-dot-nought"),
        pytest.param(message(b"GET / HTTP/0.9", b"Host: a"), 400, id="nought-dot-nine-named"),
        pytest.param(message(b"GET / HTTP/0.8", b"Host: a"), 400, id="nought-dot-eight"),
        pytest.param(
            message(b"GET / HTTP/3.0", b"Host: a", b"X: HTTP/0"), 505, id="nought-in-a-field"
        ),
        pytest.param(get(b" folded"), 400, id="folded-line"),
        pytest.param(get(b"X"), 400, id="no-colon"),
        pytest.param(get(b": v"), 400, id="empty-name"),
        pytest.param(get(b"X : v"), 400, id="space-before-colon"),
        pytest.param(GET + b"\r\nHost: a\n\r\n", 400, id="bare-lf"),
        pytest.param(GET + b"\nHost: a\r\n\r\n", 400, id="bare-lf-after-request-line"),
        pytest.param(GET + b"\r\nHost: a\rX: y\r\n\r\n", 400, id="bare-cr"),
        pytest.param(GET + b"\r\nHost: a\r\n\nGET / HTTP/1.1\r\n\r\n", 400, id="lf-as-end"),
        pytest.param(b"\n" + get(), 400, id="lf-in-front"),
        pytest.param(b"\r" + get(), 400, id="cr-in-front"),
        pytest.param(b"\r\n\n" + get(), 400, id="lf-after-an-empty-line"),
        pytest.param(get(b"Content-Length: 5", b"Content-Length: 5"), 400, id="lengths"),
        pytest.param(get(b"Content-Length: 5, 5"), 400, id="listed-length"),
        pytest.param(get(b"Content-Length: +5"), 400, id="signed-length"),
        pytest.param(get(b"Content-Length: 5_0"), 400, id="underscored-length"),
        pytest.param(get(b"Content-Length: \xb2"), 400, id="superscript-length"),
        pytest.param(get(b"Content-Length: "), 400, id="no-length"),
        pytest.param(get(b"Content-Length: " + b"1" * 19), 400, id="overlong-length"),
        pytest.param(get(b"Content-Length: 0" + b"1" * 18), 400, id="overlong-with-zero"),
        pytest.param(
            get(b"Content-Length: 5", b"Transfer-Encoding: chunked"), 400, id="length-and-coding"
        ),
        pytest.param(
            get(b"Transfer-Encoding: chunked", b"Content-Length: 5"), 400, id="coding-and-length"
        ),
        pytest.param(get(b"Transfer-Encoding: gzip"), 501, id="coding-unknown"),
        pytest.param(get(b"Transfer-Encoding: gzip, chunked"), 501, id="codings-two"),
        pytest.param(get(b"Transfer-Encoding: "), 400, id="coding-empty"),
        pytest.param(get(b"Transfer-Encoding: xchunked"), 501, id="coding-nearly"),
        pytest.param(
            message(b"GET / HTTP/1.0", b"Host: a", b"Transfer-Encoding: chunked"),
            400,
            id="coding-on-one-dot-nought",
        ),
        pytest.param(
            get(b"Content-Length: 1", b"Connection: Upgrade"), 400, id="upgrade-with-body"
        ),
        pytest.param(
            get(b"Transfer-Encoding: chunked", b"Connection: upgrade"), 400, id="upgrade-chunked"
        ),
    ],
)
def test_request_is_refused(octets: bytes, status: int) -> None:
    assert word_for_request(octets) == status


def test_host_may_be_missing_from_an_http_1_0_request() -> None:
    head = read_request(b"GET / HTTP/1.0\r\n\r\n")

    assert (head.minor_version, head.authority, head.keep_alive) == (0, b"", False)


def test_refusal_of_connect_says_what_is_allowed() -> None:
    with pytest.raises(errors.ConnectMethodError) as caught:
        read_request(message(b"CONNECT a:80 HTTP/1.1", b"Host: a"))

    assert caught.value.headers == (("Allow", "POST"),)


# --- limits ---

SMALL = HeadLimits(line_bytes=20, head_bytes=60, fields=2)
LONGEST_LINE = b"GET /" + b"x" * 6 + b" HTTP/1.1"  # 20 bytes


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        pytest.param(message(LONGEST_LINE, b"Host: a"), "ok", id="line-at-the-limit"),
        pytest.param(message(LONGEST_LINE.replace(b"/x", b"/xx"), b"Host: a"), 414, id="line-over"),
        pytest.param(LONGEST_LINE.replace(b"/x", b"/xx"), 414, id="line-over-without-end"),
        pytest.param(message(GET, b"Host: a", b"X: " + b"y" * 28), "ok", id="head-at-the-limit"),
        pytest.param(message(GET, b"Host: a", b"X: " + b"y" * 29), 431, id="head-over"),
        pytest.param(message(GET, b"Host: a", b"X: " + b"y" * 80)[:-4], 431, id="head-over-open"),
        pytest.param(message(GET, b"Host: a", b"X: 1", b"Y: 2"), 431, id="fields-over"),
        pytest.param(b"\r\n" * 29 + GET, "incomplete", id="empty-lines"),
        pytest.param(b"\r\n" * 29 + message(GET, b"Host: a"), "ok", id="empty-lines-and-a-head"),
    ],
)
def test_requests_limits(octets: bytes, status: object) -> None:
    reader = RequestReader(SMALL)

    assert _word(reader, octets) == status


def _word(reader: RequestReader, octets: bytes) -> object:
    try:
        return "incomplete" if reader.read(octets) is None else "ok"
    except errors.ProxyError as error:
        return error.status


def test_too_long_a_line_is_that_even_before_its_method_is_whole() -> None:
    reader = RequestReader(HeadLimits(line_bytes=8))

    with pytest.raises(errors.UriTooLongError):
        reader.read(b"SUBSCRIBESUBSCRIBE / HTTP/1.1\r\nHost: a\r\n\r\n")
