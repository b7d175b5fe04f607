"""Known ways of smuggling, desynchronising and poisoning, each by name: all lead nowhere."""

import pytest

from tests.support.caller import BrokenOffError
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post, post_chunked
from tests.support.origin import Origin, Visit
from tests.support.scripts import answers, answers_at_once, in_turn
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

SMUGGLED = b"GET /servers/o/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
LINE = b"POST /servers/o/first HTTP/1.1\r\nHost: a\r\n"

ATTACKS = {
    "cl-te": LINE + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "te-cl": LINE + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n" + SMUGGLED,
    "te-te-x": LINE
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"
    + SMUGGLED,
    "te-obfuscated-space": LINE + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "te-obfuscated-tab": LINE + b"Transfer-Encoding:\tchunked\x0c\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "te-obfuscated-fold": LINE + b"X: x\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "te-obfuscated-lf": LINE + b"X: x\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "te-obfuscated-nul": LINE + b"Transfer-Encoding\x00: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    "cl-0-in-front": LINE + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n" + SMUGGLED,
    "cl-hidden-by-space": LINE + b"Content-Length : 44\r\n\r\n" + SMUGGLED,
    "cl-hidden-by-fold": LINE + b"Content-Length:\r\n 44\r\n\r\n" + SMUGGLED,
    "cl-hidden-by-cr": LINE + b"X: x\rContent-Length: 44\r\n\r\n" + SMUGGLED,
    "chunk-ext-lf": LINE + b"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n" + SMUGGLED,
    "chunk-size-minus": LINE + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
    "chunk-size-wraps": LINE
    + b"Transfer-Encoding: chunked\r\n\r\n1"
    + b"0" * 16
    + b"\r\n"
    + SMUGGLED,
    "chunk-two-terminators": LINE
    + b"Transfer-Encoding: chunked\r\n\r\n1\r\naXX0\r\n\r\n"
    + SMUGGLED,
    "space-smuggled-start": LINE.replace(b" HTTP", b" HTTP/1.1\r\n\tX: HTTP") + b"\r\n" + SMUGGLED,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
def test_smuggled_request_reaches_nobody(sidecar: Sidecar, origin: Origin, attack: bytes) -> None:
    statuses = sidecar.verdicts(attack)

    reached = [call.target for call in origin.calls if call.complete or b"smug" in call.target]
    assert (len(statuses), statuses[0] in {400, 501}, reached) == (1, True, [])


def test_get_with_a_body_keeps_its_framing(sidecar: Sidecar, origin: Origin) -> None:
    length = b"Content-Length: %d" % len(SMUGGLED)
    request = message(b"GET /servers/o/first HTTP/1.1", b"Host: a", length, body=SMUGGLED)
    with sidecar.caller() as caller:
        caller.send(request + get("/servers/o/second"))
        caller.answer()
        caller.answer()

    found = [(call.target, bytes(call.body)) for call in origin.calls]
    assert found == [(b"/first", SMUGGLED), (b"/second", b"")]


@pytest.mark.parametrize(
    "expect", [b"100-continue", b"y 100-continue", b"100-continue\x85", b"x", b"100-continue,"]
)
def test_expectation_does_not_desynchronise_after_an_early_answer(
    sidecar: Sidecar, origin: Origin, expect: bytes
) -> None:
    origin.script = in_turn(answers_at_once(ok(b"early")), answers(ok(b"second")))
    head = message(b"GET /servers/o/first HTTP/1.1", b"Host: a", b"Expect: " + expect)
    request = head.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(SMUGGLED))
    with sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(
            request + SMUGGLED + get("/servers/o/second", b"Connection: close")
        )
        caller.answers_until_close()

    assert b"/smuggled" not in [call.target for call in origin.calls]


def test_upstream_that_answers_in_the_middle_of_a_body_is_not_used_again(
    sidecar: Sidecar, origin: Origin
) -> None:
    """Pause-based desynchronisation: a 408 in the middle leaves neither side in use."""
    timed_out = message(b"HTTP/1.1 408 Request Timeout", b"Content-Length: 4", body=b"slow")

    async def time_out(visit: Visit) -> None:
        await visit.send(timed_out)
        await visit.connection.reader.read()

    origin.script = in_turn(time_out, answers(ok(b"clean")))
    with sidecar.caller() as caller:
        caller.send(post("/servers/o/first", body=SMUGGLED)[:-10])
        first = caller.answer()
        caller.leave()

    second = sidecar.ask(post("/servers/o/second"))

    assert (first.status, second.body) == (408, b"clean")
    assert origin.calls[0].connection is not origin.calls[1].connection


