"""What the event stream tells of a call, and what it never tells."""

import pytest

from tests.support.event_reader import CALLS, USUAL, EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, ok, post
from tests.support.ports import refusing_port
from tests.support.scripts import answers, echo, holds, in_turn, sends_and_resets
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

OF_A_CALL = USUAL | {
    "duration_ms",
    "server_name",
    "tool_name",
    "http_status",
    "endpoint",
    "attempts",
    "request_bytes",
    "response_bytes",
    "request_id",
    "upstream_ms",
}


def call_told(sidecar: Sidecar, request: bytes) -> dict[str, object]:
    """What the stream says of one call."""
    with EventReader(sidecar.port, CALLS) as reader:
        sidecar.ask(request)
        return reader.next().json()


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", start_origin().url))


def test_call_is_told_with_its_facts(sidecar: Sidecar) -> None:
    request = post("/tools/o.call", b"X-Chora-Trace-Id: workflow-abc123", b"X-Request-Id: r-1")

    told = call_told(sidecar, request)

    assert set(told) == OF_A_CALL
    assert {key: told[key] for key in ("trace_id", "request_id", "status", "server_name")} == {
        "trace_id": "workflow-abc123",
        "request_id": "r-1",
        "status": "success",
        "server_name": "o",
    }
    assert (told["tool_name"], told["http_status"], told["attempts"]) == ("call", 200, 1)
    assert told["request_bytes"] == 2
    assert told["response_bytes"]


def test_trace_of_the_caller_is_told(sidecar: Sidecar) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    line = f"traceparent: 00-{trace_id}-00f067aa0ba902b7-01".encode()

    assert call_told(sidecar, post("/tools/o.call", line))["trace_id"] == trace_id


def test_ids_with_quotes_are_told_as_they_are(sidecar: Sidecar) -> None:
    told = call_told(
        sidecar, post("/tools/o.call", b'X-Chora-Trace-Id: a"\\b', b'X-Request-Id: \\"')
    )

    assert (told["trace_id"], told["request_id"]) == ('a"\\b', '\\"')


def test_arguments_and_results_are_in_no_event(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(ok(b'{"result": "s3cret"}', b"X-Result: s3cret")))
    failing = start_origin(
        answers(message(b"HTTP/1.1 500 s3cret", b"Content-Length: 6", body=b"s3cret"))
    )
    sidecar = start_sidecar(
        server("o", origin.url, passthrough=True), server("f", failing.url, passthrough=True)
    )
    with EventReader(sidecar.port, CALLS) as reader:
        for target in (
            "/tools/o.call?a=s3cret",
            "/tools/f.call?a=s3cret",
            "/servers/o/s3cret?s3cret",
        ):
            sidecar.ask(post(target, b"Authorization: s3cret", body=b'{"argument": "s3cret"}'))
        told = reader.take(3)

    assert [each.json()["http_status"] for each in told] == [200, 500, 200]
    assert b"s3cret" not in reader.body


@pytest.mark.parametrize(
    ("target", "code", "namespace"),
    [
        ("/tools/o.other", "tool_not_found", "o"),
        ("/tools/x.call", "namespace_not_found", None),
        ("/tools/nodot", "tool_not_found", None),
    ],
)
def test_call_to_nobody_is_told(
    sidecar: Sidecar, target: str, code: str, namespace: str | None
) -> None:
    told = call_told(sidecar, post(target))

    assert (told["status"], told["error_code"], told["http_status"]) == ("failure", code, 404)
    assert [told[key] for key in ("server_name", "tool_name", "endpoint")] == [
        namespace,
        None,
        None,
    ]
    assert told["attempts"] == 0


def test_failed_call_says_what_its_answer_said(start_sidecar: StartSidecar) -> None:
    with refusing_port() as port:
        sidecar = start_sidecar(server("o", f"http://127.0.0.1:{port}"))
        with EventReader(sidecar.port, CALLS) as reader:
            answer = sidecar.ask(post("/tools/o.call")).json()
            told = reader.next().json()

    assert (told["error_code"], told["error_message"]) == (answer["code"], answer["detail"])
    assert (told["status"], told["http_status"]) == ("failure", answer["status"])


@pytest.mark.parametrize(("status", "code"), [(404, "client_error"), (500, "server_error")])
def test_answer_that_says_no_is_a_failure(
    start_origin: StartOrigin, start_sidecar: StartSidecar, status: int, code: str
) -> None:
    origin = start_origin(answers(message(b"HTTP/1.1 %d No" % status, b"Content-Length: 0")))
    sidecar = start_sidecar(server("o", origin.url))

    told = call_told(sidecar, post("/tools/o.call"))

    assert (told["status"], told["error_code"], told["http_status"]) == ("failure", code, status)
    assert told["error_message"] == f"The upstream answered {status}"


def test_caller_who_left_is_told(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("o", origin.url))
    with EventReader(sidecar.port, CALLS) as reader:
        with sidecar.caller() as caller:
            caller.send(post("/tools/o.call"))
            assert eventually(lambda: origin.calls)
        told = reader.next().json()

    assert (told["status"], told["error_code"], told["http_status"]) == (
        "failure",
        "caller_left",
        None,
    )


def test_passage_is_told_without_a_tool(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url, passthrough=True))

    told = call_told(sidecar, get("/servers/o/any?a=b"))

    assert (told["server_name"], told["tool_name"], told["status"]) == ("o", None, "success")


def test_call_that_was_tried_again_has_two_attempts(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(in_turn(echo, sends_and_resets(b""), echo))
    sidecar = start_sidecar(server("o", origin.url, tools=[{"name": "call", "idempotent": True}]))
    sidecar.ask(post("/tools/o.call"))  # the connection that it leaves is the one that dies

    told = call_told(sidecar, post("/tools/o.call"))

    assert (told["status"], told["attempts"]) == ("success", 2)
