"""What an upstream may not say: the strictness of requests, held against answers: 502."""

import pytest

from tests.support.caller import BrokenOffError
from tests.support.messages import ok, post
from tests.support.origin import Origin
from tests.support.problems import problem_of, proxy_error_of
from tests.support.scripts import answers, in_turn
from tests.support.sidecar import Sidecar
from tests.support.tables import rows
from tests.support.waiting import eventually

LINE = b"HTTP/1.1 200 OK\r\n"
TWO = b"Content-Length: 2\r\n"
END = TWO + b"\r\nok"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"2\r\nok\r\n0\r\n\r\n"

NO_HTTP = {
    "greeting-of-another-protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "random-bytes": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "body-without-head": b"<html></html>\r\n\r\n",
    "request-instead": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "12-version-2.0": b"HTTP/2.0 200 OK\r\n" + END,
    "12-version-1.2": b"HTTP/1.2 200 OK\r\n" + END,
    "12-version-0.9": b"HTTP/0.9 200 OK\r\n" + END,
    "12-lower-case-name": b"http/1.1 200 OK\r\n" + END,
    "status-of-two-digits": b"HTTP/1.1 20 OK\r\n" + END,
    "status-of-four-digits": b"HTTP/1.1 2000 OK\r\n" + END,
    "status-with-letter": b"HTTP/1.1 2x0 OK\r\n" + END,
    "status-below-100": b"HTTP/1.1 099 OK\r\n" + END,
    "status-signed": b"HTTP/1.1 +20 OK\r\n" + END,
    "two-spaces-before-status": b"HTTP/1.1  200 OK\r\n" + END,
    "tab-before-status": b"HTTP/1.1\t200 OK\r\n" + END,
    "control-in-reason": b"HTTP/1.1 200 O\x01K\r\n" + END,
    "3-bare-lf-ends-status-line": b"HTTP/1.1 200 OK\n" + END,
    "3-bare-lf-everywhere": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "2-bare-cr-ends-status-line": b"HTTP/1.1 200 OK\r" + END,
    "4-space-before-first-field": LINE + b" X-A: 1\r\n" + END,
    "13-space-before-colon": LINE + b"X-A : 1\r\n" + END,
    "14-folded": LINE + b"X-A: 1\r\n 2\r\n" + END,
    "15-cr-in-value": LINE + b"X-A: 1\r2\r\n" + END,
    "15-lf-ends-field": LINE + b"X-A: 1\nX-B: 2\r\n" + END,
    "15-nul-in-value": LINE + b"X-A: 1\x002\r\n" + END,
    "15-control-in-value": LINE + b"X-A: 1\x1f2\r\n" + END,
    "16-space-in-name": LINE + b"X A: 1\r\n" + END,
    "16-obs-text-in-name": LINE + b"X\xe9: 1\r\n" + END,
    "18-empty-name": LINE + b": 1\r\n" + END,
    "18-no-colon": LINE + b"nonsense\r\n" + END,
    "19-length-then-chunked": LINE + TWO + CHUNKED + b"\r\n" + CHUNKS,
    "19-chunked-then-length": LINE + CHUNKED + TWO + b"\r\n" + CHUNKS,
    "20-chunked-on-1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + b"\r\n" + CHUNKS,
    "21-gzip": LINE + b"Transfer-Encoding: gzip\r\n\r\nok",
    "21-gzip-chunked": LINE + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS,
    "21-vertical-tab-before-coding": LINE + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "22-chunked-gzip": LINE + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "22-identity": LINE + b"Transfer-Encoding: identity\r\n\r\nok",
    "23-same-length-twice": LINE + TWO + END,
    "23-two-lengths": LINE + b"Content-Length: 1\r\n" + END,
    "23-list-of-lengths": LINE + b"Content-Length: 2, 2\r\n\r\nok",
    "24-plus": LINE + b"Content-Length: +2\r\n\r\nok",
    "24-minus": LINE + b"Content-Length: -2\r\n\r\nok",
    "24-hexadecimal": LINE + b"Content-Length: 0x2\r\n\r\nok",
    "24-underscore": LINE + b"Content-Length: 0_2\r\n\r\nok",
    "24-empty": LINE + b"Content-Length:\r\n\r\nok",
    "24-unicode-digit": LINE + b"Content-Length: \xef\xbc\x92\r\n\r\nok",
    "24-forty-digits": LINE + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nok",
    "17-head-of-64-kib": LINE + b"X-A: " + b"v" * 65_536 + b"\r\n" + END,
    "17-endless-head": LINE + b"X-A: " + b"v" * 65_536,
    "17-fields-1000": LINE + b"X-A: 1\r\n" * 1000 + END,
    "49-switching-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
}

