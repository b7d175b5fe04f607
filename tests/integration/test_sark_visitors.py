"""What lists and documents show to whom, with authorization on: only what they may call."""

from hashlib import sha256
from typing import Any, Final

import pytest

from tests.support.caller import Answer
from tests.support.messages import get, ok
from tests.support.origin import Origin
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

OWN: Final = b'{"generators": {"gen": {}, "hidden": {}}}'
TOOLS: Final = [f"t{number:02}" for number in range(30)]
GRANTS: Final[dict[str, dict[str, object]]] = {
    "all": {"allow": ["*"], "teams": ["red"]},
    "teamless": {"allow": ["*"]},
    "some": {"allow": ["b.t0*", "b.t29", "c.*", "d.gen"], "teams": ["blue"]},
    "none": {"allow": ["nothing.here"], "teams": ["red"]},
}


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok(OWN)))


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    keys = [
        {"name": name, "sha256": sha256(name.encode()).hexdigest(), **grants}
        for name, grants in GRANTS.items()
    ]
    return start_sidecar(
        server("a", origin.url, tools=["t"], authorized_teams=["red"]),
        server("b", origin.url, tools=TOOLS, upstream_dependencies={"services": ["x"]}),
        server("c", origin.url, tools=["t"], authorized_teams=["red"]),
        server("d", origin.url, tools=["gen"], capabilities_url=origin.url),
        settings={"auth": {"api_keys": keys}},
    )


def asked(sidecar: Sidecar, name: str, path: str, *fields: bytes) -> Answer:
    return sidecar.ask(get(path, b"X-API-Key: " + name.encode(), *fields))


def seen(sidecar: Sidecar, name: str, path: str) -> Any:
    answer = asked(sidecar, name, path)
    assert answer.status == 200, answer
    return answer.json()


SOME_OF_B: Final = [*TOOLS[:10], TOOLS[29]]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("all", {"a": 1, "b": 30, "c": 1, "d": 1}),
        ("teamless", {"b": 30, "d": 1}),
        ("some", {"b": 11, "d": 1}),
        ("none", {}),
    ],
)
def test_servers_and_their_counts_are_what_one_may_call(
    sidecar: Sidecar, name: str, counts: dict[str, int]
) -> None:
    page = seen(sidecar, name, "/api/v1/servers")

    assert {row["server_name"]: row["tools_count"] for row in page["servers"]} == counts
    assert page["total"] == len(counts)
    assert seen(sidecar, name, "/api/v1/tools")["total"] == sum(counts.values())
    assert len(seen(sidecar, name, "/tools")["tools"]) == sum(counts.values())
    server_document = seen(sidecar, name, "/capabilities/server")
    assert server_document["tool_count"] == sum(counts.values())


def test_pages_are_whole_though_rows_between_them_are_hidden(sidecar: Sidecar) -> None:
    pages = [
        seen(sidecar, "some", f"/api/v1/tools?limit=4&offset={offset}")["tools"]
        for offset in (0, 4, 8)
    ]

    assert [len(page) for page in pages] == [4, 4, 4]
    assert [row["tool_name"] for page in pages for row in page] == [*SOME_OF_B, "gen"]


@pytest.mark.parametrize(("name", "status"), [("all", 200), ("teamless", 404), ("some", 404)])
def test_server_that_one_may_not_see_is_not_found(sidecar: Sidecar, name: str, status: int) -> None:
    answer = asked(sidecar, name, "/api/v1/servers/c")

    unknown = asked(sidecar, name, "/api/v1/servers/x")
    assert (answer.status, unknown.status) == (status, 404)
    if status == 404:
        hidden, absent = answer.json(), unknown.json()
        assert (hidden["code"], hidden["title"]) == (absent["code"], absent["title"])
        assert str(hidden["detail"]).replace(" c;", " x;") == absent["detail"]


def test_tools_of_a_server_that_one_may_not_see_are_none(sidecar: Sidecar) -> None:
    assert seen(sidecar, "some", "/api/v1/tools?server=c")["total"] == 0
    assert seen(sidecar, "all", "/api/v1/tools?server=c")["total"] == 1


def test_documents_show_what_one_may_call(sidecar: Sidecar) -> None:
    tools = seen(sidecar, "some", "/capabilities/tools")
    generators = seen(sidecar, "some", "/capabilities/generators")

    assert tools["metadata"]["total_count"] == 12
    assert set(tools["tools_by_category"]) == {"b", "d"}
    assert set(generators["generators"]) == {*(f"b.{name}" for name in SOME_OF_B), "d.gen"}
    assert generators["upstreams"] == {"d": "merged"}
    assert seen(sidecar, "none", "/capabilities/generators") == {"generators": {}, "upstreams": {}}


def test_who_sees_nothing_of_a_server_has_it_asked_nothing(
    sidecar: Sidecar, origin: Origin
) -> None:
    seen(sidecar, "none", "/capabilities/generators")

    assert [call for call in origin.calls if call.method == b"GET"] == []


def test_tag_of_one_is_no_tag_of_another(sidecar: Sidecar) -> None:
    tag = (asked(sidecar, "all", "/api/v1/tools").value("etag") or "").encode()

    answer = asked(sidecar, "teamless", "/api/v1/tools", b"If-None-Match: " + tag)

    assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    ["/tools", "/api/v1/servers", "/api/v1/servers/b", "/api/v1/tools", "/capabilities/tools"],
)
def test_who_is_nobody_sees_nothing(sidecar: Sidecar, path: str) -> None:
    assert (sidecar.get(path).status, asked(sidecar, "wrong", path).status) == (401, 401)


def test_servers_of_teams_are_everybodys_while_nobody_is_asked(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("a", origin.url, authorized_teams=["red"]))

    assert [sidecar.get(path).json()["total"] for path in ("/api/v1/servers", "/api/v1/tools")] == [
        1,
        1,
    ]
