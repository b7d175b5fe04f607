"""The contract's error table: each row by a real request, with all that an error must say."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.caller import Answer
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.ports import silent_port
from tests.support.problems import problem_of, proxy_error_of
from tests.support.scripts import answers, answers_at_once, echo, holds
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

HANGS_UP = answers_at_once(b"", close=True)
LINE = b"POST /tools/o.call HTTP/1.1"
OWN_FAULTS = {
    "no-host": (b"POST /tools/o.call HTTP/1.1\r\n\r\n", 400, "bad_request"),
    "name-empty": (post("/tools/"), 404, "tool_not_found"),
    "tool-unknown": (post("/tools/o.unknown"), 404, "tool_not_found"),
    "no-dot": (post("/tools/nodot"), 404, "tool_not_found"),
    "namespace-unknown": (post("/tools/unknown.call"), 404, "namespace_not_found"),
    "server-unknown": (get("/servers/unknown/any"), 404, "namespace_not_found"),
    "method": (get("/tools/o.call"), 405, "method_not_allowed"),
    "control-method": (post("/health"), 405, "method_not_allowed"),
    "body": (post("/tools/small.call", body=b"x" * 2000), 413, "body_too_large"),
    "line": (get("/tools/" + "x" * 9000), 414, "uri_too_long"),
    "head": (post("/tools/o.call", b"X-A: " + b"v" * 40_000), 431, "headers_too_large"),
    "coding": (
        message(LINE, b"Host: a", b"Transfer-Encoding: gzip"),
        501,
        "not_implemented",
    ),
    "version": (b"POST /tools/o.call HTTP/2.0\r\nHost: a\r\n\r\n", 505, "http_version"),
    "credentials": (post("/tools/poor.call"), 424, "missing_credentials"),
    "deadline": (post("/tools/o.call", b"Request-Timeout: soon"), 400, "bad_request"),
    "origin": (post("/tools/o.call", b"Origin: http://evil.example"), 403, "origin_not_allowed"),
}


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"), OWN_FAULTS.values(), ids=OWN_FAULTS.keys()
)
def test_fault_of_the_caller_is_a_problem_and_touches_no_upstream(
    sidecar: Sidecar, origin: Origin, request_bytes: bytes, status: int, code: str
) -> None:
    answer = sidecar.ask(request_bytes)

    found = (answer.status, problem_of(answer)["code"], origin.calls)
    assert found == (status, code, [])


@pytest.mark.parametrize("path", ["/nowhere", "/healthz", "//", "/servers", "/servers/"])
def test_path_that_leads_nowhere_is_a_problem(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.get(path)

    assert (answer.status, problem_of(answer)["status"]) == (404, 404)


def test_unknown_tool_is_named(sidecar: Sidecar) -> None:
    problem = problem_of(sidecar.ask(post("/tools/o.unknown")))

    assert problem["detail"] == "Tool not found: o.unknown"


def test_name_without_a_dot_is_named(sidecar: Sidecar) -> None:
    assert str(problem_of(sidecar.ask(post("/tools/nodot")))["detail"]).startswith(
        "Tool not found: nodot"
    )


def test_missing_credentials_are_named(sidecar: Sidecar) -> None:
    problem = problem_of(sidecar.ask(post("/tools/poor.call")))

    found = [problem[member] for member in ("detail", "namespace", "tool")]
    assert found == ["Missing credentials for poor.call: NOT_SET, NOR_THIS", "poor", "poor.call"]


def test_credentials_that_are_set_are_not_missing(sidecar: Sidecar) -> None:
    assert sidecar.ask(post("/tools/granted.call")).status == 200


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"PATCH", b"HEAD"])
def test_other_methods_on_a_tool_are_not_allowed(
    sidecar: Sidecar, origin: Origin, method: bytes
) -> None:
    answer = sidecar.ask(message(b"%b /tools/o.call HTTP/1.1" % method, b"Host: a"))

    assert (answer.status, "POST" in (answer.value("allow") or ""), origin.calls) == (405, True, [])


def test_upstreams_own_error_is_not_ours(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(message(b"HTTP/1.1 503 Busy", b"Content-Length: 4", body=b"busy"))

    answer = sidecar.ask(post("/tools/o.call"))

    found = (answer.status, answer.reason, answer.body, answer.values("proxy-status"))
    assert found == (503, b"Busy", b"busy", [])


def test_own_mark_coming_back_is_a_loop(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call"))
    mark = (origin.calls[0].value("via") or "").encode()

    answer = sidecar.ask(post("/tools/o.call", b"Via: 1.1 other, " + mark))

    found = (answer.status, problem_of(answer)["code"], proxy_error_of(answer), len(origin.calls))
    assert found == (508, "loop_detected", "proxy_loop_detected", 1)


def test_mark_of_another_sidecar_is_no_loop(sidecar: Sidecar) -> None:
    answer = sidecar.ask(post("/tools/o.call", b"Via: 1.1 toolproxy-another"))

    assert answer.status == 200


def test_refused_connection(sidecar: Sidecar) -> None:
    answer = sidecar.ask(post("/tools/dead.call"))

    problem = problem_of(answer)
    found = (answer.status, problem["code"], problem["namespace"], proxy_error_of(answer))
    assert found == (502, "connect_failed", "dead", "connection_refused")


def test_upstream_that_hangs_up(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = HANGS_UP

    answer = sidecar.ask(post("/tools/o.call"))

    found = (answer.status, problem_of(answer)["code"], len(origin.calls))
    assert found == (502, "upstream_closed", 1)


def test_upstream_that_takes_too_long(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    origin.script = holds(loop_thread.gate())

    answer = sidecar.ask(post("/tools/o.quick"))

    problem = problem_of(answer)
    named = proxy_error_of(answer) in {"http_response_timeout", "connection_read_timeout"}
    found = (answer.status, problem["code"], problem["detail"], named)
    assert found == (504, "upstream_timeout", "Backend timeout: o", True)
    assert eventually(lambda: origin.calls[0].connection.ending)


def test_upstream_that_does_not_take_the_connection(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    with silent_port() as port:
        url, well = f"http://127.0.0.1:{port}", f"{origin.url}/health"
        sidecar = start_sidecar(server("o", url, connect_timeout="200ms", health_url=well))

        answer = sidecar.ask(post("/tools/o.call"))

    found = (answer.status, problem_of(answer)["code"], proxy_error_of(answer))
    assert found == (504, "connect_timeout", "connection_timeout")


def test_unhealthy_upstream_is_not_tried(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    origin.health = message(b"HTTP/1.1 500 Sick", b"Content-Length: 0")
    health = {"interval": "50ms", "fast_interval": "50ms", "unhealthy_after": 1}
    sidecar = start_sidecar(server("o", origin.url, health=health))
    assert eventually(lambda: sidecar.get("/health").json()["status"] == "unhealthy")

    answer = sidecar.ask(post("/tools/o.call"))

    problem = problem_of(answer)
    found = (answer.status, problem["code"], problem["detail"], origin.calls)
    assert found == (503, "no_healthy_endpoint", "Backend server unhealthy: o", [])
    assert (proxy_error_of(answer), _retry_after(answer)) == ("destination_unavailable", True)


def test_quarantined_server_says_why(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    bad = dict(server("bad", origin.url), endpoints=None, port="eighty")
    sidecar = start_sidecar(server("o", origin.url), bad)

    answer = sidecar.ask(post("/tools/bad.call"))

    problem = problem_of(answer)
    found = (answer.status, problem["code"], "port" in str(problem["detail"]), _retry_after(answer))
    assert found == (503, "server_quarantined", True, True)


@pytest.fixture
def crowded(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> Iterator[tuple[Sidecar, Callable[[], None]]]:
    """A sidecar whose only upstream connection is held, and what lets it go."""
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    limits = {"max_connections": 1, "max_pending": 1, "queue_timeout": "500ms"}
    sidecar = start_sidecar(server("o", origin.url, limits=limits))
    with sidecar.caller() as first:
        first.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)
        yield sidecar, gate.open
        gate.open()
        assert first.answer().status == 200


def test_queue_is_bounded_in_length_and_time(
    crowded: tuple[Sidecar, Callable[[], None]],
) -> None:
    sidecar, _ = crowded
    with sidecar.caller() as second, sidecar.caller() as third:
        for caller in (second, third):
            caller.send(post("/tools/o.call"))

        came = [second.answer(), third.answer()]

    codes = {problem_of(answer)["code"] for answer in came}
    assert ({answer.status for answer in came}, codes) == ({429}, {"queue_full", "queue_timeout"})
    assert all(_retry_after(answer) for answer in came)


def test_queued_call_goes_when_its_turn_comes(
    crowded: tuple[Sidecar, Callable[[], None]],
) -> None:
    sidecar, let_go = crowded
    with sidecar.caller() as second:
        second.send(post("/tools/o.call"))
        second.wait_until_read()
        let_go()

        assert second.answer().status == 200


def test_stream_of_errors_leaves_the_connection_usable(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok())
    requests = [post("/tools/o.unknown"), get("/nowhere"), post("/tools/poor.call")]
    with sidecar.caller() as caller:
        caller.send(b"".join(requests) + post("/tools/o.call"))

        came = [caller.answer().status for _ in range(4)]

    assert came == [404, 404, 424, 200]


@pytest.mark.parametrize("code", ["connect_failed", "upstream_closed"])
def test_detail_never_shows_the_inside(sidecar: Sidecar, origin: Origin, code: str) -> None:
    origin.script = HANGS_UP
    path = {"connect_failed": "/tools/dead.call", "upstream_closed": "/tools/o.call"}[code]

    problem = problem_of(sidecar.ask(post(path)))

    detail = str(problem["detail"])
    assert (problem["code"], "Error" in detail, "Errno" in detail) == (code, False, False)


def test_refused_connection_may_be_tried_again(sidecar: Sidecar) -> None:
    assert problem_of(sidecar.ask(post("/tools/dead.call")))["retryable"] is True


def _retry_after(answer: Answer) -> bool:
    return (answer.value("retry-after") or "").isdigit()
