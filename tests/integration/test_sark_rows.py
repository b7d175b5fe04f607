"""What SARK's client is told of one server, and of one tool."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests.support.caller import Answer
from tests.support.messages import get
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SERVER_KEYS: Final = {
    "server_id",
    "server_name",
    "server_url",
    "health_status",
    "tools_count",
    "sensitivity_level",
    "authorized_teams",
    "access_restrictions",
    "created_at",
    "updated_at",
    "circuit_breaker",
    "endpoints",
}
TOOL: Final[dict[str, object]] = {
    "name": "query",
    "description": "Ask",
    "input_schema": {
        "type": "object",
        "properties": {"sql": {"type": "string"}, "rows": {"type": ["integer", "null"]}},
        "required": ["sql"],
    },
    "sensitive_params": ["sql"],
    "required_capabilities": ["sql"],
    "upstream_dependencies": {"credentials_required": ["NOBODY_SET_THIS"]},
}


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


def listed(sidecar: Sidecar, path: str, key: str = "servers") -> list[dict[str, Any]]:
    answer = sidecar.get(path)
    assert answer.status == 200, answer
    rows = answer.json()[key]
    assert isinstance(rows, list)
    return rows


def names(answer: Answer) -> list[str]:
    document: dict[str, Any] = answer.json()
    return [row["server_name"] for row in document["servers"]]


def revalidated(sidecar: Sidecar, path: str, tag: str | None) -> Answer:
    return sidecar.ask(get(path, b"If-None-Match: " + (tag or "").encode()))


# --- what a row says ---


def test_server_says_all_that_a_client_reads(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(
        server(
            "db",
            origin.url,
            tools=["b", "a"],
            sensitivity_level="high",
            access_restrictions={"hours": "office"},
            inject_headers={"authorization": "Bearer secret"},
        )
    )
    assert eventually(lambda: b'"healthy"' in sidecar.get("/api/v1/servers").body)

    (row,) = listed(sidecar, "/api/v1/servers")

    assert set(row) == SERVER_KEYS
    assert row["server_url"] == origin.url
    assert (row["server_name"], row["health_status"], row["tools_count"]) == ("db", "healthy", 2)
    assert (row["sensitivity_level"], row["authorized_teams"], row["access_restrictions"]) == (
        "high",
        [],
        {"hours": "office"},
    )
    assert (row["circuit_breaker"]["state"], row["endpoints"][0]["url"]) == ("closed", origin.url)
    assert MOMENT.fullmatch(row["created_at"])
    age = datetime.now(UTC) - datetime.fromisoformat(row["created_at"])
    assert timedelta() < age < timedelta(minutes=5)
    assert row["updated_at"] == row["created_at"]


def test_secrets_are_in_no_list(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(
        server("db", origin.url, inject_headers={"authorization": "Bearer ${DB_TOKEN}"}),
        settings={"secrets": {"env": ["DB_TOKEN"]}},
        extra={"DB_TOKEN": "very-secret"},
    )

    shown = [sidecar.get(f"/api/v1/{path}").body for path in ("servers", "servers/db", "tools")]

    assert [b"very-secret" in each or b"DB_TOKEN" in each for each in shown] == [False] * 3


def test_one_server_is_got_by_its_name(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("db", origin.url), server("other", origin.url))

    row = sidecar.get("/api/v1/servers/db").json()

    assert (set(row), row["server_name"]) == (SERVER_KEYS, "db")
    assert row["server_id"] == listed(sidecar, "/api/v1/servers")[0]["server_id"]


@pytest.mark.parametrize("name", ["nobody", "d%62b", "%ff", "a%2fb", "%00"])
def test_server_that_is_not_there_is_not_found(
    origin: Origin, start_sidecar: StartSidecar, name: str
) -> None:
    sidecar = start_sidecar(server("db", origin.url))

    answer = sidecar.get(f"/api/v1/servers/{name}")

    assert (answer.status, answer.value("content-type")) == (404, "application/problem+json")


def test_id_of_a_server_outlives_the_sidecar(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    first, second = (tmp_path / "first", tmp_path / "second")
    first.mkdir()
    second.mkdir()
    text = registry(server("db", origin.url))
    sidecars = [Sidecar(first, text), start_sidecar(text)]
    try:
        ids = {listed(each, "/api/v1/servers")[0]["server_id"] for each in sidecars}
    finally:
        sidecars[0].close()

    assert len(ids) == 1


@pytest.mark.parametrize(
    ("name", "url"), [("database", "http://database"), ("the db/1", "http://db")]
)
def test_url_of_a_socket_is_valid_and_tells_no_path(
    start_sidecar: StartSidecar, tmp_path: Path, name: str, url: str
) -> None:
    sidecar = start_sidecar({**server("db", f"unix:{tmp_path}/absent.sock"), "name": name})

    (row,) = listed(sidecar, "/api/v1/servers")

    assert row["server_url"] == url
    assert urlsplit(url).hostname
    assert str(tmp_path) not in str(row)


def test_tool_says_all_that_a_client_reads(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("db", origin.url, tools=[TOOL], sensitivity_level="critical"))

    (row,) = listed(sidecar, "/api/v1/tools", "tools")

    assert row == {
        "tool_name": "query",
        "server_name": "db",
        "description": "Ask",
        "sensitivity_level": "critical",
        "parameters": [
            {"name": "rows", "type": "integer", "required": False},
            {"name": "sql", "type": "string", "required": True},
        ],
        "sensitive_params": ["sql"],
        "required_capabilities": ["sql"],
        "input_schema": TOOL["input_schema"],
        "available": False,
        "missing_credentials": ["NOBODY_SET_THIS"],
    }


def test_tool_of_which_nothing_is_known_has_a_description_all_the_same(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("db", origin.url, tools=["call"]))

    (row,) = listed(sidecar, "/api/v1/tools", "tools")

    assert (row["description"], row["parameters"], row["sensitivity_level"]) == ("", [], "medium")
    assert row["input_schema"] == {"type": "object", "properties": {}, "required": []}


@pytest.mark.parametrize("path", ["/tools", "/api/v1/tools"])
def test_number_of_any_length_spoils_no_list(
    origin: Origin, start_sidecar: StartSidecar, path: str
) -> None:
    tool = {"name": "call", "input_schema": {"maximum": 10**30}}
    sidecar = start_sidecar(server("db", origin.url, tools=[tool]))

    answer = sidecar.get(path)

    assert (answer.status, b"1" + b"0" * 30 in answer.body) == (200, True)
