"""Facts about generators: what the registry says, what an upstream says, and both."""

from typing import Any

import orjson
import pytest

from proxy.control_plane.generators import Entry, entries_of, stated_of
from proxy.control_plane.upstream_documents import Generator
from proxy.policy.grants import Visitor
from proxy.registry.model import Dependencies
from proxy.registry.snapshot import LiveTool
from tests.support.listings import live_registry

NEEDY = (
    "upstream_dependencies: {services: [ai], credentials_required: [KEY],"
    " expected_latency_ms: {p95: 5000}, stability: beta, concurrency_safe: false}"
)


def tools_of(entry: str, *, are_set: bool = True) -> tuple[LiveTool, ...]:
    registry = live_registry(f"namespace: o, name: h, port: 81, {entry}", is_set=lambda _: are_set)
    return registry.current.tools_of[b"o"]


async def named(
    entry: str, told: dict[str, Generator] | None = None, visitor: Visitor | None = None
) -> dict[str, dict[str, Any]]:
    """By name, the rows of one server's generators."""
    entries = await entries_of("o", tools_of(entry), told or {}, visitor or Visitor())
    return {each.name: shown(each)[each.name] for each in entries}


def shown(entry: Entry, *, live: bool = True) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = orjson.loads(b"{%b}" % entry.row(live=live))
    return found


async def test_tools_with_dependencies_are_generators() -> None:
    found = await named(f"tools: [{{name: z, {NEEDY}}}, {{name: a}}]")

    assert found == {
        "o.z": {
            "type": "o.z",
            "status": "beta",
            "source": "registry",
            "upstream_dependencies": {
                "services": ["ai"],
                "credentials_required": ["KEY"],
                "optional_services": [],
                "expected_latency_ms": {"p95": 5000.0},
                "stability": "beta",
                "concurrency_safe": False,
            },
            "available": True,
        }
    }


async def test_tools_have_the_dependencies_of_their_server() -> None:
    found = await named(f"{NEEDY}, tools: [{{name: b}}, {{name: a}}]")

    assert list(found) == ["o.a", "o.b"]
    assert found["o.a"]["upstream_dependencies"]["services"] == ["ai"]


async def test_dependencies_of_a_tool_come_before_those_of_its_server() -> None:
    own = "upstream_dependencies: {services: [own], credentials_required: [OWN]}"

    found = await named(f"{NEEDY}, tools: [{{name: a, {own}}}]")

    dependencies = found["o.a"]["upstream_dependencies"]
    assert (dependencies["services"], dependencies["expected_latency_ms"]) == (["own"], {})
    assert dependencies["credentials_required"] == ["KEY", "OWN"]  # a call needs both


@pytest.mark.parametrize(("p95", "written"), [("5000", b":5000}"), ("0.5", b":0.5}")])
def test_whole_milliseconds_are_written_as_such(p95: str, written: bytes) -> None:
    latency = f"upstream_dependencies: {{expected_latency_ms: {{p95: {p95}}}}}"
    (tool,) = tools_of(f"tools: [{{name: a, {latency}}}]")

    assert written in Entry("o.a", tool, Generator()).row(live=True)


async def test_tool_that_says_it_needs_nothing_has_null() -> None:
    found = await named("tools: [{name: a, upstream_dependencies: {}}]")

    assert (found["o.a"]["upstream_dependencies"], found["o.a"]["status"]) == (None, "stable")


@pytest.mark.parametrize(("live", "said"), [(True, [False]), (False, [])])
def test_what_is_missing_is_said_of_the_moment(*, live: bool, said: list[bool]) -> None:
    (tool,) = tools_of(f"tools: [{{name: a, {NEEDY}}}]", are_set=False)

    row = shown(Entry("o.a", tool, Generator()), live=live)["o.a"]

    assert [row[key] for key in row if key == "available"] == said


async def test_generators_of_an_upstream_are_those_of_its_server() -> None:
    told = {
        "jinja2": Generator(type="jinja2", status="stable", source="builtin"),
        "code": Generator(upstream_dependencies=Dependencies(services=("ai",)), available=False),
    }

    found = await named("tools: []", told)

    assert found == {
        "o.code": {
            "type": "o.code",
            "status": "unknown",
            "source": "upstream",
            "upstream_dependencies": {
                "services": ["ai"],
                "credentials_required": [],
                "optional_services": [],
                "expected_latency_ms": {},
                "stability": "stable",
                "concurrency_safe": True,
            },
            "available": False,
        },
        "o.jinja2": {
            "type": "jinja2",
            "status": "stable",
            "source": "builtin",
            "upstream_dependencies": None,
            "available": True,
        },
    }


async def test_registry_holds_where_both_speak_of_one() -> None:
    told = {
        "a": Generator(source="builtin", status="old", upstream_dependencies=Dependencies()),
        "b": Generator(status="beta", upstream_dependencies=Dependencies(services=("ai",))),
    }

    found = await named(f"tools: [{{name: a, {NEEDY}}}, {{name: b}}]", told)

    a, b = found["o.a"], found["o.b"]
    assert (a["status"], a["source"], a["upstream_dependencies"]["services"]) == (
        "beta",
        "builtin",
        ["ai"],
    )
    assert (b["status"], b["upstream_dependencies"]["services"]) == ("beta", ["ai"])


async def test_visitor_sees_only_what_they_may_call_of_an_upstreams() -> None:
    told = {"a": Generator(), "b": Generator()}

    assert list(await named("tools: []", told, Visitor(allow=["o.b"]))) == ["o.b"]


def test_nothing_is_stated_of_a_tool_that_depends_on_nothing() -> None:
    (tool,) = tools_of("tools: [{name: a}]")

    assert stated_of(tool) is None
