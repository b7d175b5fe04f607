"""Where an answer's body ends, and what a caller sees if it does not: checklist 29 to 33."""

import pytest

from tests.support.caller import BrokenOffError
from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin, Script
from tests.support.scripts import answers, in_turn, sends_and_resets
from tests.support.sidecar import Sidecar
from tests.support.tables import on_every_call
from tests.support.waiting import eventually

CALL = post("/tools/o.call")
HALF_COUNTED = message(b"HTTP/1.1 200 OK", b"Content-Length: 10", body=b"hello")
HALF_CHUNKED = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n")
NO_LAST_LINE = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n")
INSIDE_CHUNK = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=b"f\r\nhello")
UNCOUNTED = message(b"HTTP/1.1 200 OK", body=b"hello")

BODILESS = {
    "204-nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "204-length-0": b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    "304-nothing": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "304-length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "304-chunked": b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("row", [pytest.param(v, id=f"29-{k}") for k, v in BODILESS.items()])
@on_every_call
def test_bodiless_status_has_no_body_and_the_connection_goes_on(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    origin.script = in_turn(answers(row), answers(ok(b"next")))
    request = start + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    with sidecar.caller() as caller:
        caller.send(request + request)

        first, second = caller.answer(), caller.answer()

    assert (first.status, first.body, second.body) == (int(row[9:12]), b"", b"next")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"], ids=["length", "coding"]
)
def test_30_neither_length_nor_coding_with_204(
    sidecar: Sidecar, origin: Origin, framing: bytes
) -> None:
    origin.script = answers(message(b"HTTP/1.1 204 No Content", framing))

    answer = sidecar.ask(CALL)

    found = answer.values("content-length") + answer.values("transfer-encoding")
    assert (answer.status, found if answer.status == 204 else []) in [(204, []), (502, [])]


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"X-Framing: none"],
    ids=["length", "coding", "none"],
)
def test_29_answer_to_head_ends_with_its_head(
    sidecar: Sidecar, origin: Origin, framing: bytes
) -> None:
    origin.script = in_turn(answers(message(b"HTTP/1.1 200 OK", framing)), answers(ok(b"next")))
    with sidecar.caller() as caller:
        caller.send(get("/servers/o/any").replace(b"GET", b"HEAD") + get("/servers/o/any"))

        first, second = caller.answer("HEAD"), caller.answer("GET")

    assert (first.status, second.body) == (200, b"next")


def test_29_answer_to_head_keeps_its_length(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(message(b"HTTP/1.1 200 OK", b"Content-Length: 12345"))

    answer = sidecar.ask(get("/servers/o/any").replace(b"GET", b"HEAD"))

    assert answer.value("content-length") == "12345"


def test_29_body_in_spite_of_head_is_never_the_next_answer(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = in_turn(answers(ok(ok(b"poison"))), answers(ok(b"clean")))
    with sidecar.caller() as caller:
        caller.send(get("/servers/o/any").replace(b"GET", b"HEAD"))
        caller.answer("HEAD")
        caller.send(get("/servers/o/any"))

        assert caller.answer("GET").body == b"clean"
    assert origin.calls[0].connection is not origin.calls[1].connection


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_29_body_in_spite_of_status_is_never_the_next_answer(
    sidecar: Sidecar, origin: Origin, status: bytes
) -> None:
    poison = ok(b"poison")
    bad = message(b"HTTP/1.1 " + status, b"Content-Length: %d" % len(poison), body=poison)
    origin.script = in_turn(answers(bad), answers(ok(b"clean")))
    with sidecar.caller() as caller:
        caller.send(CALL)
        first = caller.answer()
        caller.send(CALL)

        assert (first.body if first.status != 502 else b"", caller.answer().body) == (b"", b"clean")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answers(HALF_COUNTED, close=True), id="counted-closed"),
        pytest.param(sends_and_resets(HALF_COUNTED), id="counted-reset"),
        pytest.param(answers(HALF_CHUNKED, close=True), id="chunked-closed"),
        pytest.param(sends_and_resets(HALF_CHUNKED), id="chunked-reset"),
        pytest.param(answers(INSIDE_CHUNK, close=True), id="inside-chunk-closed"),
        pytest.param(answers(NO_LAST_LINE, close=True), id="before-last-line-closed"),
    ],
)
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"], ids=["to-1.1", "to-1.0"])
def test_32_answer_that_breaks_off_is_broken_off_for_the_caller(
    sidecar: Sidecar, origin: Origin, script: Script, version: bytes
) -> None:
    origin.script = script

    came = _raw_answer(sidecar, CALL.replace(b"HTTP/1.1", version))

    assert _visibly_incomplete(came), came


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_uncounted_answer_ends_with_its_connection(
    sidecar: Sidecar, origin: Origin, *, reset: bool
) -> None:
    origin.script = sends_and_resets(UNCOUNTED) if reset else answers(UNCOUNTED, close=True)

    came = _raw_answer(sidecar, CALL)

    assert _visibly_incomplete(came) is reset


