"""The access log as JSON: all of a call, and by Envoy's response flags why it went wrong."""

import contextlib
import re
from pathlib import Path
from typing import Final

import pytest

from tests.support.loop_thread import LoopThread
from tests.support.messages import get, ok, post
from tests.support.origin import Origin
from tests.support.ports import refusing_port
from tests.support.reports import Line, json_lines
from tests.support.scripts import (
    answers,
    answers_at_once,
    echo,
    holds,
    in_turn,
    sends_and_resets,
)
from tests.support.sidecar import NEVER_OPENS, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
MORE_THAN_MAY_RETRY: Final = 40
KEYS: Final = {
    "timestamp",
    "remote_addr",
    "method",
    "target",
    "protocol",
    "status",
    "request_bytes",
    "response_bytes",
    "duration_ms",
    "route",
    "server",
    "tool",
    "upstream",
    "upstream_ms",
    "attempts",
    "response_flags",
    "error_code",
    "trace_id",
    "request_id",
    "referer",
    "user_agent",
}


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok(b"x" * 37)))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def call_flagged(
    start_sidecar: StartSidecar, log: Path, url: str, request_bytes: bytes, **keys: object
) -> Line:
    """The JSON line of one call that fails."""
    settings = {"access_log": str(log), "access_format": "json"}
    tools = ["call", {"name": "again", "idempotent": True}]
    keys = {"circuit": NEVER_OPENS, "retry": {"attempts": 1}, **keys}
    sidecar = start_sidecar(server("o", url, tools=tools, **keys), settings=settings)
    with sidecar.caller() as caller:
        caller.send(request_bytes)
        caller.rest() if b"close" in request_bytes else caller.answer()
    return json_lines(log)[-1]


@pytest.mark.parametrize(
    ("octets", "flag", "code"),
    [
        pytest.param(b"", "UC", "upstream_closed", id="closed"),
        pytest.param(b"HTTP/1.1 200 O", "UC", "upstream_closed", id="half-a-head"),
        pytest.param(b"nonsense\r\n\r\n", "UPE", "upstream_protocol", id="no-http"),
    ],
)
def test_flag_says_what_the_upstream_did(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    log: Path,
    octets: bytes,
    flag: str,
    code: str,
) -> None:
    origin = start_origin(answers(octets, close=True))

    line = call_flagged(start_sidecar, log, origin.url, post(CALL))

    assert (line["status"], line["response_flags"], line["error_code"]) == (502, flag, code)
    assert (line["upstream"], line["upstream_ms"], line["attempts"]) == (origin.url, None, 1)


def test_answer_that_broke_off_keeps_its_status_and_says_why(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path
) -> None:
    origin = start_origin(sends_and_resets(ok(b"x" * 9)[:-4]))
    close = post(CALL, b"Connection: close")

    line = call_flagged(start_sidecar, log, origin.url, close)

    assert (line["status"], line["response_flags"], line["response_bytes"]) == (200, "UC", 5)


def test_silent_upstream_is_ut(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))

    line = call_flagged(start_sidecar, log, origin.url, post(CALL), timeout="0.2s")
    gate.open()

    assert (line["status"], line["response_flags"], line["attempts"]) == (504, "UT", 1)


@pytest.mark.parametrize(
    ("attempts", "flag"), [pytest.param(1, "UF", id="UF"), pytest.param(2, "URX", id="URX")]
)
def test_refused_connection_is_uf_and_retries_that_were_used_up_are_urx(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path, attempts: int, flag: str
) -> None:
    healthy = start_origin()
    with refusing_port() as port:
        url = f"http://127.0.0.1:{port}"
        line = call_flagged(
            start_sidecar,
            log,
            url,
            post(CALL),
            health_url=f"{healthy.url}/health",
            retry={"attempts": attempts},
        )

    assert (line["status"], line["response_flags"], line["attempts"]) == (502, flag, attempts)
    assert line["upstream"] == ", ".join([url] * attempts)


def test_no_healthy_endpoint_is_uh(start_sidecar: StartSidecar, log: Path) -> None:
    settings = {"access_log": str(log), "access_format": "json"}
    with refusing_port() as port:
        sidecar = start_sidecar(server("o", f"http://127.0.0.1:{port}"), settings=settings)
        assert eventually(lambda: sidecar.said("unreachable"))
        sidecar.ask(post(CALL))

    line = json_lines(log)[-1]
    assert (line["status"], line["response_flags"], line["upstream"]) == (503, "UH", None)


