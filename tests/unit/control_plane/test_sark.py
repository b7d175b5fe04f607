"""Facts about the rows and pages that SARK's client reads."""

from typing import Any, Final

import orjson
import pytest
from aiohttp.test_utils import make_mocked_request

from proxy import errors
from proxy.control_plane import sark
from proxy.control_plane.catalog import Catalog
from proxy.control_plane.health import Moments, written
from proxy.control_plane.sark import Page, page_of, server_row, tool_row, tools_on
from proxy.policy.grants import Visitor
from proxy.registry.live import LiveRegistry
from proxy.telemetry.elsewhere import Elsewhere
from tests.support.listings import live_registry, next_generation

FIVE: Final = [
    "namespace: a, name: h, port: 81, tools: [{name: a2}, {name: a1}]",
    "namespace: b, name: h, port: 82, tools: []",
    "namespace: c, name: h, port: 83, tools: [{name: c3}, {name: c1}, {name: c2}]",
]
ALL: Final = ["a.a1", "a.a2", "c.c1", "c.c2", "c.c3"]


def server_row_of(registry: LiveRegistry, name: str = "o") -> dict[str, Any]:
    server = registry.current.servers[name.encode()]
    shown: dict[str, Any] = orjson.loads(server_row(server, 7, Moments(100.0, 0.0), Elsewhere()))
    return shown


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("", Page(0, 100)),
        ("?offset=7", Page(7, 100)),
        ("?limit=1", Page(0, 1)),
        ("?limit=1000&offset=999999999999999", Page(999999999999999, 1000)),
        ("?limit=007", Page(0, 7)),
    ],
)
def test_page_is_what_was_asked_for(query: str, page: Page) -> None:
    assert page_of(make_mocked_request("GET", f"/api/v1/tools{query}")) == page


@pytest.mark.parametrize("key", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "x", "", "1.5", "%EF%BC%91", "1_0", "0x1", "9" * 16])
def test_page_that_cannot_be_is_a_bad_value(key: str, value: str) -> None:
    with pytest.raises(errors.BadValueError, match=f"{key} is a number from"):
        page_of(make_mocked_request("GET", f"/api/v1/tools?{key}={value}"))


@pytest.mark.parametrize("limit", ["0", "1001"])
def test_limit_is_from_one_to_a_thousand(limit: str) -> None:
    with pytest.raises(errors.BadValueError, match="from 1 to 1000"):
        page_of(make_mocked_request("GET", f"/?limit={limit}"))


@pytest.mark.parametrize("limit", range(1, 8))
async def test_pages_of_tools_put_together_are_all_of_them(limit: int) -> None:
    order = await Catalog(live_registry(*FIVE)).order()
    visitor = Visitor()
    servers = await order.servers(visitor)
    found: list[str] = []

    for offset in range(0, 10, limit):
        rows, total = await tools_on(Page(offset, limit), order, visitor, servers)
        assert (total, len(rows)) == (5, max(0, min(limit, 5 - offset)))
        found += [tool.name for tool in rows]

    assert found == ALL


async def test_page_counts_and_shows_only_what_the_visitor_may_call() -> None:
    order = await Catalog(live_registry(*FIVE)).order()
    visitor = Visitor(allow=["a.a2", "c.c*", "b.*"])
    servers = await order.servers(visitor)

    rows, total = await tools_on(Page(1, 2), order, visitor, servers)

    assert ([tool.name for tool in rows], total) == (["c.c1", "c.c2"], 4)


def test_server_is_as_sark_reads_it() -> None:
    registry = live_registry(
        "namespace: o, name: h, port: 81, authorized_teams: [red], sensitivity_level: low,"
        " access_restrictions: {hours: [9, 17]}",
        moment=1_700_000_000.25,
    )

    row = server_row_of(registry)

    circuit, (endpoint,) = row.pop("circuit_breaker"), row.pop("endpoints")
    assert row == {
        "server_id": row["server_id"],
        "server_name": "o",
        "server_url": "http://h:81",
        "health_status": "unknown",
        "tools_count": 7,
        "sensitivity_level": "low",
        "authorized_teams": ["red"],
        "access_restrictions": {"hours": [9, 17]},
        "created_at": "2023-11-14T22:13:20.250Z",
        "updated_at": "2023-11-14T22:13:20.250Z",
    }
    assert (circuit["state"], endpoint["url"]) == ("closed", "http://h:81")


def test_id_of_a_server_is_that_of_its_namespace() -> None:
    registry = live_registry("namespace: o, name: h, port: 81")
    before = server_row_of(registry)["server_id"]

    next_generation(
        registry, "namespace: o, name: other, port: 82", "namespace: p, name: h, port: 81"
    )

    assert server_row_of(registry)["server_id"] == before
    assert server_row_of(registry, "p")["server_id"] != before


def test_tool_says_what_its_server_says_where_it_says_nothing() -> None:
    registry = live_registry(
        "namespace: o, name: h, port: 81, sensitivity_level: high,"
        " tools: [{name: a}, {name: b, sensitivity_level: low, parameters: [{name: p}]}]"
    )

    a, b = (orjson.loads(tool_row(registry.current.tools[name])) for name in (b"o.a", b"o.b"))

    assert (a["sensitivity_level"], b["sensitivity_level"]) == ("high", "low")
    assert (a["description"], a["parameters"], a["available"]) == ("", [], True)
    assert b["parameters"] == [{"name": "p", "type": "string", "required": False}]
    assert b["input_schema"]["properties"] == {"p": {"type": "string"}}


def test_tool_says_which_credentials_are_missing() -> None:
    registry = live_registry(
        "namespace: o, name: h, port: 81, tools: [{name: a}],"
        " upstream_dependencies: {credentials_required: [KEY]}",
        is_set=lambda _: False,
    )

    row = orjson.loads(tool_row(registry.current.tools[b"o.a"]))

    assert (row["available"], row["missing_credentials"]) == (False, ["KEY"])


def test_moment_is_written_alike_while_the_clocks_agree() -> None:
    assert Moments(100.0, 1000.0).written(40.0) == Moments(170.0, 1000.0).written(40.0)
    assert written(1040.0) == Moments(1.0, 1000.0).written(40.0) == "1970-01-01T00:17:20.000Z"


async def test_clocks_that_part_are_believed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    apart_s = iter([1000.0, 1000.4, 1000.6, 999.0])
    monkeypatch.setattr(sark, "clocks_apart_s", lambda _: next(apart_s))
    watch = sark.Watch()

    seen = [watch.moments().written(40.0) for _ in range(4)]

    assert seen == [written(1040.0), written(1040.0), written(1040.6), written(1039.0)]
