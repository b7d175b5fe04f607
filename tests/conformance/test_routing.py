"""Which bytes lead where, and which lead nowhere: contract, "Calls"."""

import pytest

from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.problems import problem_of
from tests.support.scripts import answers
from tests.support.sidecar import Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

LEADS = {
    "tool": ("POST", "/tools/o.call", "/tools/call"),
    "query": ("POST", "/tools/o.call?a=1&a=2", "/tools/call?a=1&a=2"),
    "empty-query": ("POST", "/tools/o.call?", "/tools/call?"),
    "dot-in-name": ("POST", "/tools/o.dotted.name", "/tools/dotted.name"),
    "base-path": ("POST", "/tools/based.call", "/base/v1/tools/call"),
    "passthrough": ("GET", "/servers/o/a/b", "/a/b"),
    "passthrough-root": ("GET", "/servers/o/", "/"),
    "passthrough-query": ("GET", "/servers/o/a?b=/../c", "/a?b=/../c"),
    "passthrough-double-slash": ("GET", "/servers/o/a//b", "/a//b"),
    "passthrough-slash-at-end": ("GET", "/servers/o/a/", "/a/"),
    "passthrough-percent": ("GET", "/servers/o/a%20b%3Fc", "/a%20b%3Fc"),
    "passthrough-semicolon": ("GET", "/servers/o/a;v=1", "/a;v=1"),
    "passthrough-base-path": ("PUT", "/servers/based/x", "/base/v1/x"),
    "passthrough-prefix": ("POST", "/servers/part/mcp", "/mcp"),
    "passthrough-below-prefix": ("DELETE", "/servers/part/mcp/x", "/mcp/x"),
    "passthrough-prefix-query": ("GET", "/servers/part/mcp?s=1", "/mcp?s=1"),
    "dots-in-segment": ("GET", "/servers/o/a..b/...", "/a..b/..."),
}
ESCAPES = [
    "..",
    "a/..",
    "../a",
    "a/../b",
    "./a",
    "a/.",
    "a/./b",
    "%2e%2e",
    "%2E%2E/a",
    ".%2e/a",
    "%2e./a",
    "a/%2e/b",
    "%2e",
    "a%2fb",
    "a%2Fb",
    "..%2f..%2fa",
    "a\\b",
    "..\\a",
    "a%5cb",
    "%5C..%5c",
    "%2e%2e%2f",
    "..;/a",
    "%252e%252e%252fa",
]
# These two are odd but dangerous only to a server that decodes twice or strips parameters.
LEFT_TO_THE_SERVER = {"..;/a", "%252e%252e%252fa"}


@pytest.mark.parametrize(("method", "path", "target"), LEADS.values(), ids=LEADS.keys())
def test_path_leads_to_target(
    sidecar: Sidecar, origin: Origin, method: str, path: str, target: str
) -> None:
    line = f"{method} {path} HTTP/1.1".encode()

    answer = sidecar.ask(message(line, b"Host: a", b"Content-Length: 0"))

    call = origin.calls[0]
    found = (answer.status, call.method.decode(), call.target.decode())
    assert found == (200, method, target)


def test_tool_with_its_own_method_and_path_is_called_there(
    sidecar: Sidecar, origin: Origin
) -> None:
    sidecar.ask(post("/tools/o.own?q=1"))

    assert (origin.calls[0].method, origin.calls[0].target) == (b"GET", b"/things/own?q=1")


@pytest.mark.parametrize("rest", [each for each in ESCAPES if each not in LEFT_TO_THE_SERVER])
@pytest.mark.parametrize("before", ["/servers/o/", "/servers/based/", "/tools/o."])
def test_nothing_leaves_the_base_path(
    sidecar: Sidecar, origin: Origin, before: str, rest: str
) -> None:
    answer = sidecar.ask(post(before + rest))

    assert (answer.status, origin.calls) == (404, [])


@pytest.mark.parametrize("rest", sorted(LEFT_TO_THE_SERVER))
def test_what_is_no_dot_segment_goes_on_as_it_is_or_nowhere(
    sidecar: Sidecar, origin: Origin, rest: str
) -> None:
    answer = sidecar.ask(get("/servers/o/" + rest))

    targets = [call.target.decode() for call in origin.calls]
    assert (answer.status, targets) in [(200, ["/" + rest]), (404, [])]


@pytest.mark.parametrize(
    "path",
    [
        "/servers/part/",
        "/servers/part/other",
        "/servers/part/mcpx",
        "/servers/part/MCP",
        "/servers/part/%6dcp",
        "/servers/part//mcp",
        "/servers/closed/any",
        "/servers/closed/",
        "/servers/o",
        "/servers//o/any",
    ],
)
def test_what_is_not_opened_is_not_found(sidecar: Sidecar, origin: Origin, path: str) -> None:
    answer = sidecar.ask(get(path))

    assert (answer.status, origin.calls) == (404, [])


@pytest.mark.parametrize(
    "rest",
    ["tools/call", "tools/again", "things/own", "tools/call?x", "tools/%63all", "tools//call"],
)
def test_paths_of_tools_are_not_reachable_through_servers(
    sidecar: Sidecar, origin: Origin, rest: str
) -> None:
    answer = sidecar.ask(post("/servers/o/" + rest))

    assert (answer.status in {403, 404}, origin.calls) == (True, [])


