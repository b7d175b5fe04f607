"""Facts about the table in order: sorted in slices, and for each visitor their own."""

import asyncio
from typing import Final

import orjson
import pytest

from proxy.control_plane import catalog
from proxy.control_plane.catalog import Catalog, Order, backend_url, encoded, in_order, row
from proxy.policy.grants import ANYBODY, Visitor
from tests.support.listings import live_registry, next_generation

THREE = [
    "namespace: b, name: h, port: 81, tools: [{name: z}, {name: a}, {name: a.c}]",
    "namespace: a-b, name: h, port: 82, tools: [{name: t}]",
    "namespace: a, name: h, port: 83, tools: [{name: t}], authorized_teams: [red]",
]


async def order_of(*servers: str) -> Order:
    return await Catalog(live_registry(*servers)).order()


async def seen_by(visitor: Visitor, order: Order) -> dict[str, list[str]]:
    return {
        server.spec.namespace: [tool.spec.name for tool in await order.tools(visitor, server)]
        for server in await order.servers(visitor)
    }


RED: Final = ("red",)


@pytest.mark.parametrize(
    ("visitor", "sees"),
    [
        (Visitor(teams=RED), {"a": ["t"], "a-b": ["t"], "b": ["a", "a.c", "z"]}),
        (Visitor(), {"a-b": ["t"], "b": ["a", "a.c", "z"]}),
        (Visitor(allow=["a.*"], teams=RED), {"a": ["t"]}),
        (Visitor(allow=["a.*"]), {}),
        (Visitor(allow=["b.a*", "a-b.nothing"]), {"a-b": [], "b": ["a", "a.c"]}),
        (Visitor(allow=["b.z"]), {"b": ["z"]}),
        (Visitor(allow=[]), {}),
    ],
    ids=["all", "teamless", "server-and-team", "no-team", "prefix", "one-tool", "nothing"],
)
async def test_visitor_sees_what_they_may_call_in_order(
    visitor: Visitor, sees: dict[str, list[str]]
) -> None:
    order = await order_of(*THREE)

    assert await seen_by(visitor, order) == sees
    assert {
        server.spec.namespace: await order.count(visitor, server)
        for server in await order.servers(visitor)
    } == {name: len(tools) for name, tools in sees.items()}


async def test_order_is_made_once_for_a_generation() -> None:
    registry = live_registry(*THREE)
    listed = Catalog(registry)

    first = await listed.order()

    assert await listed.order() is first
    assert repr(first) == f"<Order {registry.current!r}>"


async def test_next_generation_has_its_own_order() -> None:
    registry = live_registry(*THREE)
    listed = Catalog(registry)
    before = await listed.order()

    next_generation(registry, THREE[0])

    after = await listed.order()
    assert (len(before.table.servers), len(after.table.servers)) == (3, 1)


async def test_endpoints_that_move_leave_the_order_as_it_is() -> None:
    registry = live_registry(*THREE)
    listed = Catalog(registry)
    before = await listed.order()

    registry.endpoints_moved([])

    assert await listed.order() is before


async def test_order_of_a_table_that_was_replaced_meanwhile_is_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = live_registry(*THREE)
    listed = Catalog(registry)

    async def sorted_while_it_changes(items: tuple[object, ...], key: object) -> list[object]:
        del key
        next_generation(registry, THREE[0])
        monkeypatch.undo()
        return list(items)

    monkeypatch.setattr(catalog, "in_order", sorted_while_it_changes)

    assert (await listed.order()).table.generation == 1
    assert (await listed.order()).table.generation == 2


@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 11, 60])
async def test_any_number_is_sorted(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(catalog, "_SORTED_AT_ONCE", 5)
    monkeypatch.setattr(catalog, "_LOOKED_AT_AT_ONCE", 2)
    items = [number * 37 % count for number in range(count)]  # each of them once, and mixed

    assert await in_order(items, lambda item: f"{item:03}") == list(range(count))


async def test_sorting_lets_others_go_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_SLICE_S", -1.0)
    monkeypatch.setattr(catalog, "_SORTED_AT_ONCE", 5)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)

    await in_order(range(11), str)

    assert turns == [1]


@pytest.mark.parametrize(
    ("entry", "url"),
    [
        ("name: h, port: 81", "http://h:81"),
        ("name: h, endpoints: ['https://[::1]/base', 'http://b']", "https://[::1]:443/base"),
        ("name: sock.et, endpoints: ['unix:/secret.sock']", "http://sock.et"),
        ("name: 'a b/c', endpoints: ['unix:/secret.sock']", "http://o"),
        ("name: 'a:b@c', endpoints: ['unix:/secret.sock']", "http://o"),
    ],
)
def test_url_of_a_server_is_valid_and_hides_sockets(entry: str, url: str) -> None:
    registry = live_registry(f"namespace: o, {entry}")

    assert backend_url(registry.current.servers[b"o"]) == url


def test_row_of_a_tool_is_as_ever() -> None:
    registry = live_registry("namespace: o, name: h, port: 81, tools: [{name: t}]")

    shown = orjson.loads(row(registry.current.tools[b"o.t"]))

    assert shown == {
        "name": "o.t",
        "namespace": "o",
        "tool_name": "t",
        "backend_url": "http://h:81",
        "health_status": "unknown",
        "circuit_state": "closed",
        "description": "",
        "available": True,
        "missing_credentials": [],
        "parameters": [],
        "input_schema": {},
        "stale": "",
    }


def test_numbers_of_any_length_are_encoded() -> None:
    assert encoded({"a": 10**30, "b": ("c",)}) == b'{"a":1' + b"0" * 30 + b',"b":["c"]}'


async def test_anybody_sees_servers_without_teams() -> None:
    order = await order_of(*THREE[:2])

    assert list(await seen_by(ANYBODY, order)) == ["a-b", "b"]