def test_uncounted_answer_is_chunked_for_a_caller_that_can(
    sidecar: Sidecar, origin: Origin
) -> None:
    origin.script = in_turn(answers(UNCOUNTED, close=True), answers(ok(b"next")))
    with sidecar.caller() as caller:
        caller.send(CALL)
        first = caller.answer()

        assert (first.status, first.body) == (200, b"hello")


@on_every_call
def test_33_octets_after_an_answer_are_never_another_answer(
    sidecar: Sidecar, origin: Origin, start: bytes
) -> None:
    origin.script = in_turn(answers(ok(b"one") + ok(b"poison")), answers(ok(b"two")))
    request = start + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    with sidecar.caller() as caller:
        caller.send(request)
        first = caller.answer().body
        caller.send(request)

        assert (first, caller.answer().body) == (b"one", b"two")
    assert origin.calls[0].connection is not origin.calls[1].connection
    assert eventually(lambda: origin.calls[0].connection.ending)


def test_31_answer_longer_than_its_length_is_cut_to_it(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(message(b"HTTP/1.1 200 OK", b"Content-Length: 2", body=b"okxx"))
    with sidecar.caller() as caller:
        caller.send(CALL.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

        assert (caller.answer().body, caller.rest()) == (b"ok", b"")


def test_31_length_and_body_of_an_answer_agree(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"z" * 100_000))

    answer = sidecar.ask(CALL)

    assert (answer.value("content-length"), len(answer.body)) == ("100000", 100_000)


def test_27_trailers_of_an_answer_are_never_headers(sidecar: Sidecar, origin: Origin) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"Trailer: X-Late")
    origin.script = answers(head + b"2;e=1\r\nok\r\n0\r\nX-Late: 1\r\nSet-Cookie: a=b\r\n\r\n")

    answer = sidecar.ask(CALL)

    found = (answer.body, answer.values("x-late"), answer.values("set-cookie"))
    assert found == (b"ok", [], [])


@pytest.mark.parametrize("name", [b"Content-Length", b"Transfer-Encoding", b"Set-Cookie"])
def test_27_forbidden_trailers_of_an_answer_are_dropped(
    sidecar: Sidecar, origin: Origin, name: bytes
) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")
    origin.script = answers(head + b"2\r\nok\r\n0\r\n%b: 77\r\n\r\n" % name)

    answer = sidecar.ask(CALL)

    assert (answer.body, name in dict(answer.trailers)) == (b"ok", False)


def test_26_extensions_of_an_answer_are_not_forwarded(sidecar: Sidecar, origin: Origin) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")
    origin.script = answers(head + b"2;secret=1\r\nok\r\n0;secret=1\r\n\r\n")

    came = _raw_answer(sidecar, CALL)

    assert b"secret" not in came


def test_1_0_caller_never_gets_chunks(sidecar: Sidecar, origin: Origin) -> None:
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked")
    origin.script = answers(head + b"2\r\nok\r\n0\r\n\r\n")

    answer = sidecar.ask(CALL.replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert (answer.values("transfer-encoding"), answer.body) == ([], b"ok")


def _raw_answer(sidecar: Sidecar, request: bytes) -> bytes:
    """All that comes; a reset shows as a mark at the end."""
    with sidecar.caller() as caller:
        caller.send(request.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        came = caller.rest()
        return came + (b"<reset>" if caller.was_reset else b"")


def _visibly_incomplete(came: bytes) -> bool:
    """Whether a caller can tell; a 502 before the first byte tells too."""
    head, _, body = came.partition(b"\r\n\r\n")
    if came.endswith(b"<reset>") or b" 502 " in head.split(b"\r\n")[0]:
        return True
    if b"transfer-encoding: chunked" in head.lower():
        return not body.endswith(b"0\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(length) and len(body) < int(length[0].split(b":")[1])


def test_broken_off_is_an_error_for_the_reader(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(HALF_COUNTED, close=True)

    try:
        status = sidecar.ask(CALL).status
    except BrokenOffError:
        status = 0

    assert status in {0, 502}
