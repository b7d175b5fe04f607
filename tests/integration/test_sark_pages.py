"""What SARK's client is told, page by page, and when it asks again."""

from typing import Any

import orjson
import pytest

from tests.support.caller import Answer
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Server, Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


def listed(sidecar: Sidecar, path: str, key: str = "servers") -> list[dict[str, Any]]:
    rows = sidecar.get(path).json()[key]
    assert isinstance(rows, list)
    return rows


def revalidated(sidecar: Sidecar, path: str, tag: str | None) -> Answer:
    return sidecar.ask(get(path, b"If-None-Match: " + (tag or "").encode()))


# --- pages ---


def many(count: int, url: str) -> list[Server]:
    return [server(f"s{number:04}", url, tools=["b", "a"]) for number in range(count)]


def walked(sidecar: Sidecar, path: str, key: str, limit: int) -> tuple[list[str], list[int]]:
    """As the client does it: page by page until a short one; names, and lengths of pages."""
    found: list[str] = []
    lengths: list[int] = []
    with sidecar.caller() as caller:
        while not lengths or lengths[-1] == limit:
            caller.send(get(f"{path}?offset={len(found)}&limit={limit}"))
            document: dict[str, Any] = caller.answer("GET").json()
            rows = document[key]
            found += [f"{row['server_name']}.{row.get('tool_name', '')}" for row in rows]
            lengths.append(len(rows))
            assert (document["offset"], document["limit"]) == (len(found) - len(rows), limit)
    return found, lengths


