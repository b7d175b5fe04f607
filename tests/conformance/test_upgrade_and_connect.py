"""Leaving HTTP/1.1 is for WebSockets alone: RFC 9110, 7.8 and 9.3.6; checklist 49 and 51 to 55."""

import pytest

from tests.support.messages import get, message, ok
from tests.support.origin import Origin
from tests.support.problems import problem_of
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar
from tests.support.tables import on_every_path, refusals, refused_with, rows
from tests.support.websockets import SWITCHED, asks

SWITCHING = message(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: h2c", b"Connection: Upgrade")
START = b"<> HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"

WITH_BODY = {
    "54-upgrade-with-length": START + b"Content-Length: 5\r\n\r\nhello",
    "54-upgrade-with-chunks": START + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"), id="h2c"),
        pytest.param((b"Upgrade: HTTP/2.0",), id="http-2"),
        pytest.param((b"Upgrade: TLS/1.2",), id="tls"),
        pytest.param((b"Upgrade: websocket, h2c",), id="h2c-in-list"),
    ],
)
def test_51_other_protocols_are_not_offered_to_the_upstream(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...]
) -> None:
    nomination = b"Connection: Upgrade, HTTP2-Settings"

    answer = sidecar.ask(get("/servers/o/any", nomination, *fields))

    call = origin.calls[0]
    offered = ",".join(call.values("upgrade")).lower().replace("websocket", "").strip(", ")
    assert (answer.status, offered, call.values("http2-settings")) == (200, "", [])


def test_51_upgrade_is_ignored_in_1_0(sidecar: Sidecar, origin: Origin) -> None:
    request = get("/servers/o/any", b"Connection: Upgrade", b"Upgrade: websocket")

    answer = sidecar.ask(request.replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert (answer.status, origin.calls[0].values("upgrade")) == (200, [])


def test_51_settings_of_http_2_go_nowhere(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(get("/servers/o/any", b"HTTP2-Settings: AAMAAABk", b"Upgrade: h2c"))

    call = origin.calls[0]
    assert (call.values("http2-settings"), call.values("upgrade")) == ([], [])


@pytest.mark.parametrize(
    "fields",
    [(), (b"Connection: Upgrade", b"Upgrade: h2c")],
    ids=["nothing-asked", "dropped-protocol-asked"],
)
def test_49_and_52_switching_that_was_not_forwarded_is_no_tunnel(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...]
) -> None:
    origin.script = answers(SWITCHING + b"opaque")

    answer = sidecar.ask(get("/servers/o/any", *fields))

    assert (answer.status, problem_of(answer)["code"]) == (502, "upstream_protocol")


def test_52_switching_that_was_forwarded_is_a_tunnel(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(SWITCHED + b"opaque", close=True)
    with sidecar.caller() as caller:
        caller.send(asks("/servers/o/any"))

        answer = caller.answer("GET")
        assert (answer.status, answer.values("upgrade")) == (101, ["websocket"])
        assert caller.some(6) == b"opaque"


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_53_other_answer_to_an_upgrade_is_an_ordinary_one(
    sidecar: Sidecar, origin: Origin, protocol: bytes
) -> None:
    origin.script = answers(ok(b"no upgrade"))
    request = get("/servers/o/any", b"Connection: Upgrade", b"Upgrade: " + protocol)
    with sidecar.caller() as caller:
        caller.send(request)
        first = caller.answer()
        caller.send(get("/servers/o/any"))

        assert (first.status, first.body, caller.answer().status) == (200, b"no upgrade", 200)


@on_every_path
@rows(WITH_BODY)
def test_54_upgrade_with_a_body_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row, start)

    assert (came, origin.calls) == (refused_with(400), [])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"CONNECT a:443 HTTP/1.1", id="55-connect-authority"),
        pytest.param(b"CONNECT /tools/o.call HTTP/1.1", id="55-connect-tools"),
        pytest.param(b"CONNECT /health HTTP/1.1", id="55-connect-control"),
        pytest.param(b"TRACE /tools/o.call HTTP/1.1", id="38-trace-tools"),
        pytest.param(b"TRACE /servers/o/any HTTP/1.1", id="38-trace-servers"),
        pytest.param(b"TRACE /health HTTP/1.1", id="38-trace-control"),
    ],
)
def test_connect_and_trace_are_not_allowed(sidecar: Sidecar, origin: Origin, line: bytes) -> None:
    host = b"Host: a:443" if b"a:443" in line else b"Host: a"

    came = refusals(sidecar, message(line, host) + b"opaque" * 10, b"")

    # RFC 9112, 3.2.3: CONNECT takes an authority, so a path makes it malformed as well.
    allowed = [400, 405] if line.startswith(b"CONNECT /") else [405]
    assert (came in map(refused_with, allowed), origin.calls) == (True, [])
