"""Facts about the capability documents, as they are put together."""

from typing import Any

import orjson
import pytest

from proxy.config.settings import load_settings
from proxy.control_plane.capabilities import (
    Document,
    Seen,
    generators_document,
    plain,
    server_document,
    tools_document,
)
from proxy.control_plane.catalog import Catalog
from proxy.control_plane.generators import Entry
from proxy.control_plane.upstream_documents import Generator, Known
from proxy.policy.grants import ANYBODY
from tests.support.listings import live_registry

TWO = (
    "namespace: b, name: h, port: 81, tools: [{name: z, description: Last}, {name: a}]",
    "namespace: a, name: h, port: 82, tools: [{name: t, sensitivity_level: high}]",
    "namespace: none, name: h, port: 83",
)


async def seen(*servers: str) -> Seen:
    order = await Catalog(live_registry(*servers)).order()
    tools = [(each, await order.tools(ANYBODY, each)) for each in await order.servers(ANYBODY)]
    return Seen(order.table, ANYBODY, tools)


def read(document: Document, *, live: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(b"".join(document(live=live)))
    return found


async def features(*servers: str, **flags: str) -> set[str]:
    """Those that are on, beside those that always are."""
    named = {name.replace("__", "."): value for name, value in flags.items()}
    settings = load_settings(None, {}, named)
    always = server_document(await seen(), load_settings(None, {}, {}), 0)["features"]
    found = server_document(await seen(*servers), settings, 0)["features"]
    assert isinstance(found, dict)
    assert isinstance(always, dict)
    return {name for name, is_on in found.items() if is_on and not always[name]}


async def test_server_says_what_the_guide_reads() -> None:
    document = server_document(await seen(*TWO), load_settings(None, {}, {}), 5)

    assert list(document) == [
        "name",
        "version",
        "mcp_version",
        "features",
        "limits",
        "runtime",
        "tool_count",
        "resource_count",
        "generator_count",
    ]
    assert (document["name"], document["tool_count"], document["generator_count"]) == (
        "toolproxy",
        3,
        5,
    )


async def test_flags_are_true_of_this_sidecar() -> None:
    assert await features() == set()
    assert await features(admin="true") == {"admin_listener"}
    assert await features(access_log="'-'", cors__origins="['http://a']") == {"access_log", "cors"}
    assert await features(events__journal="j", events__tail="[t]") == {
        "event_journal",
        "event_tail",
    }
    assert await features(events__bus="redis://h", tracing__otlp="http://h") == {
        "event_bus",
        "tracing",
    }
    assert await features(policy__opa="{url: http://opa}") == {"policy"}
    assert await features(rate="redis://h") == {"shared_rate_limits"}


@pytest.mark.parametrize(
    ("server", "flags", "on"),
    [
        ("passthrough: true", {}, {"passthrough"}),
        ("passthrough: [/mcp]", {}, {"passthrough"}),
        ("passthrough: false", {}, set()),
        ("rate: 1/s", {}, {"rate_limits"}),
        ("tools: [{name: t, rate: 1/s}]", {}, {"rate_limits"}),
        ("rate: 1/s", {"rate": "1/s"}, {"rate_limits"}),
        ("docker_image: i", {"rate": "1/s"}, {"rate_limits"}),
    ],
)
async def test_flags_are_true_of_its_servers(
    server: str, flags: dict[str, str], on: set[str]
) -> None:
    assert await features(f"namespace: o, name: h, port: 81, {server}", **flags) == on


async def test_key_switches_on_what_it_asks_for() -> None:
    key = "[{name: a, key: '${KEY}', rate: 5/s}]"

    assert await features(auth__api_keys=key) == {"authentication", "rate_limits"}


async def test_limits_are_those_of_the_settings() -> None:
    settings = load_settings(None, {}, {"limits.head": "64KiB", "max_timeout": "5s"})

    limits = server_document(await seen(), settings, 0)["limits"]

    assert isinstance(limits, dict)
    assert (limits["max_head_bytes"], limits["max_timeout_seconds"]) == (65536, 5.0)
    assert limits["max_page_rows"] == 1000


async def test_tools_are_listed_by_server() -> None:
    document = read(tools_document(await seen(*TWO)))

    assert {
        category: [tool["name"] for tool in tools]
        for category, tools in document["tools_by_category"].items()
    } == {"a": ["a.t"], "b": ["b.a", "b.z"]}
    assert document["metadata"]["total_count"] == 3
    assert document["tools_by_category"]["b"][1]["description"] == "Last"
    assert document["tools_by_category"]["a"][0]["sensitivity_level"] == "high"


async def test_no_tools_are_a_document_too() -> None:
    assert read(tools_document(await seen()))["tools_by_category"] == {}


def test_what_is_of_the_moment_is_in_no_tag() -> None:
    entry = Entry("o.a", None, Generator())
    document = generators_document([entry, entry], {"o": Known("http://h", "pending", {})})

    whole, lasting = read(document), read(document, live=False)

    assert (whole["upstreams"], lasting["upstreams"]) == ({"o": "pending"}, {})
    assert set(whole["generators"]["o.a"]) - set(lasting["generators"]["o.a"]) == {"available"}


def test_plain_document_has_nothing_of_the_moment() -> None:
    assert read(plain({"a": 1})) == read(plain({"a": 1}), live=False) == {"a": 1}
