"""Where a request's body ends: RFC 9112, 6 and 7; checklist 19 to 28."""

import pytest

from tests.support.messages import chunked, get, post, post_chunked
from tests.support.origin import Origin
from tests.support.reparsing import Reparsed, requests_in
from tests.support.sidecar import Sidecar
from tests.support.tables import on_every_call, on_every_path, refusals, refused_with, rows
from tests.support.waiting import eventually

LINE = b"<> HTTP/1.1\r\nHost: a\r\n"
OLD = b"<> HTTP/1.0\r\nHost: a\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
FIVE = b"5\r\nhello\r\n0\r\n\r\n"
SMUGGLED = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"

AMBIGUOUS = {
    "19-length-then-chunked": LINE + b"Content-Length: 5\r\n" + CHUNKED + b"\r\n" + FIVE,
    "19-chunked-then-length": LINE + CHUNKED + b"Content-Length: 5\r\n\r\n" + FIVE,
    "19-length-0-and-chunked": LINE + b"Content-Length: 0\r\n" + CHUNKED + b"\r\n" + FIVE,
    "19-length-and-unknown-coding": LINE
    + b"Content-Length: 5\r\nTransfer-Encoding: x\r\n\r\nhello",
    "20-chunked-on-1.0": OLD + CHUNKED + b"\r\n" + FIVE,
    "20-chunked-and-length-on-1.0": OLD + CHUNKED + b"Content-Length: 5\r\n\r\n" + FIVE,
    "23-same-length-twice": LINE + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "23-two-lengths": LINE + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
    "23-list-of-same": LINE + b"Content-Length: 5, 5\r\n\r\nhello",
    "23-list-without-space": LINE + b"Content-Length: 5,5\r\n\r\nhello",
    "23-list-of-different": LINE + b"Content-Length: 5, 6\r\n\r\nhello",
    "23-empty-length": LINE + b"Content-Length:\r\n\r\n",
    "24-plus": LINE + b"Content-Length: +5\r\n\r\nhello",
    "24-minus": LINE + b"Content-Length: -5\r\n\r\nhello",
    "24-minus-zero": LINE + b"Content-Length: -0\r\n\r\n",
    "24-hexadecimal": LINE + b"Content-Length: 0x5\r\n\r\nhello",
    "24-underscore": LINE + b"Content-Length: 0_5\r\n\r\nhello",
    "24-space-inside": LINE + b"Content-Length: 1 5\r\n\r\nhello",
    "24-fraction": LINE + b"Content-Length: 5.0\r\n\r\nhello",
    "24-parameter": LINE + b"Content-Length: 5;a=b\r\n\r\nhello",
    "24-unicode-digit": LINE + b"Content-Length: \xef\xbc\x95\r\n\r\nhello",
    "24-superscript": LINE + b"Content-Length: \xb2\r\n\r\nhi",
    "24-letters": LINE + b"Content-Length: five\r\n\r\nhello",
    "24-vertical-tab": LINE + b"Content-Length: \x0b5\r\n\r\nhello",
    "24-form-feed-after": LINE + b"Content-Length: 5\x0c\r\n\r\nhello",
    "24-quoted": LINE + b'Content-Length: "5"\r\n\r\nhello',
    "24-over-64-bits": LINE + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "24-forty-digits": LINE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nhello",
    "vertical-tab-before-coding": LINE + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + FIVE,
    "nul-after-coding": LINE + b"Transfer-Encoding: chunked\x00\r\n\r\n" + FIVE,
    "space-before-colon-of-coding": LINE + b"Transfer-Encoding : chunked\r\n\r\n" + FIVE,
    "folded-coding": LINE + b"Transfer-Encoding:\r\n chunked\r\n\r\n" + FIVE,
}

OTHER_CODINGS = {
    "21-gzip": LINE + b"Transfer-Encoding: gzip\r\n\r\n" + FIVE,
    "21-identity": LINE + b"Transfer-Encoding: identity\r\n\r\n" + FIVE,
    "21-xchunked": LINE + b"Transfer-Encoding: xchunked\r\n\r\n" + FIVE,
    "21-chunked-obs-text": LINE + b"Transfer-Encoding: chunked\x85\r\n\r\n" + FIVE,
    "21-gzip-chunked": LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + FIVE,
    "21-gzip-then-chunked-field": LINE + b"Transfer-Encoding: gzip\r\n" + CHUNKED + b"\r\n" + FIVE,
    "21-chunked-with-parameter": LINE + b"Transfer-Encoding: chunked;q=1\r\n\r\n" + FIVE,
    "21-quoted-chunked": LINE + b'Transfer-Encoding: "chunked"\r\n\r\n' + FIVE,
}