def test_full_queue_is_uo_and_a_caller_that_left_is_dc(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))
    limits = {"max_requests": 1, "max_pending": 0}
    settings = {"access_log": str(log), "access_format": "json"}
    sidecar = start_sidecar(server("o", origin.url, limits=limits), settings=settings)
    with sidecar.caller() as caller:
        caller.send(post(CALL))
        assert eventually(lambda: origin.calls)
        assert sidecar.ask(post(CALL)).status == 429
    refused, left = json_lines(log, 2)
    gate.open()

    assert (refused["status"], refused["response_flags"]) == (429, "UO")
    assert (left["status"], left["response_flags"], left["attempts"]) == (499, "DC", 1)


@pytest.mark.parametrize("path", ["/tools/o.none", "/tools/none.call", "/servers/none/x"])
def test_unknown_name_is_nr(start_sidecar: StartSidecar, log: Path, path: str) -> None:
    line = call_flagged(start_sidecar, log, "http://127.0.0.1:9", post(path))

    assert (line["status"], line["response_flags"], line["tool"]) == (404, "NR", None)


@pytest.mark.parametrize(
    ("path", "code", "flag"),
    [
        pytest.param("/nowhere", "tool_not_found", "NR", id="404"),
        pytest.param("/events?format=json&limit=0", "bad_request", None, id="400"),
    ],
)
def test_error_of_the_control_plane_says_its_code(
    start_sidecar: StartSidecar, log: Path, path: str, code: str, flag: str | None
) -> None:
    line = call_flagged(start_sidecar, log, "http://127.0.0.1:9", get(path))

    assert (line["error_code"], line["response_flags"]) == (code, flag)


def test_json_line_says_all_of_a_call(
    origin: Origin, start_sidecar: StartSidecar, log: Path
) -> None:
    ids = (b"X-Chora-Trace-Id: workflow-1", b"X-Request-Id: r-1")
    told = (b"Referer: http://a/", b'User-Agent: caf\xc3\xa9 "\xff"')

    line = call_flagged(start_sidecar, log, origin.url, post(CALL + "?q=1", *ids, *told))

    took, upstream_ms = line.pop("duration_ms"), line.pop("upstream_ms")
    assert isinstance(took, float)
    assert isinstance(upstream_ms, float)
    assert 0 < upstream_ms < took
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(line.pop("timestamp")))
    assert line == {
        "remote_addr": "127.0.0.1",
        "method": "POST",
        "target": "/tools/o.call?q=1",
        "protocol": "HTTP/1.1",
        "status": 200,
        "request_bytes": 2,
        "response_bytes": 37,
        "route": "/tools/{tool}",
        "server": "o",
        "tool": "call",
        "upstream": origin.url,
        "attempts": 1,
        "response_flags": None,
        "error_code": None,
        "trace_id": "workflow-1",
        "request_id": "r-1",
        "referer": "http://a/",
        "user_agent": 'café "\\xff"',
    }


def test_line_of_what_cannot_be_read_has_all_keys(start_sidecar: StartSidecar, log: Path) -> None:
    line = call_flagged(start_sidecar, log, "http://127.0.0.1:9", b"GARBAGE\r\n\r\n")

    assert (set(line), line["status"], line["error_code"]) == (KEYS, 400, "bad_request")


def test_upstreams_of_a_call_are_listed_in_the_order_they_were_tried(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path
) -> None:
    dies = answers_at_once(b"", close=True)
    origins = [start_origin(in_turn(dies, echo)), start_origin(in_turn(dies, echo))]
    asked = [origins[0].url, origins[1].url]

    line = call_flagged(
        start_sidecar,
        log,
        origins[0].url,
        post("/tools/o.again"),
        endpoints=asked,
        retry={"attempts": 2},
    )

    assert line["attempts"] == 2
    assert str(line["upstream"]).split(", ") in (asked, asked[::-1])


def test_upstream_is_listed_as_often_as_it_was_asked(
    start_origin: StartOrigin, start_sidecar: StartSidecar, log: Path
) -> None:
    healthy = start_origin()
    with refusing_port() as port, contextlib.ExitStack() as stack:
        behind = server(
            "o",
            f"http://127.0.0.1:{port}",
            health_url=f"{healthy.url}/health",
            circuit=NEVER_OPENS,
        )
        settings = {"access_log": str(log), "access_format": "json"}
        sidecar = start_sidecar(behind, settings=settings)
        callers = [stack.enter_context(sidecar.caller()) for _ in range(MORE_THAN_MAY_RETRY)]
        for caller in callers:
            caller.send(post(CALL))
        for caller in callers:
            caller.answer()

    told = [
        (line["attempts"], len(str(line["upstream"]).split(", ")))
        for line in json_lines(log, MORE_THAN_MAY_RETRY)
    ]
    assert [asked for asked, listed in told if asked != listed] == []
