"""What the fuzzers have found, each by name and as small as it gets."""

import signal
import time

import pytest

from tests.support.fuzz_readers import check_request
from tests.support.messages import get, message, post
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar

pytestmark = pytest.mark.sockets


@pytest.mark.parametrize("target", ["/tools/o.call?a\nb://c", "/servers/o/a\nb:"])
def test_line_feed_in_a_target_is_refused(
    start_origin: StartOrigin, start_sidecar: StartSidecar, target: str
) -> None:
    """To llhttp the line is one of HTTP/0.9, and the rest of it a field."""
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url, passthrough=True))

    status = sidecar.ask(post(target)).status

    assert (status, origin.calls) == (400, [])


def test_request_of_a_caller_that_is_gone_is_not_forwarded_as_nobodys(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    """A connection that was reset before it was accepted has no address any more."""
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    sidecar.ask(post("/tools/o.call"))  # now there is a connection on which to send at once
    sidecar.signal(signal.SIGSTOP)
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        caller.reset()
    sidecar.signal(signal.SIGCONT)

    sidecar.ask(post("/tools/o.call"))

    assert {call.value("x-forwarded-for") for call in origin.calls} == {"127.0.0.1"}


@pytest.mark.parametrize("name", [b"User-Agent", b"Content-Type"])
def test_repeated_field_to_the_control_plane_is_no_fault_of_ours(
    start_sidecar: StartSidecar, name: bytes
) -> None:
    sidecar = start_sidecar(server("o", "http://127.0.0.1:9"))

    answer = sidecar.ask(get("/health", name + b": a/b", name + b": c/d"))

    assert (answer.value("server"), bool(answer.value("x-request-id"))) == ("toolproxy", True)


def test_undecodable_body_to_the_control_plane_is_no_fault_of_ours(
    start_sidecar: StartSidecar,
) -> None:
    sidecar = start_sidecar(server("o", "http://127.0.0.1:9"))

    answer = sidecar.ask(post("/health", b"Content-Encoding: gzip", body=b"plain"))

    assert answer.status == 405
    sidecar.assert_no_traceback()


def test_broken_body_to_the_control_plane_is_answered(start_sidecar: StartSidecar) -> None:
    """It may come between the head and the answer, if only for some 0.1 ms: try them all."""
    sidecar = start_sidecar(server("o", "http://127.0.0.1:9"))
    head = message(b"GET /tools HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked")
    statuses = set()
    for gap in range(300):
        with sidecar.caller() as caller:
            caller.send(head)
            time.sleep(gap * 5e-6)
            caller.send_as_far_as_it_goes(b"broken\r\n")
            statuses.add(caller.answer().status)

    assert statuses <= {200, 400}


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(message(b"POST /", b"Transfer-Encoding: x"), id="no-version-and-a-coding"),
        pytest.param(message(b"POST /", *[b"a:"] * 130), id="no-version-and-too-many-fields"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\n", id="preface-of-http-2"),
    ],
)
def test_refusal_is_the_same_however_the_octets_are_cut(octets: bytes) -> None:
    check_request(octets, [12])