MISUSED_CHUNKED = {
    "22-chunked-gzip": LINE + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + FIVE,
    "22-chunked-cow": LINE + b"Transfer-Encoding: chunked, cow\r\n\r\n" + FIVE,
    "22-chunked-then-identity": LINE + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n" + FIVE,
    "21-chunked-twice": LINE + CHUNKED + CHUNKED + b"\r\n" + FIVE,
    "21-chunked-chunked": LINE + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + FIVE,
    "21-comma-chunked": LINE + b"Transfer-Encoding: ,chunked\r\n\r\n" + FIVE,
}

BROKEN_CHUNKS = {
    "25-empty-size": b"\r\nhello\r\n0\r\n\r\n",
    "25-no-hexadecimal": b"g\r\nhello\r\n0\r\n\r\n",
    "25-0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "25-plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "25-minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "25-underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "25-space-before": b" 5\r\nhello\r\n0\r\n\r\n",
    "25-space-after": b"5 \r\nhello\r\n0\r\n\r\n",
    "25-tab-after": b"5\t\r\nhello\r\n0\r\n\r\n",
    "25-overflow-64": b"10000000000000005\r\nhello\r\n0\r\n\r\n",
    "25-overflow-wide": b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n",
    "25-lf-after-size": b"5\nhello\r\n0\r\n\r\n",
    "25-cr-after-size": b"5\rhello\r\n0\r\n\r\n",
    "26-lf-in-extension": b"5;a\nhello\r\n0\r\n\r\n",
    "26-cr-in-extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "26-nul-in-extension": b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
    "28-no-end-of-data": b"5\r\nhello0\r\n\r\n",
    "28-two-octets-too-many": b"5\r\nhelloXX\r\n0\r\n\r\n",
    "28-lf-after-data": b"5\r\nhello\n0\r\n\r\n",
    "28-cr-cr-after-data": b"5\r\nhello\r\r0\r\n\r\n",
    "28-lf-ends-last-chunk": b"5\r\nhello\r\n0\n\r\n",
    "28-lf-ends-body": b"5\r\nhello\r\n0\r\n\n",
    "27-trailer-without-colon": b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n",
    "27-trailer-space-before-colon": b"5\r\nhello\r\n0\r\nX : 1\r\n\r\n",
    "27-trailer-folded": b"5\r\nhello\r\n0\r\nX: 1\r\n 2\r\n\r\n",
    "27-trailer-ends-with-lf": b"5\r\nhello\r\n0\r\nX: 1\n\r\n",
    "27-trailer-control": b"5\r\nhello\r\n0\r\nX: \x01\r\n\r\n",
}


@on_every_path
@rows(AMBIGUOUS)
def test_ambiguous_framing_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row + SMUGGLED, start)

    assert (came, origin.calls) == (refused_with(400), [])


@on_every_path
@rows(OTHER_CODINGS)
def test_other_codings_are_not_implemented(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row + SMUGGLED, start)

    assert (came, origin.calls) == (refused_with(501), [])


@on_every_path
@rows(MISUSED_CHUNKED)
def test_22_chunked_in_the_wrong_place_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row + SMUGGLED, start)

    # RFC 9112, 6.3 says 400; a coding that is not exactly `chunked` may as well be unknown.
    assert (came in (refused_with(400), refused_with(501)), origin.calls) == (True, [])


@on_every_path
def test_21_coding_in_other_case_is_never_ignored(sidecar: Sidecar, start: bytes) -> None:
    head = (
        start + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n"
    )

    statuses = sidecar.verdicts(head + FIVE + SMUGGLED)

    assert statuses in ([200], [501])


