"""`POST /api/v1/invoke` is the tool's own call by another name: what `/tools` does, it does.

Compared with `POST /tools/{server}.{tool}` with `parameters` as the body.
"""

from collections.abc import Iterator

import pytest

from tests.support.invocations import INVOKE, JSON, asking, invoke
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, get, message, ok, post, post_chunked
from tests.support.origin import Origin, Visit
from tests.support.pairs import Pair, running
from tests.support.ports import refusing_port
from tests.support.problems import problem_of
from tests.support.scripts import answers, echo
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

SETTINGS = {"defaults": {"circuit": NEVER_OPENS}}
TOOLS = [
    "call",
    {"name": "own", "method": "PUT", "path": "/things/own"},
    {"name": "read", "method": "GET", "path": "/things"},
    {"name": "quick", "timeout": "200ms"},
]


def servers(url: str, dead_url: str) -> list[Server]:
    needs = {"credentials_required": ["NOT_SET"]}
    return [
        server("o", url, tools=TOOLS),
        server("small", url, max_body="1KiB"),
        server("dead", dead_url, health_url=f"{url}/health"),
        server("poor", url, upstream_dependencies=needs),
        server("broken", "not a url"),
    ]


async def silent(visit: Visit) -> None:
    """Never answer."""
    await visit.connection.reader.read()


@pytest.fixture(scope="module")
def pair(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("invoke")
    with (
        refusing_port() as port,
        running(
            loop_thread,
            directory,
            lambda url: servers(url, f"http://127.0.0.1:{port}"),
            SETTINGS,
        ) as both,
    ):
        yield both


@pytest.fixture
def origin(pair: Pair) -> Origin:
    pair.origin.forget(echo)
    return pair.origin


@pytest.fixture
def sidecar(pair: Pair, origin: Origin) -> Sidecar:
    del origin
    return pair.sidecar


@pytest.mark.parametrize(
    ("server_name", "tool", "status", "code"),
    [
        (b"o", b"other", 404, "tool_not_found"),
        (b"x", b"call", 404, "namespace_not_found"),
        (b"dead", b"call", 502, "connect_failed"),
        (b"poor", b"call", 424, "missing_credentials"),
        (b"broken", b"call", 503, "server_quarantined"),
        (b"o", b"quick", 504, "upstream_timeout"),
    ],
)
def test_errors_are_those_of_tools(
    sidecar: Sidecar,
    origin: Origin,
    *,
    server_name: bytes,
    tool: bytes,
    status: int,
    code: str,
) -> None:
    origin.forget(silent if tool == b"quick" else echo)
    target = f"/tools/{server_name.decode()}.{tool.decode()}"

    invoked = problem_of(sidecar.ask(invoke(asking(b"{}", tool, server_name))))
    called = problem_of(sidecar.ask(post(target)))

    own = ("trace_id", "request_id")
    assert [invoked[key] for key in invoked if key not in own] == [
        called[key] for key in called if key not in own
    ]
    assert (invoked["status"], invoked["code"]) == (status, code)


@pytest.mark.parametrize(
    ("tool", "line"), [(b"own", b"PUT /things/own"), (b"read", b"GET /things")]
)
def test_tool_of_its_own_method_and_path_is_called_as_it_is(
    sidecar: Sidecar, origin: Origin, tool: bytes, line: bytes
) -> None:
    sidecar.ask(invoke(asking(b'{"a": 1}', tool)))

    (call,) = origin.calls
    assert (call.method + b" " + call.target, bytes(call.body)) == (line, b'{"a": 1}')


def test_upstream_gets_what_tools_would_have_sent(sidecar: Sidecar, origin: Origin) -> None:
    fields = (
        b"X-Own: kept",
        b"X-Request-Id: r-1",
        b"X-Chora-Trace-Id: workflow-1",
        b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        b"Accept: application/json",
        b"Authorization: Bearer secret",
        b"X-API-Key: secret",
        b"Request-Timeout: 5",
        b"Last-Event-ID: 4",
    )

    sidecar.ask(invoke(asking(b'{"a":1}'), *fields))
    sidecar.ask(post("/tools/o.call", JSON, *fields, body=b'{"a":1}'))

    own = b"traceparent"
    invoked, called = (sorted(f for f in call.headers if f[0] != own) for call in origin.calls)
    assert (invoked, origin.calls[0].target) == (called, origin.calls[1].target)


@pytest.mark.parametrize(
    "answer",
    [
        message(
            b"HTTP/1.1 404 Gone Fishing", b"X-A: 1", b"X-A: 2", b"Content-Length: 2", body=b"no"
        ),
        message(b"HTTP/1.1 500 Oh", b"Content-Type: a/b", b"Content-Length: 3", body=b"\x00\xff\n"),
        message(b"HTTP/1.1 503 Busy", b"Retry-After: 7", b"Content-Length: 0"),
        message(b"HTTP/1.1 204 None"),
        message(b"HTTP/1.1 302 There", b"Location: /api/v1/invoke", b"Content-Length: 0"),
        message(b"HTTP/1.1 200 OK", b"Content-Encoding: gzip", b"Content-Length: 1", body=b"\x1f"),
    ],
    ids=["404", "500-binary", "503", "204", "302", "encoded"],
)
def test_answers_come_back_as_they_are(sidecar: Sidecar, origin: Origin, answer: bytes) -> None:
    origin.script = answers(answer)

    came = sidecar.ask(invoke(asking(b"{}")))
    expected = sidecar.ask(post("/tools/o.call"))

    ours = {b"date", b"x-request-id", b"x-chora-trace-id"}
    kept = [[f for f in each.headers if f[0].lower() not in ours] for each in (came, expected)]
    assert (came.status, came.reason, came.body) == (
        expected.status,
        expected.reason,
        expected.body,
    )
    assert kept[0] == kept[1]


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"PUT", b"DELETE", b"PATCH", b"QUERY"])
def test_other_methods_are_told_which_one_is_right(sidecar: Sidecar, method: bytes) -> None:
    request = message(method + b" /api/v1/invoke HTTP/1.1", b"Host: a", b"Content-Length: 0")

    answer = sidecar.ask(request)

    assert (answer.status, "POST" in (answer.value("allow") or "")) == (405, True)


