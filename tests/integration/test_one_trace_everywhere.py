"""The id that a caller gives its call is found wherever the call is told of."""

from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.reports import events, json_lines, lines_of
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

W3C_ID: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT: Final = f"traceparent: 00-{W3C_ID}-00f067aa0ba902b7-01".encode()
OURS: Final = b"X-Chora-Trace-Id: workflow-abc123"
ODD: Final = rb'X-Chora-Trace-Id: a"b\c;<>&{}'
NAMED: Final = pytest.mark.parametrize(
    ("given", "name"),
    [
        pytest.param((OURS,), "workflow-abc123", id="ours"),
        pytest.param((TRACEPARENT,), W3C_ID, id="w3c"),
        pytest.param((OURS, TRACEPARENT), "workflow-abc123", id="both"),
        pytest.param((ODD,), r'a"b\c;<>&{}', id="odd"),
    ],
)


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar, tmp_path: Path) -> Sidecar:
    settings = {
        "access_log": str(tmp_path / "access.log"),
        "access_format": "json",
        "events": {"journal": str(tmp_path / "events.jsonl")},
    }
    return start_sidecar(server("o", origin.url), settings=settings)


@NAMED
def test_name_of_a_call_is_found_wherever_it_is_told_of(
    sidecar: Sidecar, origin: Origin, tmp_path: Path, given: tuple[bytes, ...], name: str
) -> None:
    with sidecar.caller() as listener:
        listener.send(get("/events?types=tool_invoked"))
        listener.until(b"\r\n\r\n")
        answer = sidecar.ask(post("/tools/o.call", *given))
        streamed = orjson.loads(listener.until(b"}\n\n").partition(b"data: ")[2])

    (upstream,) = origin.calls
    (listed,) = events(sidecar, "&types=tool_invoked")
    (logged,) = [each for each in json_lines(tmp_path / "access.log", 2) if each["server"]]
    kept = [orjson.loads(each) for each in lines_of(tmp_path / "events.jsonl", 4)]
    (journaled,) = [each for each in kept if each["event_type"] == "tool_invoked"]
    assert [
        answer.value("x-chora-trace-id"),
        upstream.value("x-chora-trace-id"),
        *(each["trace_id"] for each in (streamed, listed, journaled, logged)),
    ] == [name] * 6
    assert streamed == listed == journaled
    ids = {answer.value("x-request-id"), upstream.value("x-request-id"), logged["request_id"]}
    assert ids == {streamed["request_id"]}


def test_w3c_trace_goes_on_beside_our_own_name(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", OURS, TRACEPARENT))

    version, trace_id, parent_id, flags = str(origin.calls[0].value("traceparent")).split("-")
    assert (version, trace_id, flags) == ("00", W3C_ID, "01")
    assert parent_id != "00f067aa0ba902b7"


@NAMED
@pytest.mark.parametrize("path", ["/tools/o.none", "/events?format=json&limit=0"])
def test_name_is_in_the_body_of_an_error(
    sidecar: Sidecar, given: tuple[bytes, ...], name: str, path: str
) -> None:
    method = post if path.startswith("/tools") else get

    answer = sidecar.ask(method(path, *given))

    assert (answer.json()["trace_id"], answer.value("x-chora-trace-id")) == (name, name)


def test_name_of_a_refused_call_is_in_its_event(sidecar: Sidecar) -> None:
    answer = sidecar.ask(post("/tools/o.none", OURS))

    (event,) = events(sidecar, "&trace_id=workflow-abc123")
    told = {key: event[key] for key in ("status", "error_code", "error_message", "http_status")}
    assert told == {
        "status": "failure",
        "error_code": "tool_not_found",
        "error_message": answer.json()["detail"],
        "http_status": 404,
    }
