"""Facts about the registry's model: defaults, grammar, what is refused."""

from typing import Any

import msgspec
import pytest

from proxy.config.shape import fit
from proxy.registry.address import parse_address
from proxy.registry.model import Balance, Dependencies, HashKey, Latency, Server, Tool

SERVER = {"namespace": "a", "name": "host", "port": 80}


def read(**keys: object) -> Server:
    found = fit(Server, {**SERVER, **keys})
    assert found.problems == []
    server: Server = found.value
    return server


def flaws_of(kind: type, value: object) -> list[tuple[str, str]]:
    problems = fit(kind, value).problems
    return [(".".join(map(str, problem.path)), problem.code) for problem in problems]


def test_server_of_three_keys_has_the_defaults() -> None:
    assert read() == Server(namespace="a", name="host", port=80)


def test_port_stands_for_an_endpoint_at_the_name() -> None:
    assert read().endpoints == (parse_address("http://host:80"),)


def test_endpoints_win_over_the_port() -> None:
    assert read(endpoints=["http://b"]).endpoints == (parse_address("http://b"),)


def test_name_is_any_text_where_there_are_endpoints() -> None:
    assert read(name="The manifest", port=None, endpoints=["http://b"]).name == "The manifest"


@pytest.mark.parametrize(
    ("keys", "path", "code"),
    [
        ({"namespace": "a.b"}, "namespace", "BAD_NAME"),
        ({"namespace": "n" * 65}, "namespace", "BAD_NAME"),
        ({"namespace": False}, "namespace", "BAD_TYPE"),
        ({"name": ""}, "name", "BAD_NAME"),
        ({"name": "a b"}, "name", "BAD_NAME"),
        ({"name": "127.1"}, "", "BAD_URL"),
        ({"port": None}, "endpoints", "MISSING_FIELD"),
        ({"port": 0}, "port", "BAD_VALUE"),
        ({"port": "x"}, "port", "BAD_TYPE"),
        ({"endpoints": ["http://u:p@h"]}, "endpoints.0", "BAD_URL"),
        ({"endpoints": [{"url": "http://h", "weight": -1}]}, "endpoints.0.weight", "BAD_VALUE"),
        ({"health_url": "h"}, "health_url", "BAD_URL"),
        ({"health": {"path": "health"}}, "health.path", "BAD_VALUE"),
        ({"health": {"method": "TRACE"}}, "health.method", "BAD_VALUE"),
        ({"health": {"expect": [600]}}, "health.expect.0", "BAD_VALUE"),
        ({"health": {"interval": 0}}, "health.interval", "BAD_VALUE"),
        ({"balance": "random"}, "balance", "BAD_VALUE"),
        ({"balance": 1}, "balance", "BAD_TYPE"),
        ({"balance": {"hsh": {}}}, "balance.hsh", "UNKNOWN_KEY"),
        ({"balance": {"hash": {}}}, "balance.hash", "BAD_VALUE"),
        ({"outlier": {"max_ejected": 1.5}}, "outlier.max_ejected", "BAD_VALUE"),
        ({"retry": {"conditions": ["all"]}}, "retry.conditions.0", "BAD_VALUE"),
        ({"limits": {"max_requests": 0}}, "limits.max_requests", "BAD_VALUE"),
        ({"timeout": -1}, "timeout", "BAD_VALUE"),
        ({"tls": {"cert": "c.pem"}}, "tls", "BAD_VALUE"),
        ({"forward_headers": ["a b"]}, "forward_headers.0", "BAD_VALUE"),
        ({"forward_headers": ["Transfer-Encoding"]}, "forward_headers.0", "BAD_VALUE"),
        ({"forward_headers": ["connection"]}, "forward_headers.0", "BAD_VALUE"),
        ({"inject_headers": ["x"]}, "inject_headers", "BAD_TYPE"),
        ({"inject_headers": {"Host": "x"}}, "inject_headers.Host", "BAD_VALUE"),
        ({"inject_headers": {"content-length": "1"}}, "inject_headers.content-length", "BAD_VALUE"),
        ({"inject_headers": {"x": "a\r\nb: c"}}, "inject_headers.x", "BAD_VALUE"),
        ({"inject_headers": {"x": 1}}, "inject_headers.x", "BAD_VALUE"),
        ({"passthrough": "/mcp"}, "passthrough", "BAD_TYPE"),
        ({"passthrough": ["mcp"]}, "passthrough", "BAD_VALUE"),
        ({"max_body": 0}, "max_body", "BAD_VALUE"),
        ({"rate": 100}, "rate", "BAD_VALUE"),
        ({"rate": "0/s"}, "rate", "BAD_VALUE"),
        ({"sensitivity_level": "secret"}, "sensitivity_level", "BAD_VALUE"),
        ({"access_restrictions": []}, "access_restrictions", "BAD_TYPE"),
        (
            {"upstream_dependencies": {"expected_latency_ms": {"p95": 0}}},
            "upstream_dependencies.expected_latency_ms.p95",
            "BAD_VALUE",
        ),
        ({"tools": [{"name": "a b"}]}, "tools.0.name", "BAD_NAME"),
    ],
)
def test_broken_server_names_the_key(keys: dict[str, object], path: str, code: str) -> None:
    assert flaws_of(Server, {**SERVER, **keys}) == [(path, code)]


