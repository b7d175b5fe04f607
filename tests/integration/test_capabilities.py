"""The capability documents of a running sidecar, also as chora-compose's guide reads them."""

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from signal import SIGHUP
from typing import Any, Final

import orjson
import pytest

from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

DOCUMENTS: Final = ("server", "tools", "resources", "generators", "telemetry")
PATHS: Final = ("/capabilities", *(f"/capabilities/{name}" for name in DOCUMENTS))
NEEDS: Final[dict[str, object]] = {
    "services": ["anthropic"],
    "credentials_required": ["ANTHROPIC_API_KEY"],
    "expected_latency_ms": {"p50": 1500, "p95": 5000},
}
CODE: Final = {"name": "code_generation", "upstream_dependencies": NEEDS}
OWN: Final = orjson.dumps(
    {
        "generators": {
            "jinja2": {
                "type": "jinja2",
                "status": "stable",
                "source": "builtin",
                "upstream_dependencies": None,
            }
        }
    }
)
SECRET: Final = "sk-very-secret"  # noqa: S105 - to be found nowhere


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(
        server("chora", origin.url, tools=[CODE, "jinja2"]),
        extra={"ANTHROPIC_API_KEY": SECRET},
    )


def document(sidecar: Sidecar, name: str) -> dict[str, Any]:
    answer = sidecar.get(f"/capabilities/{name}")
    assert (answer.status, answer.value("content-type")) == (200, "application/json")
    return answer.json()


def test_index_names_the_five(sidecar: Sidecar) -> None:
    rows: Any = sidecar.get("/capabilities").json()["capabilities"]

    assert [row["uri"] for row in rows] == [f"capabilities://{name}" for name in DOCUMENTS]
    assert [sidecar.get(row["path"]).status for row in rows] == [200] * 5


def test_server_is_what_the_guide_prints(sidecar: Sidecar) -> None:
    caps = document(sidecar, "server")

    assert f"{caps['name']} v{caps['version']}" == f"toolproxy v{version('toolproxy')}"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", caps["mcp_version"])
    assert (caps["tool_count"], caps["generator_count"]) == (2, 1)
    assert {type(enabled) for enabled in caps["features"].values()} == {bool}
    assert {type(value) for value in caps["limits"].values()} <= {int, float}
    assert caps["features"].get("config_lifecycle") is None
    assert caps["resource_count"] == document(sidecar, "resources")["metadata"]["total_count"]


def test_flags_and_limits_are_those_that_are_in_force(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    sidecar = start_sidecar(server("o", origin.url))
    assert document(sidecar, "server")["features"]["event_journal"] is False

    sidecar.write_settings(
        {"events": {"journal": str(tmp_path / "events.jsonl")}, "max_timeout": "7s"}
    )
    sidecar.signal(SIGHUP)

    assert eventually(lambda: document(sidecar, "server")["features"]["event_journal"])
    assert document(sidecar, "server")["limits"]["max_timeout_seconds"] == 7


def test_generators_are_what_the_guide_reads(sidecar: Sidecar) -> None:
    generators = document(sidecar, "generators")["generators"]

    assert generators == {
        "chora.code_generation": {
            "type": "chora.code_generation",
            "status": "stable",
            "source": "registry",
            "upstream_dependencies": {
                "services": ["anthropic"],
                "credentials_required": ["ANTHROPIC_API_KEY"],
                "optional_services": [],
                "expected_latency_ms": {"p50": 1500.0, "p95": 5000.0},
                "stability": "stable",
                "concurrency_safe": True,
            },
            "available": True,
        }
    }


def test_tools_are_by_category(sidecar: Sidecar) -> None:
    tools = document(sidecar, "tools")

    assert [tool["name"] for tool in tools["tools_by_category"]["chora"]] == [
        "chora.code_generation",
        "chora.jinja2",
    ]
    assert tools["metadata"] == {"total_count": 2, "version": version("toolproxy")}


def test_resources_can_all_be_read(sidecar: Sidecar) -> None:
    for row in document(sidecar, "resources")["resources"]:
        path = row["path"].format(trace_id="t", name="chora")
        with sidecar.caller() as caller:
            caller.send(get(path))
            head = caller.until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), path
            assert row["mime_type"].encode() in head, path


def test_no_document_shows_a_secret(sidecar: Sidecar) -> None:
    assert [SECRET.encode() in sidecar.get(path).body for path in PATHS] == [False] * 6


# --- events ---


def events(sidecar: Sidecar) -> Iterator[dict[str, Any]]:
    listed: Any = sidecar.get("/events?format=json&limit=1000").json()["events"]
    yield from listed