@on_every_call
@rows(BROKEN_CHUNKS)
def test_broken_chunks_end_both_connections(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    head = b"<> HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n"

    came = refusals(sidecar, head + row + SMUGGLED, start)

    assert came == refused_with(400)
    assert eventually(lambda: all(call.connection.ending for call in origin.calls))
    assert not any(call.complete for call in origin.calls)


@rows(BROKEN_CHUNKS)
def test_broken_chunks_before_control_end_the_connection(sidecar: Sidecar, row: bytes) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n"

    statuses = sidecar.verdicts(head + row + SMUGGLED)

    # `/health` needs no body, so its answer may be out before the fault is seen.
    assert statuses in ([400], [200])


@on_every_call
def test_26_flood_of_extensions_is_bounded(sidecar: Sidecar, start: bytes) -> None:
    head = start + b" HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n"

    statuses = sidecar.verdicts(head + b"1;" + b"e" * 1_000_000)

    assert statuses in ([400], [413], [431])


@on_every_call
def test_27_flood_of_trailers_is_bounded(sidecar: Sidecar, start: bytes) -> None:
    head = start + b" HTTP/1.1\r\nHost: a\r\n" + CHUNKED + b"\r\n"

    statuses = sidecar.verdicts(head + b"0\r\n" + b"X-A: 1\r\n" * 100_000)

    assert statuses in ([400], [413], [431])


@pytest.mark.parametrize("extension", [b";a", b";a=b", b';a="b;c"', b";a=b;c=d"])
def test_26_extensions_are_not_forwarded(
    sidecar: Sidecar, origin: Origin, extension: bytes
) -> None:
    body = b"5%b\r\nhello\r\n0%b\r\n\r\n" % (extension, extension)

    answer = sidecar.ask(post_chunked("/tools/o.call", body=body))

    call = origin.calls[0]
    assert (answer.json()["body"], extension in call.wire) == ("hello", False)


@pytest.mark.parametrize(
    "trailer",
    [
        b"X-Late: 1",
        b"Content-Length: 100",
        b"Transfer-Encoding: chunked",
        b"Host: elsewhere",
        b"Authorization: Bearer stolen",
        b"X-Forwarded-For: 6.6.6.6",
        b"Traceparent: 00-11111111111111111111111111111111-1111111111111111-01",
    ],
    ids=lambda field: field.split(b":")[0].decode().lower(),
)
def test_27_trailers_are_never_merged_into_headers(
    sidecar: Sidecar, origin: Origin, trailer: bytes
) -> None:
    body = b"5\r\nhello\r\n0\r\n%b\r\n\r\n" % trailer

    answer = sidecar.ask(post_chunked("/tools/o.call", b"Trailer: X-Late", body=body))

    name, value = trailer.lower().split(b": ")
    fields = [(n.lower(), v.lower()) for n, v in origin.calls[0].headers]
    assert (answer.json()["body"], (name, value) in fields and name != b"transfer-encoding") == (
        "hello",
        False,
    )


@pytest.mark.parametrize(
    "name", [b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization"]
)
def test_27_forbidden_trailers_do_not_go_on_at_all(
    sidecar: Sidecar, origin: Origin, name: bytes
) -> None:
    body = b"5\r\nhello\r\n0\r\n%b: 4242424242\r\n\r\n" % name

    sidecar.ask(post_chunked("/tools/o.call", body=body))

    assert b": 4242424242\r\n" not in origin.calls[0].wire


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(post("/tools/o.call", body=b"hello"), id="counted"),
        pytest.param(
            post("/tools/o.call", b"Content-Type: text/plain", body=b"x" * 70_000), id="big"
        ),
        pytest.param(post_chunked("/tools/o.call", body=chunked(b"he", b"llo")), id="chunked"),
        pytest.param(
            post_chunked("/tools/o.call", body=b"5;e=1\r\nhello\r\n0\r\nX: 1\r\n\r\n"),
            id="decorated",
        ),
        pytest.param(
            post_chunked("/tools/o.call", body=b"0005\r\nhello\r\n000\r\n\r\n"), id="zeros-before"
        ),
        pytest.param(
            post_chunked("/tools/o.call", body=b"A\r\n0123456789\r\n0\r\n\r\n"),
            id="upper-case-size",
        ),
        pytest.param(post_chunked("/tools/o.call", body=b"0\r\n\r\n"), id="empty-chunked"),
        pytest.param(post("/tools/o.call", body=b""), id="empty-counted"),
        pytest.param(get("/servers/o/any"), id="none"),
        pytest.param(
            post("/servers/o/any", b"X-Empty:", b"X-A: \xe9", body=b"\x00\xff"), id="odd-bytes"
        ),
    ],
)
def test_forwarded_request_is_exactly_one_for_an_independent_parser(
    sidecar: Sidecar, origin: Origin, request_bytes: bytes
) -> None:
    assert sidecar.ask(request_bytes).status == 200

    call = origin.calls[0]
    expected = Reparsed(call.method, call.target, bytes(call.body))
    assert requests_in(bytes(call.wire)) == [expected]