BROKEN_CHUNKS = {
    "25-no-hexadecimal": b"g\r\nok\r\n0\r\n\r\n",
    "25-0x": b"0x2\r\nok\r\n0\r\n\r\n",
    "25-plus": b"+2\r\nok\r\n0\r\n\r\n",
    "25-empty-size": b"\r\nok\r\n0\r\n\r\n",
    "25-overflow": b"f" * 17 + b"2\r\nok\r\n0\r\n\r\n",
    "25-lf-after-size": b"2\nok\r\n0\r\n\r\n",
    "26-lf-in-extension": b"2;a\nok\r\n0\r\n\r\n",
    "26-flood-of-extensions": b"2;" + b"e" * 200_000 + b"\r\nok\r\n0\r\n\r\n",
    "27-trailer-folded": b"2\r\nok\r\n0\r\nX: 1\r\n 2\r\n\r\n",
    "27-trailer-without-colon": b"2\r\nok\r\n0\r\nnonsense\r\n\r\n",
    "28-data-too-long": b"2\r\nokXX\r\n0\r\n\r\n",
    "28-lf-after-data": b"2\r\nok\n0\r\n\r\n",
}


@rows(NO_HTTP)
def test_answer_that_is_not_http_is_a_502(sidecar: Sidecar, origin: Origin, row: bytes) -> None:
    origin.script = answers(row)

    answer = sidecar.ask(post("/tools/o.call"))

    found = (answer.status, problem_of(answer)["code"], len(origin.calls))
    assert found == (502, "upstream_protocol", 1)
    assert eventually(lambda: origin.calls[0].connection.ending)


@rows(NO_HTTP)
def test_nothing_of_a_refused_answer_reaches_the_next_call(
    sidecar: Sidecar, origin: Origin, row: bytes
) -> None:
    origin.script = in_turn(answers(row + ok(b"poison")), answers(ok(b"clean")))
    with sidecar.caller() as caller:
        caller.send(post("/servers/o/any") + post("/servers/o/any"))

        came = [(answer.status, answer.body) for answer in (caller.answer(), caller.answer())]

    assert (came[0][0], came[1]) == (502, (200, b"clean"))


@rows(BROKEN_CHUNKS)
def test_answer_with_broken_chunks_never_ends_cleanly(
    sidecar: Sidecar, origin: Origin, row: bytes
) -> None:
    origin.script = answers(LINE + CHUNKED + b"\r\n" + row)

    assert _outcome(sidecar) in {"broken off", "502"}
    assert eventually(lambda: origin.calls[0].connection.ending)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"HTTP/1.1 200 OK", id="usual"),
        pytest.param(b"HTTP/1.1 200 ", id="empty-reason"),
        pytest.param(b"HTTP/1.0 200 OK", id="version-1.0"),
        pytest.param(b"HTTP/1.1 299 Quite fine\xe9", id="odd-reason"),
        pytest.param(b"HTTP/1.1 599 Odd", id="status-599"),
    ],
)
def test_well_formed_status_line_is_passed_on(
    sidecar: Sidecar, origin: Origin, line: bytes
) -> None:
    origin.script = answers(line + b"\r\nConnection: close\r\n" + END, close=True)

    answer = sidecar.ask(post("/tools/o.call"))

    _, status, reason = line.split(b" ", 2)
    found = (answer.version, answer.status, answer.reason, answer.body)
    assert found == (b"HTTP/1.1", int(status), reason, b"ok")


def test_protocol_error_is_named_for_the_machines(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    assert proxy_error_of(sidecar.ask(post("/tools/o.call"))) == "http_protocol_error"


def _outcome(sidecar: Sidecar) -> str:
    try:
        return str(sidecar.ask(post("/tools/o.call")).status)
    except BrokenOffError:
        return "broken off"