@pytest.mark.parametrize(
    "path",
    [
        "/tools/o.",
        "/tools/.call",
        "/tools/.",
        "/tools/o.call/",
        "/tools/o.call/more",
        "/tools//o.call",
        "/Tools/o.call",
        "/tools/O.call",
        "/tools/o.Call",
        "/tools/o%2ecall",
        "/tools/%6f.call",
        "/tools/o.call%20",
        "/tools/o.call;v=1",
        "/tools/" + "n" * 65 + ".call",
        "/tools/o." + "t" * 129,
        "/tools/o.ca+ll",
        "/tools/o.\u00e9",
    ],
)
def test_names_are_matched_byte_for_byte(sidecar: Sidecar, origin: Origin, path: str) -> None:
    answer = sidecar.ask(post(path))

    assert (answer.status in {400, 404} if "\u00e9" in path else answer.status == 404) is True
    assert origin.calls == []


GUARDED: dict[str, tuple[Server, Server]] = {
    "teams": ({"authorized_teams": ["a"]}, {}),
    "credentials": ({}, {"upstream_dependencies": {"credentials_required": ["SOMETHING"]}}),
    "rate": ({}, {"rate": "100/s"}),
    "high-sensitivity": ({}, {"sensitivity_level": "high"}),
    "critical-sensitivity": ({"sensitivity_level": "critical"}, {}),
}


def test_passthrough_does_not_go_round_the_rules_of_a_tool(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    servers = [
        server(words, origin.url, tools=["a", {"name": "b", **tool}], passthrough=True, **keys)
        for words, (keys, tool) in GUARDED.items()
    ]
    sidecar = start_sidecar(*servers)

    statuses = {words: sidecar.ask(post(f"/servers/{words}/any")).status for words in GUARDED}

    assert (statuses, origin.calls) == (dict.fromkeys(GUARDED, 403), [])


def test_options_on_a_tool_is_answered_here(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(message(b"OPTIONS /tools/o.call HTTP/1.1", b"Host: a"))

    allowed = answer.value("allow") or ""
    assert (answer.status, "POST" in allowed, origin.calls) == (204, True, [])


def test_options_on_a_server_is_passed_on(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(message(b"OPTIONS /servers/o/any HTTP/1.1", b"Host: a"))

    assert (answer.status, origin.calls[0].method) == (200, b"OPTIONS")


@pytest.mark.parametrize(
    "path", ["/tools/o.call", "/servers/o/any", "/health", "/tools", "/metrics", "/livez"]
)
def test_page_of_another_origin_is_kept_out(sidecar: Sidecar, origin: Origin, path: str) -> None:
    line = b"%b %b HTTP/1.1" % (
        b"POST" if path.endswith(("call", "any")) else b"GET",
        path.encode(),
    )

    answer = sidecar.ask(message(line, b"Host: a", b"Origin: http://evil.example"))

    found = (answer.status, problem_of(answer)["code"], origin.calls)
    assert found == (403, "origin_not_allowed", [])


@pytest.mark.parametrize("given", [b"null", b"http://a:1", b"http://a.evil.example", b"nonsense"])
def test_origin_that_is_almost_ours_is_kept_out(sidecar: Sidecar, given: bytes) -> None:
    answer = sidecar.ask(post("/tools/o.call", b"Origin: " + given))

    assert answer.status == 403


def test_page_of_our_own_origin_is_served(sidecar: Sidecar) -> None:
    host = b"127.0.0.1:%d" % sidecar.port
    request = post("/tools/o.call", b"Origin: http://" + host).replace(b"Host: a", b"Host: " + host)

    assert sidecar.ask(request).status == 200


@pytest.fixture
def open_to_app(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    origin = start_origin(answers(ok(b"ok", b"Access-Control-Allow-Origin: http://theirs")))
    settings = {"cors": {"origins": ["http://app.example"]}}
    return start_sidecar(server("o", origin.url, passthrough=True), settings=settings)


@pytest.mark.parametrize("path", ["/tools/o.call", "/servers/o/any"])
def test_preflight_is_answered_here(open_to_app: Sidecar, path: str) -> None:
    asked = (b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: x-a")
    line = b"OPTIONS %b HTTP/1.1" % path.encode()

    answer = open_to_app.ask(message(line, b"Host: a", b"Origin: http://app.example", *asked))

    names = ("origin", "methods", "headers", "credentials")
    origin, methods, headers, credentials = (
        answer.value(f"access-control-allow-{name}") for name in names
    )
    found = (answer.status // 100, origin, "POST" in (methods or ""), credentials)
    assert found == (2, "http://app.example", True, None)
    assert (headers, answer.value("access-control-max-age")) == ("x-a", "600")


def test_answer_to_an_allowed_origin_carries_our_fields_only(open_to_app: Sidecar) -> None:
    answer = open_to_app.ask(post("/tools/o.call", b"Origin: http://app.example"))

    found = (answer.status, answer.values("access-control-allow-origin"))
    assert found == (200, ["http://app.example"])


def test_allowed_origins_let_no_other_in(open_to_app: Sidecar) -> None:
    answer = open_to_app.ask(post("/tools/o.call", b"Origin: http://evil.example"))

    assert (answer.status, answer.values("access-control-allow-origin")) == (403, [])


def test_host_that_is_not_allowed_is_refused(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    behind = server("o", start_origin().url)
    sidecar = start_sidecar(behind, settings={"allowed_hosts": ["sidecar.example"]})

    statuses = [
        sidecar.ask(post("/tools/o.call").replace(b"Host: a", b"Host: " + host)).status
        for host in (b"rebound.example", b"sidecar.example")
    ]

    assert (statuses[0] in {400, 403, 421}, statuses[1]) == (True, 200)
