"""Does the code of the SARK guide run against the sidecar, with our client in place of its own?

Every block of the guide is in one of three tables: run here, run with failures in
`test_sark_failures.py`, or not run, with the reason.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import pytest

from proxy.client import AuthenticationError
from tests.support.guide_blocks import kept
from tests.support.guide_scene import GuideScene
from tests.support.loop_thread import LoopThread

pytestmark = pytest.mark.sockets

BLOCKS: Final = kept("sark_blocks.txt")
NOT_RUN: Final = {"install": "a shell command that installs the other client"}
RUN_WITH_FAILURES: Final = {"error_recovery", "handle_errors", "error_handling_and_recovery"}

SERVERS: Final = 105
ONE: Final = {"tool": "execute_query", "arguments": {"query": "SELECT 1"}}
USERS: Final = {"query": "SELECT * FROM users LIMIT 10", "database": "production"}
COUNTED: Final = {"query": "SELECT COUNT(*) FROM users", "database": "production"}


class Case(NamedTuple):
    """What a block says (patterns, in any order), whether for ever, and what it leaves behind.

    That is what expressions in its names come to.
    """

    says: tuple[str, ...] = ()
    endless: bool = False
    leaves: Mapping[str, object] = {}


CASES: Final = {
    "basic_usage": Case(("^Found 100 servers$", "SELECT 1")),
    "http_transport": Case(
        leaves={"len(servers)": 100, "tools[0].tool_name": "run_report", "result": ONE}
    ),
    "sse_transport": Case(
        ("^Event: tool_invoked - {.*execute_query", "^Event: server_registered - {.*new-server"),
        endless=True,
    ),
    "stdio_transport": Case(("^{'tools': .{'name': 'echo'}.}$",)),
    "auto_transport": Case(("^event: tool_invoked$",), endless=True),
    "list_all_servers": Case(
        (
            "^Server: postgres-mcp$",
            r"^  URL: http://127\.0\.0\.1:\d+",
            "^  Health: healthy$",
            "^  Tools: 2$",
            "^  Sensitivity: high$",
        )
    ),
    "server_info": Case(
        ("^Server ID: [0-9a-f]{32}$", r"^Authorized Teams: \[\]$", "^Access Restrictions: {}$")
    ),
    "list_tools": Case(
        (
            "^Tool: execute_query$",
            "^  Description: Run a query$",
            "^  Sensitivity: high$",
            "^  Parameters: .{'name': 'query', 'type': 'string', 'required': True",
            r"^  Sensitive Params: \['password'\]$",
        )
    ),
    "basic_invocation": Case(leaves={"result": {"tool": "execute_query", "arguments": USERS}}),
    "user_authentication": Case(leaves={"result": ONE}),
    "opa_authorization": Case(
        leaves={"result": {"tool": "execute_query", "arguments": {"query": "SELECT * FROM users"}}}
    ),
    "stream_all_events": Case(
        ("^Event Type: tool_invoked$", "^Data: {.*execute_query", r"^Event ID: \w+-\d+$"),
        endless=True,
    ),
    "filter_events": Case(
        ("^tool event: tool_invoked$", "^server event: server_registered$"), endless=True
    ),
    "custom_endpoint": Case(("^audit event: tool_invoked$",), endless=True),
    "local_server": Case(
        ("^Running: True$",),
        leaves={
            "tools": {"tools": [{"name": "echo"}]},
            "result": {"arguments": {"key": "value"}, "env": {"API_KEY": "test-key"}},
        },
    ),
    "several_local_servers": Case(
        ("'server1': {'status': 'running', 'pid': .*'server2': {'status': 'running', 'pid'",)
    ),
    "configuration": Case(leaves={"repr(client)[:14]": "<GatewayClient"}),
    "health_monitoring": Case(
        (
            "'http': {'status': 'healthy', 'cache_hit_rate': 0.0",
            "'sse': {'status': 'connected', 'connection_state': 'connected'",
            "'circuit_breaker': {'state': 'closed', 'failure_count': 0",
        )
    ),
    "metrics": Case(
        (
            "'transport_mode': 'auto', 'active_transports': .'http'., 'http_cache_hit_rate': 0.9,",
            "'total_calls': 10, .*'total_failures': 0, .*'failure_rate': 0.0",
        )
    ),
    "concurrent_operations": Case(
        leaves={
            "[each.server_name for each in servers]": ["server-1", "server-2", "server-3"],
            "[[tool.tool_name for tool in each] for each in tools]": [
                ["execute_query"],
                ["get", "set"],
            ],
        }
    ),
    "custom_timeouts": Case(
        leaves={"result1": ONE, "result2": {"tool": "long_running_task", "arguments": {}}}
    ),
    "no_error_handling": Case(leaves={"result": ONE}),
    "context_managers": Case(leaves={"len(result)": 100}),
    "reuse_clients": Case(leaves={"result.server_name": "server-99"}),
    "auto_mode": Case(("^event: tool_invoked$",), endless=True),
    "monitor_metrics": Case(("^warning: Low cache hit rate$",), leaves={"cb_state": "closed"}),
    "use_opa": Case(leaves={"result": ONE}),
    "set_timeouts": Case(
        leaves={"result": {"tool": "run_report", "arguments": {"report_id": "monthly"}}}
    ),
    "complete_workflow": Case(
        (
            f"^Found {SERVERS} servers$",
            r"^  - postgres-mcp \(healthy\)$",
            "^Found 1 tools for postgres-mcp$",
            "^  - execute_query: Run a query$",
            f"^Result: .*{COUNTED!r}".replace("(*)", r"\(\*\)"),
            r"^HTTP Cache Hit Rate: 0\.00%$",
            r"^Active Transports: \['http'\]$",
            "^Circuit Breaker: closed$",
            "^Total Calls: 3$",
            r"^Failure Rate: 0\.00%$",
        )
    ),
    "event_monitoring": Case(
        (
            "^Starting event monitor...$",
            "^Tool: execute_query on postgres-mcp$",
            "^Health: sick-server -> healthy$",
            "^Health: sick-server -> un",
            "^ERROR: out of paper$",
        ),
        endless=True,
    ),
    "local_development": Case(
        (
            r"^Server running with PID: \d+$",
            "^Available tools: {'tools': .{'name': 'echo'}.}$",
            "^Result: .*Hello, World!.*DEBUG",
            "^Server stopped$",
        )
    ),
}


@pytest.fixture(scope="module", params=["open", "guarded"])
def scene(
    request: pytest.FixtureRequest,
    loop_thread: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[GuideScene]:
    folder = tmp_path_factory.mktemp(request.param)
    scene = GuideScene(loop_thread, folder, guarded=request.param == "guarded")
    yield scene
    scene.close()


def test_every_block_is_run_or_named_with_its_reason() -> None:
    assert set(BLOCKS) == {*CASES, *RUN_WITH_FAILURES, *NOT_RUN}
    assert {name for name, block in BLOCKS.items() if block.language != "python"} == {*NOT_RUN}


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.endless])
def test_a_block_does_what_the_guide_says(
    scene: GuideScene, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the guide starts some programs where it is
    case = CASES[name]

    run = scene.rules(tmp_path).run(BLOCKS[name].text)

    assert [each for each in case.says if not run.heard(each)] == [], run.said
    assert {each: run.left(each) for each in case.leaves} == case.leaves


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.endless])
def test_a_block_hears_what_happens(scene: GuideScene, name: str, tmp_path: Path) -> None:
    rules, says = scene.rules(tmp_path), CASES[name].says

    with scene.something_happens():
        run = rules.run(BLOCKS[name].text, enough=says)

    assert all(map(run.heard, says))


def test_a_notification_reaches_the_local_server(scene: GuideScene, tmp_path: Path) -> None:
    scene.rules(tmp_path).run(BLOCKS["local_server"].text)

    told = orjson.loads((tmp_path / "told.json").read_bytes())
    assert (told["method"], told["params"]) == ("notifications/progress", {"percent": 50})


def test_a_block_without_a_credential_is_refused_where_one_is_needed(
    loop_thread: LoopThread, tmp_path: Path
) -> None:
    with contextlib.closing(GuideScene(loop_thread, tmp_path, guarded=True)) as guarded:
        rules = dataclasses.replace(guarded.rules(tmp_path), api_key="", token="")

        with pytest.raises(AuthenticationError):
            rules.run(BLOCKS["server_info"].text)
        with pytest.raises(AuthenticationError):
            rules.run(BLOCKS["user_authentication"].text)
