"""One connection, both planes, any segmentation: contract, "one door"."""

import pytest

from tests.support.messages import chunked, get, message, post, post_chunked
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

CHUNKED_POST = post_chunked("/tools/o.call", body=chunked(b"he", b"llo"))
HEALTH = get("/health")
MIX = {
    "chunked-then-control": [CHUNKED_POST, HEALTH],
    "control-then-chunked": [HEALTH, CHUNKED_POST],
    "counted-then-control": [post("/tools/o.call", body=b"hello"), HEALTH],
    "to-and-fro": [HEALTH, CHUNKED_POST, get("/livez"), post("/tools/o.call"), get("/tools")],
    "control-errors-between": [get("/nowhere"), CHUNKED_POST, post("/health"), HEALTH],
    "call-errors-between": [HEALTH, post("/tools/o.unknown"), HEALTH, get("/servers/closed/x")],
    "control-with-bodies": [
        post("/nowhere", body=b"GET /tools HTTP/1.1\r\nHost: a\r\n\r\n"),
        CHUNKED_POST,
        post_chunked("/nowhere", body=chunked(b"GET / HTTP/1.1\r\n\r\n")),
        HEALTH,
    ],
    "streamed-control": [get("/metrics"), CHUNKED_POST, get("/metrics"), HEALTH],
    "heads-between": [message(b"HEAD /health HTTP/1.1", b"Host: a"), CHUNKED_POST, HEALTH],
}
ALONE = {
    "counted": post("/tools/o.call", b"X-A: 1", body=b"hello"),
    "chunked": CHUNKED_POST,
    "extensions-and-trailers": post_chunked(
        "/tools/o.call", body=b"5;e=1\r\nhello\r\n0;f\r\nX-Late: 1\r\n\r\n"
    ),
    "empty-line-before": b"\r\n\r\n" + post("/tools/o.call"),
    "passthrough": get("/servers/o/a/b?c=d", b"Accept: */*"),
    "absolute": post("http://a/tools/o.call"),
    "control": HEALTH,
    "list": get("/tools"),
    "not-found": post("/tools/o.unknown", body=b"hello"),
    "old": post("/tools/o.call").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "no-host": b"POST /tools/o.call HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "both-framings": post("/tools/o.call", b"Transfer-Encoding: chunked"),
    "bare-lf": b"POST /tools/o.call HTTP/1.1\nHost: a\r\n\r\n",
    "broken-chunk": post_chunked("/tools/o.call", body=b"5\r\nhelloX\r\n0\r\n\r\n"),
    "broken-size": post_chunked("/tools/o.call", body=b"0x5\r\nhello\r\n0\r\n\r\n"),
    "unknown-coding": message(b"GET /health HTTP/1.1", b"Host: a", b"Transfer-Encoding: gzip"),
    "old-major": b"GET /health HTTP/2.0\r\nHost: a\r\n\r\n",
    "control-no-host": b"GET /health HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("requests", MIX.values(), ids=MIX.keys())
@pytest.mark.parametrize("split", [False, True], ids=["one-segment", "every-byte"])
def test_mixed_requests_are_answered_in_order(
    sidecar: Sidecar, requests: list[bytes], *, split: bool
) -> None:
    alone = [_essence(sidecar, request) for request in requests]
    with sidecar.caller() as caller:
        (caller.send_bytewise if split else caller.send)(b"".join(requests))

        together = []
        for request in requests:
            answer = caller.answer(_method(request))
            together.append((answer.status, _said(request, answer.body)))
            if answer.status >= 400 and answer.closes:
                break  # a refused body need not be read, if the connection ends with it

    assert together == alone[: len(together)]
    assert len(together) == len(alone) or together[-1][0] >= 400


@pytest.mark.parametrize("request_bytes", ALONE.values(), ids=ALONE.keys())
def test_request_split_at_every_byte_gets_the_same_answer(
    sidecar: Sidecar, request_bytes: bytes
) -> None:
    whole = _essence(sidecar, request_bytes)
    with sidecar.caller() as caller:
        caller.send_bytewise(request_bytes)

        answer = caller.answer(_method(request_bytes))

    assert (answer.status, _said(request_bytes, answer.body)) == whole


def test_request_split_in_two_at_any_place_gets_the_same_answer(sidecar: Sidecar) -> None:
    request = CHUNKED_POST + HEALTH
    with sidecar.caller() as caller:
        for place in range(1, len(request)):
            caller.send(request[:place])
            caller.wait_until_read()
            caller.send(request[place:])

            came = (caller.answer().json()["body"], caller.answer().status)
            assert came == ("hello", 200), f"split at {place}: {request[:place]!r}"


def test_upstream_sees_the_same_of_a_split_request(sidecar: Sidecar, origin: Origin) -> None:
    request = post("/tools/o.call", b"X-A: 1", b"X-Request-Id: r", body=b"hello")
    sidecar.ask(request)
    with sidecar.caller() as caller:
        caller.send_bytewise(request)
        caller.answer()

    whole, split = ([h for h in call.headers if h[0] != b"traceparent"] for call in origin.calls)
    volatile = {b"x-chora-trace-id"}
    assert _without(whole, volatile) == _without(split, volatile)


def test_answers_of_control_pipelined_a_hundred_times(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send((HEALTH + CHUNKED_POST) * 100)

        statuses = {caller.answer().status for _ in range(200)}

    assert statuses == {200}


def _without(headers: list[tuple[bytes, bytes]], names: set[bytes]) -> list[tuple[bytes, bytes]]:
    return [(name.lower(), value) for name, value in headers if name.lower() not in names]


def _essence(sidecar: Sidecar, request: bytes) -> tuple[int, object]:
    answer = sidecar.ask(request)
    return answer.status, _said(request, answer.body)


def _said(request: bytes, body: bytes) -> object:
    """The part of a body that does not change from one asking to the next."""
    if b"/metrics" in request or not body.startswith(b"{"):
        return body[:1]
    return b'"code"' in body, b'"tools"' in body, b'"body":"hello"' in body, len(body) // 1000


def _method(request: bytes) -> str:
    return request.lstrip().split(b" ")[0].decode()