@pytest.mark.parametrize(
    ("keys", "path", "code"),
    [
        ({"name": "t" * 129}, "name", "BAD_NAME"),
        ({"name": ".."}, "name", "BAD_NAME"),
        ({"method": "HEAD"}, "method", "BAD_VALUE"),
        ({"path": "tools"}, "path", "BAD_VALUE"),
        ({"path": "/a/../b"}, "path", "BAD_VALUE"),
        ({"path": "/a?b"}, "path", "BAD_VALUE"),
        ({"timeout": 0}, "timeout", "BAD_VALUE"),
        ({"parameters": [{"type": "string"}]}, "parameters.0.name", "MISSING_FIELD"),
        ({"input_schema": "x"}, "input_schema", "BAD_TYPE"),
    ],
)
def test_broken_tool_names_the_key(keys: dict[str, object], path: str, code: str) -> None:
    assert flaws_of(Tool, {"name": "t", **keys}) == [(path, code)]


def test_tool_lies_under_tools_unless_it_says_where() -> None:
    assert (Tool(name="a.b").path, Tool(name="a", path="/x").path) == ("/tools/a.b", "/x")


def test_dotted_name_with_a_path_of_its_own_is_fine() -> None:
    assert flaws_of(Tool, {"name": "..", "path": "/up"}) == []


@pytest.mark.parametrize(
    ("written", "balance"),
    [
        ("peak_ewma", Balance(method="peak_ewma")),
        (
            {"hash": {"header": "X-Session"}},
            Balance(method="hash", key=HashKey(header="x-session")),
        ),
        ({"hash": {"cookie": "sid"}}, Balance(method="hash", key=HashKey(cookie="sid"))),
        ({"hash": {"peer": True}}, Balance(method="hash", key=HashKey(peer=True))),
    ],
)
def test_balance_is_a_name_or_a_hash(written: object, balance: Balance) -> None:
    assert read(balance=written).balance == balance


def test_header_names_are_lower_case() -> None:
    server = read(forward_headers=["Authorization"], inject_headers={"X-Key": "${KEY}"})

    assert (server.forward_headers, server.inject_headers) == (
        ("authorization",),
        {"x-key": "${KEY}"},
    )


@pytest.mark.parametrize(
    ("written", "opened"), [(True, True), (False, False), (["/mcp"], ("/mcp",))]
)
def test_passthrough_is_all_none_or_prefixes(written: object, opened: object) -> None:
    assert read(passthrough=written).passthrough == opened


def test_empty_dependencies_are_not_none() -> None:
    server = read(tools=[{"name": "a", "upstream_dependencies": {}}, {"name": "b"}])

    assert [tool.upstream_dependencies for tool in server.tools] == [Dependencies(), None]


def test_model_survives_msgpack() -> None:
    keys: dict[str, Any] = {
        "balance": {"hash": {"header": "a"}},
        "passthrough": ["/mcp"],
        "upstream_dependencies": {"expected_latency_ms": {"p95": 5}},
        "tools": [
            {
                "name": "t",
                "input_schema": {"a": [1, None]},
                "parameters": [{"name": "p", "default": 1}],
            }
        ],
    }
    server = read(**keys)

    again = msgspec.msgpack.decode(msgspec.msgpack.encode(server), type=Server)

    assert again == server
    assert again.upstream_dependencies.expected_latency_ms == Latency(p95=5.0)