@pytest.mark.parametrize("count", [0, 1, 100, 230, pytest.param(1543, marks=pytest.mark.slow)])
def test_walk_loses_no_row_and_repeats_none(
    start_sidecar: StartSidecar, origin: Origin, count: int
) -> None:
    sidecar = start_sidecar(registry(*many(count, origin.url)))
    servers = [f"s{number:04}." for number in range(count)]
    tools = [f"{name}{tool}" for name in servers for tool in "ab"]

    for limit in (1, 50, 100, 1000):
        walks = [("/api/v1/servers", "servers", servers), ("/api/v1/tools", "tools", tools)]
        if limit * 1000 < len(tools):
            walks.pop()  # thousands of pages, by the same way
        for path, key, all_of_them in walks:
            found, lengths = walked(sidecar, path, key, limit)
            assert found == all_of_them
            assert lengths == [limit] * (len(found) // limit) + [len(found) % limit]


def test_rows_are_sorted_by_server_then_tool(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(
        server("b", origin.url, tools=["z", "a.b", "a-b", "a", "B"]),
        server("a", origin.url, tools=["t"]),
        server("a-b", origin.url, tools=["t"]),
    )

    rows = listed(sidecar, "/api/v1/tools", "tools")

    assert [(row["server_name"], row["tool_name"]) for row in rows] == [
        ("a", "t"),
        ("a-b", "t"),
        *(("b", name) for name in ("B", "a", "a-b", "a.b", "z")),
    ]
    assert [row["server_name"] for row in listed(sidecar, "/api/v1/servers")] == ["a", "a-b", "b"]
    assert [row["name"] for row in listed(sidecar, "/tools", "tools")][:2] == ["a-b.t", "a.t"]


def test_totals_are_of_all_and_beyond_the_end_is_nothing(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(*many(3, origin.url))

    document = sidecar.get("/api/v1/tools?offset=900&limit=7").json()

    assert document == {"tools": [], "offset": 900, "limit": 7, "total": 6, "generation": 1}
    assert sidecar.get("/api/v1/servers").json()["limit"] == 100


@pytest.mark.parametrize(("wanted", "total"), [("s0001", 2), ("nobody", 0), ("", 6), ("%ff", 0)])
def test_tools_of_one_server_are_asked_for_by_its_name(
    origin: Origin, start_sidecar: StartSidecar, wanted: str, total: int
) -> None:
    sidecar = start_sidecar(*many(3, origin.url))

    document: dict[str, Any] = sidecar.get(f"/api/v1/tools?server={wanted}").json()

    assert (document["total"], len(document["tools"])) == (total, total)
    assert not wanted or {row["server_name"] for row in document["tools"]} <= {wanted}


@pytest.mark.parametrize(
    "query",
    [
        *("limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=", "limit=1e2", "limit=%C2%B2"),
        *("offset=-1", "offset=x", "offset=", "offset=1.0", f"offset={'9' * 40}"),
    ],
)
@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/tools"])
def test_page_that_cannot_be_is_a_bad_request(sidecar: Sidecar, path: str, query: str) -> None:
    answer = sidecar.get(f"{path}?{query}")

    assert (answer.status, answer.json()["code"], answer.closes) == (400, "bad_request", False)


def test_another_generation_is_told_of(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(*many(2, origin.url))
    before = sidecar.get("/api/v1/servers").json()

    sidecar.registry_path.write_text(registry(*many(3, origin.url)))

    assert eventually(lambda: sidecar.get("/api/v1/servers").json()["total"] == 3)
    after = sidecar.get("/api/v1/servers").json()
    assert (before["generation"], after["generation"]) == (1, 2)


def test_only_a_server_whose_entry_changed_is_updated(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    resolved_anew = {"x-a": "b"}  # with each generation
    sidecar = start_sidecar(
        server("a", origin.url),
        server("b", origin.url),
        server("c", origin.url, inject_headers=resolved_anew),
    )
    before = listed(sidecar, "/api/v1/servers")

    sidecar.registry_path.write_text(
        registry(
            server("a", origin.url),
            server("b", origin.url, tools=["fresh"]),
            server("c", origin.url, inject_headers=resolved_anew),
        )
    )
    assert eventually(lambda: sidecar.get("/api/v1/servers").json()["generation"] == 2)
    after = listed(sidecar, "/api/v1/servers")

    created = [row["created_at"] for row in before]
    assert [row["created_at"] for row in after] == created
    assert [row["updated_at"] > then for row, then in zip(after, created, strict=True)] == [
        False,
        True,
        False,
    ]


# --- what is asked again ---


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    sidecar = start_sidecar(server("a", origin.url), server("b", origin.url))
    healthy = '"health_status":"healthy"'
    assert eventually(lambda: sidecar.get("/api/v1/servers").body.count(healthy.encode()) == 2)
    return sidecar


@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/servers/a", "/api/v1/tools"])
def test_list_that_is_the_same_is_not_sent_again(sidecar: Sidecar, path: str) -> None:
    tag = sidecar.get(path).value("etag")

    for _ in range(5):  # moments are written alike each time
        answer = revalidated(sidecar, path, tag)
        assert (answer.status, answer.body, answer.value("etag")) == (304, b"", tag)


def test_list_whose_live_facts_changed_is_sent_again(sidecar: Sidecar) -> None:
    tag = sidecar.get("/api/v1/servers").value("etag")

    sidecar.ask(post("/tools/a.call"))

    answer = revalidated(sidecar, "/api/v1/servers", tag)
    assert (answer.status, orjson.loads(answer.body)["total"]) == (200, 2)


def test_two_pages_have_two_tags(sidecar: Sidecar) -> None:
    tags = {sidecar.get(f"/api/v1/servers?limit=1&offset={n}").value("etag") for n in range(2)}

    assert len(tags) == 2
    assert revalidated(sidecar, "/api/v1/servers", "W/" + (min(map(str, tags)))).status == 200


@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/servers/a", "/api/v1/tools"])
def test_head_is_get_without_the_body(sidecar: Sidecar, path: str) -> None:
    with sidecar.caller() as caller:
        caller.send(message(f"HEAD {path} HTTP/1.1".encode(), b"Host: a") + get("/livez"))
        answer = caller.answer("HEAD")

        assert (answer.status, answer.value("etag") is not None) == (200, True)
        assert caller.answer("GET").json() == {"status": "alive"}


@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/servers/a", "/api/v1/tools"])
def test_other_methods_are_not_allowed(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.ask(post(path))

    assert (answer.status, answer.value("allow")) == (405, "GET, HEAD")