def test_server_of_small_bodies_is_not_overrun(sidecar: Sidecar, origin: Origin) -> None:
    large = asking(b'{"a":"%s"}' % (b"x" * 2000), server=b"small")

    answer = sidecar.ask(invoke(large))

    assert (answer.status, origin.calls) == (413, [])
    assert problem_of(answer)["code"] == "body_too_large"


def test_query_goes_on_as_with_tools_or_is_refused(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(invoke(asking(b"{}"), target=INVOKE + "?a=%41&b"))

    targets = [call.target for call in origin.calls]
    assert (answer.status, targets) in [(200, [b"/tools/call?a=%41&b"]), (400, [])]


def test_path_beside_it_is_not_it(sidecar: Sidecar, origin: Origin) -> None:
    for target in ("/api/v1/invoke/", "/api/v1/invokes", "/api/v1//invoke", "/api/v1/%69nvoke"):
        assert sidecar.ask(invoke(asking(b"{}"), target=target)).status in {404, 405}, target

    assert not origin.calls


def test_page_of_another_origin_may_not_invoke(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(invoke(asking(b"{}"), b"Origin: http://elsewhere"))

    assert (answer.status, problem_of(answer)["code"]) == (403, "origin_not_allowed")
    assert not origin.calls


def test_own_mark_is_a_loop(sidecar: Sidecar, origin: Origin) -> None:
    via = (sidecar.ask(invoke(asking(b"{}"))).value("via") or "").encode()

    answer = sidecar.ask(invoke(asking(b"{}"), b"Via: " + via))

    assert (answer.status, len(origin.calls)) == (508, 1)


def test_events_and_metrics_are_those_of_tools(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin(answers(ok())).url))
    for request in (
        invoke(asking(b'{"a":"s3cret"}')),
        post("/tools/o.call", body=b'{"a":"s3cret"}'),
    ):
        sidecar.ask(request)

    answer = sidecar.get("/events?format=json&event_type=tool_invoked")

    events = answer.json()["events"]
    assert isinstance(events, list)
    own = {"event_id", "timestamp", "trace_id", "duration_ms", "request_id", "upstream_ms"}
    invoked, called = ({k: v for k, v in each.items() if k not in own} for each in events)
    assert (invoked, b"s3cret" in answer.body) == (called, False)
    assert b'toolproxy_calls_total{outcome="success",server="o",tool="call"} 2' in (
        sidecar.get("/metrics").body
    )


def test_request_timeout_is_heard(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = silent

    assert sidecar.ask(invoke(asking(b"{}"), b"Request-Timeout: 0.2")).status == 504
    assert sidecar.ask(invoke(asking(b"{}"), b"Request-Timeout: soon")).status == 400


def test_control_plane_and_calls_answer_in_turn_around_it(sidecar: Sidecar) -> None:
    requests = (
        get("/livez")
        + invoke(asking(b'{"a":1}'))
        + post("/tools/o.call", body=b'{"a":2}')
        + get("/health")
        + invoke(asking(b'{"a":3}'))
        + invoke(b"[]")
        + post_chunked(INVOKE, JSON, body=chunked(asking(b'{"a":4}')))
        + get("/livez")
    )
    with sidecar.caller() as caller:
        caller.send(requests)
        came = [caller.answer() for _ in range(8)]

    assert [each.status for each in came] == [200, 200, 200, 200, 200, 400, 200, 200]
    bodies = [each.json()["body"] for each in came if b'"body":' in each.body]
    assert bodies == ['{"a":1}', '{"a":2}', '{"a":3}', '{"a":4}']


def test_http_1_0_is_answered_and_closed(sidecar: Sidecar) -> None:
    body = asking(b"{}")
    length = b"Content-Length: %d" % len(body)
    request = message(b"POST /api/v1/invoke HTTP/1.0", JSON, length, body=body)

    assert sidecar.verdicts(request) == [200]


def test_answer_with_nothing_to_it_is_whole(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b""))

    with sidecar.caller() as caller:
        caller.send(invoke(asking(b"{}")) * 2)

        assert [caller.answer().body, caller.answer().body] == [b"", b""]