def test_queue_of_answers_cannot_be_poisoned(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = in_turn(answers(ok(b"one") * 3), answers(ok(b"two")), answers(ok(b"three")))
    came = [sidecar.ask(post("/tools/o.call")).body for _ in range(3)]

    assert came == [b"one", b"two", b"three"]


def test_octets_sent_while_idle_are_no_answer(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()

    async def answer_and_add(visit: Visit) -> None:
        await answers(ok(b"one"))(visit)
        await gate.passed()
        await visit.send(ok(b"poison"))

    origin.script = in_turn(answer_and_add, answers(ok(b"two")))
    first = sidecar.ask(post("/tools/o.call"))
    gate.open()
    assert eventually(lambda: origin.calls[0].connection.ending)

    assert (first.body, sidecar.ask(post("/tools/o.call")).body) == (b"one", b"two")


def test_answer_before_a_request_is_no_answer(sidecar: Sidecar, origin: Origin) -> None:
    """Request tunnelling through HEAD: the body that HEAD has not is thrown away with the rest."""
    origin.script = in_turn(answers(ok(b"x" * 20 + ok(b"poison"))), answers(ok(b"clean")))
    sidecar.ask(message(b"HEAD /servers/o/any HTTP/1.1", b"Host: a"))

    assert sidecar.ask(get("/servers/o/any")).body == b"clean"


@pytest.mark.parametrize("name", [b"X-Forwarded-For", b"X-Forwarded-Host", b"X-Request-Id", b"Via"])
def test_proxys_own_fields_cannot_be_stripped(
    sidecar: Sidecar, origin: Origin, name: bytes
) -> None:
    """CVE-2024-45410, CVE-2021-33197, CVE-2021-32813."""
    sidecar.ask(post("/tools/o.call", b"Connection: " + name))

    assert len(origin.calls[0].values(name.decode())) == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_framing_cannot_be_stripped(sidecar: Sidecar, origin: Origin, framing: bytes) -> None:
    body = b"hello" if b"Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"
    nomination = b"Connection: content-length, transfer-encoding"

    line = b"POST /tools/o.call HTTP/1.1"
    sidecar.ask(message(line, b"Host: a", framing, nomination, body=body))

    assert bytes(origin.calls[0].body) == b"hello"


def test_body_of_1_0_ends_with_its_length(sidecar: Sidecar) -> None:
    request = post("/tools/o.call", b"Connection: keep-alive", body=b"hello")
    with sidecar.caller() as caller:
        caller.send(request.replace(b"HTTP/1.1", b"HTTP/1.0"))

        assert caller.answer().json()["body"] == "hello"


def test_body_of_1_0_without_length_is_empty(sidecar: Sidecar, origin: Origin) -> None:
    statuses = sidecar.verdicts(b"POST /servers/o/first HTTP/1.0\r\nHost: a\r\n\r\n" + SMUGGLED)

    assert (statuses, [call.target for call in origin.calls]) == ([200], [b"/first"])


def test_server_that_ignores_a_body_poisons_nobody(sidecar: Sidecar, origin: Origin) -> None:
    """Client-side desynchronisation: what was sent as a body stays one, whoever reads it."""
    origin.script = answers_at_once(ok(b"static"))
    with sidecar.caller() as caller:
        caller.send(post("/servers/o/static", body=SMUGGLED) + get("/servers/o/next"))
        came = [caller.answer().body]
        try:
            came.append(caller.answer().body)
        except BrokenOffError:
            came.append(b"static")

    targets = [call.target for call in origin.calls]
    assert (came, b"/smuggled" in targets) == ([b"static"] * 2, False)


def test_preface_of_http_2_is_refused(sidecar: Sidecar, origin: Origin) -> None:
    statuses = sidecar.verdicts(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert (len(statuses), statuses[0] in {400, 501, 505}, origin.calls) == (1, True, [])


def test_greeting_of_tls_is_refused(sidecar: Sidecar) -> None:
    assert sidecar.verdicts(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64) == [400]


def test_chunked_request_is_not_joined_with_what_follows(sidecar: Sidecar, origin: Origin) -> None:
    with sidecar.caller() as caller:
        caller.send(post_chunked("/servers/o/first", body=b"0\r\n\r\n") + get("/servers/o/second"))
        caller.answer()
        caller.answer()

    assert [call.target for call in origin.calls] == [b"/first", b"/second"]