def test_telemetry_names_the_events_with_all_their_keys(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), server("p", origin.url))
    sidecar.ask(post("/tools/o.call"))
    sidecar.ask(post("/tools/o.unknown"))
    sidecar.registry_path.write_text(
        registry(server("o", origin.url, tools=[]), server("q", origin.url))
    )
    assert eventually(lambda: {"server_unregistered"} & {e["event_type"] for e in events(sidecar)})
    sidecar.registry_path.write_text("rubbish")
    assert eventually(lambda: {"registry_rejected"} & {e["event_type"] for e in events(sidecar)})
    assert eventually(lambda: {"server_health"} & {e["event_type"] for e in events(sidecar)})
    told = document(sidecar, "telemetry")

    of_failures, usual = set(told["keys_of_failures"]), set(told["usual_keys"])
    seen: set[str] = set()
    for event in events(sidecar):
        seen.add(event["event_type"])
        expected = usual | set(told["event_types"][event["event_type"]]["keys"])
        assert set(event) - of_failures == expected, event["event_type"]
    assert seen >= {
        "tool_invoked",
        "server_registered",
        "server_unregistered",
        "server_changed",
        "server_health",
        "registry_reloaded",
        "registry_rejected",
        "gateway_started",
    }


# --- documents of upstreams ---


describes_itself: Final = answers(ok(OWN, b"Content-Type: application/json"))


def test_document_of_an_upstream_is_merged(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(describes_itself)
    sidecar = start_sidecar(
        server("chora", origin.url, tools=[CODE], capabilities_url=f"{origin.url}/own?a=b")
    )

    found = document(sidecar, "generators")

    assert list(found["generators"]) == ["chora.code_generation", "chora.jinja2"]
    assert (found["generators"]["chora.jinja2"]["source"], found["upstreams"]) == (
        "builtin",
        {"chora": "merged"},
    )
    assert document(sidecar, "server")["generator_count"] == 2
    assert [call.target for call in origin.calls] == [b"/own?a=b"]
    assert origin.calls[0].values("authorization") == []


def test_upstream_that_is_away_costs_its_part_only(
    start_origin: StartOrigin, start_sidecar: StartSidecar, unused_tcp_port: int
) -> None:
    origin, away = start_origin(describes_itself), f"http://127.0.0.1:{unused_tcp_port}/"
    sidecar = start_sidecar(
        server("away", origin.url, tools=[CODE], capabilities_url=away),
        server("chora", origin.url, tools=[], capabilities_url=origin.url),
    )

    found = document(sidecar, "generators")

    assert list(found["generators"]) == ["away.code_generation", "chora.jinja2"]
    assert found["upstreams"] == {"away": "unreachable", "chora": "merged"}


# --- what is asked again ---


@pytest.mark.parametrize("path", PATHS)
def test_document_that_is_the_same_is_not_sent_again(sidecar: Sidecar, path: str) -> None:
    tag = sidecar.get(path).value("etag") or ""

    answer = sidecar.ask(get(path, b"If-None-Match: " + tag.encode()))

    assert (answer.status, answer.body, answer.value("etag")) == (304, b"", tag)
    assert sidecar.ask(get(path, b'If-None-Match: "other"')).status == 200


def test_tag_stays_while_only_live_facts_change(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    sidecar = start_sidecar(
        server("chora", origin.url, tools=[CODE]), settings={"secrets": {"dir": str(secrets)}}
    )
    name = "chora.code_generation"
    before = sidecar.get("/capabilities/generators")
    assert document(sidecar, "generators")["generators"][name]["available"] is False

    (secrets / "ANTHROPIC_API_KEY").write_text("set")
    sidecar.signal(SIGHUP)

    assert eventually(lambda: document(sidecar, "generators")["generators"][name]["available"])
    assert sidecar.get("/capabilities/generators").value("etag") == before.value("etag")


def test_tag_changes_with_what_is_said(sidecar: Sidecar, origin: Origin) -> None:
    before = {path: sidecar.get(path).value("etag") for path in PATHS}

    sidecar.registry_path.write_text(registry(server("chora", origin.url, tools=["other"])))

    assert eventually(lambda: document(sidecar, "server")["tool_count"] == 1)
    after = {path: sidecar.get(path).value("etag") for path in PATHS}
    assert {path.rpartition("/")[2] for path in PATHS if after[path] != before[path]} == {
        "server",
        "tools",
        "generators",
    }


# --- in form ---


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_the_body(sidecar: Sidecar, path: str) -> None:
    with sidecar.caller() as caller:
        caller.send(message(f"HEAD {path} HTTP/1.1".encode(), b"Host: a") + get("/livez"))
        answer = caller.answer("HEAD")

        assert (answer.status, answer.value("etag") is not None) == (200, True)
        assert caller.answer("GET").json() == {"status": "alive"}


@pytest.mark.parametrize("path", ["/capabilities/unknown", "/capabilities/server/x"])
def test_document_that_is_none_is_not_found(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.get(path)

    assert (answer.status, answer.value("content-type")) == (404, "application/problem+json")


def test_other_methods_are_not_allowed(sidecar: Sidecar) -> None:
    answer = sidecar.ask(post("/capabilities/server"))

    assert (answer.status, answer.value("allow")) == (405, "GET, HEAD")
