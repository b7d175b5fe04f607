"""Does the transparent way in go round a rule? Never to a tool's own path, in no spelling of it.

What an upstream makes of a path is not known here, so what a common server would take for a tool's
path counts as one.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote_to_bytes

import pytest

from tests.support.admission_scene import named, shared_scene, verdict, x_api_key
from tests.support.loop_thread import LoopThread
from tests.support.messages import message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

Scene = tuple[Origin, Sidecar]
ALL: Final = x_api_key("secret-of-all")
ONE: Final = x_api_key("secret-of-one")
OPS: Final = x_api_key("secret-of-ops")
PLAIN: Final = [{"name": "call"}, {"name": "run", "path": "/v2/run/it"}]
NEEDS: Final = {"credentials_required": ["NOBODY_HAS_SET_THIS"]}
RULED: Final[dict[str, dict[str, object]]] = {
    "teams": {"authorized_teams": ["data"]},
    "high": {"sensitivity_level": "high"},
    "critical": {"sensitivity_level": "critical"},
    "rate": {"rate": "1000/s"},
    "needs": {"upstream_dependencies": NEEDS},
    "toolhigh": {"tools": [{"name": "call", "sensitivity_level": "high"}]},
    "toolcritical": {"tools": [{"name": "call", "sensitivity_level": "critical"}]},
    "toolrate": {"tools": [{"name": "call", "rate": "1000/s"}]},
    "toolneeds": {"tools": [{"name": "call", "upstream_dependencies": NEEDS}]},
}
# After `/servers/t`, with the method that a tool is called with and others.
SPELLINGS: Final = (
    "/tools/call",
    "/tools/call/",
    "/tools/call?x=1",
    "/tools/call?",
    "/tools//call",
    "//tools/call",
    "///tools/call",
    "/tools/call//",
    "/tools/%63all",
    "/%74ools/call",
    "/%74%6F%6f%6C%73/%63%61%6c%6c",
    "/tools%2fcall",
    "/tools%2Fcall",
    "/tools%5ccall",
    "/tools\\call",
    "/./tools/call",
    "/tools/./call",
    "/tools/%2e/call",
    "/mcp/../tools/call",
    "/mcp/%2e%2e/tools/call",
    "/mcp/.%2E/tools/call",
    "/mcp/..%2ftools/call",
    "/mcp/..;/tools/call",
    "/tools/call;x=1",
    "/tools;x=1/call",
    "/tools/call%00",
    "/tools/call%3f",
    "/tools/call%23",
    "/tools/call%253f",
    "/%2574ools/call",
    "/v2/run/it",
    "/v2//run/it",
    "/v2/run/%69t",
    "/v2/run/it/",
    "/v2/x/../run/it",
)


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    names = ["t.*", "m.*", *(f"{name}.*" for name in RULED)]
    keys = [
        named("all", "secret-of-all", allow=names, teams=["data"]),
        named("one", "secret-of-one", allow=["t.call", "t.run", "m.call"]),
        named("ops", "secret-of-ops", admin=True, teams=["data"]),
    ]
    base: dict[str, object] = {"tools": [{"name": "call"}], "passthrough": True}
    servers: list[dict[str, object]] = [
        {"namespace": "t", "name": "t", "tools": PLAIN, "passthrough": True},
        {**base, "namespace": "m", "name": "m", "passthrough": ["/mcp"]},
        {"namespace": "own", "name": "own", "tools": [{"name": "danger"}]},
        *({**base, "namespace": name, "name": name, **rule} for name, rule in RULED.items()),
    ]
    directory = tmp_path_factory.mktemp("passthrough")
    settings = {"auth": {"api_keys": keys}}
    with shared_scene(loop_thread, directory, settings, *servers) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def as_a_server_reads_it(target: bytes) -> bytes:
    """A path as the laxest of servers takes it: decoded, one slash each, parameters cut off."""
    path = unquote_to_bytes(target.partition(b"?")[0]).replace(b"\\", b"/")
    segments: list[bytes] = []
    for segment in (part.partition(b";")[0].partition(b"\0")[0] for part in path.split(b"/")):
        if segment == b"..":
            segments = segments[:-1]
        elif segment not in {b"", b"."}:
            segments.append(segment)
    return b"/" + b"/".join(segments)


def tools_reached(origin: Origin) -> list[bytes]:
    own = {b"/tools/call", b"/v2/run/it"}
    return [visit.target for visit in origin.calls if as_a_server_reads_it(visit.target) in own]


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "OPTIONS"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_path_of_a_tool_is_out_of_reach(
    sidecar: Sidecar, origin: Origin, spelling: str, method: str
) -> None:
    line = f"{method} /servers/t{spelling} HTTP/1.1".encode()

    answer = sidecar.ask(message(line, b"Host: a", b"Content-Length: 0", ALL))

    assert tools_reached(origin) == []
    assert answer.status in {200, 400, 403, 404}


def test_tool_of_another_name_on_the_same_upstream_is_out_of_reach(
    sidecar: Sidecar, origin: Origin
) -> None:
    """`own` and `t` have one endpoint; this caller may not call `own.danger`."""
    called = sidecar.ask(post("/tools/own.danger", ALL))
    passed = sidecar.ask(post("/servers/t/tools/danger", ALL))

    assert verdict(called) == (403, "forbidden")
    assert passed.status in {403, 404}
    assert origin.calls == []


@pytest.mark.parametrize("target", ["http://a/servers/t/tools/call", "//servers/t/tools/call"])
def test_no_form_of_the_target_reaches_a_tool(
    sidecar: Sidecar, origin: Origin, target: str
) -> None:
    sidecar.ask(post(target, ALL))

    assert tools_reached(origin) == []


def test_passthrough_is_open_with_a_grant_on_the_whole(sidecar: Sidecar, origin: Origin) -> None:
    assert sidecar.ask(post("/servers/t/mcp?x=1", ALL)).status == 200
    assert [visit.target for visit in origin.calls] == [b"/mcp?x=1"]


def test_grant_on_every_tool_is_no_grant_on_the_whole(sidecar: Sidecar, origin: Origin) -> None:
    answers = [sidecar.ask(post(f"/servers/{ns}/mcp", ONE)) for ns in "tm"]

    assert {verdict(answer) for answer in answers} == {(403, "forbidden")}
    assert origin.calls == []


@pytest.mark.parametrize("path", ["/mcpx", "/mc", "/", "", "/MCP", "/mcp/../x", "/x/mcp", "//mcp"])
def test_prefix_opens_no_neighbour(sidecar: Sidecar, origin: Origin, path: str) -> None:
    answer = sidecar.ask(post(f"/servers/m{path}", ALL))

    assert (answer.status, origin.calls) == (404, [])


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/deep", "/mcp?x"])
def test_prefix_opens_what_is_below(sidecar: Sidecar, origin: Origin, path: str) -> None:
    assert sidecar.ask(post(f"/servers/m{path}", ALL)).status == 200
    assert len(origin.calls) == 1


@pytest.mark.parametrize("key", [ALL, OPS], ids=["all", "operator"])
@pytest.mark.parametrize("namespace", RULED)
def test_rule_of_a_tool_closes_it(
    sidecar: Sidecar, origin: Origin, namespace: str, key: bytes
) -> None:
    answer = sidecar.ask(post(f"/servers/{namespace}/mcp", key))

    assert verdict(answer) == (403, "forbidden"), answer.body
    assert origin.calls == []


@pytest.mark.parametrize("namespace", [name for name in RULED if name != "teams"])
def test_rule_of_a_tool_closes_it_without_authorization_too(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory, namespace: str
) -> None:
    ruled = {
        "namespace": "r",
        "name": "r",
        "tools": [{"name": "call"}],
        "passthrough": True,
        **RULED[namespace],
    }
    with shared_scene(loop_thread, tmp_path_factory.mktemp("off"), {}, ruled) as (origin, sidecar):
        answer = sidecar.ask(post("/servers/r/mcp"))

        assert (answer.status, origin.calls) == (403, [])


def test_upgrade_is_no_way_round(sidecar: Sidecar, origin: Origin) -> None:
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket")
    for target, key in (("/servers/t/mcp", ONE), ("/servers/high/ws", ALL), ("/servers/t/ws", b"")):
        fields = [field for field in (*upgrade, key) if field]
        answer = sidecar.ask(message(f"GET {target} HTTP/1.1".encode(), b"Host: a", *fields))
        assert answer.status in {401, 403}, (target, answer)

    assert origin.calls == []
