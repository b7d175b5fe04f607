"""What do lists and documents show? What the caller may call, as if there were no more.

Counts, pages and validators tell no more than the rows do.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.admission_scene import AS_CI, AS_OPS, named, shared_scene, usual, x_api_key
from tests.support.loop_thread import LoopThread
from tests.support.messages import get
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

Scene = tuple[Origin, Sidecar]
LISTS: Final = (
    "/tools",
    "/health",
    "/readyz",
    "/api/v1/servers",
    "/api/v1/servers?limit=1000",
    "/api/v1/tools",
    "/api/v1/tools?server=ox",
    "/api/v1/tools?server=hidden",
    "/capabilities/server",
    "/capabilities/tools",
    "/capabilities/resources",
    "/capabilities/generators",
    "/capabilities/telemetry",
    "/events?format=json",
    "/events/nothing/summary",
)
OF_OTHERS: Final = ('"ox', "ox.", '"hidden', "hidden.", "unheard-of")
MEMBER: Final = x_api_key("secret-of-member")


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    settings = usual()
    auth = settings["auth"]
    assert isinstance(auth, dict)
    auth["api_keys"] += [
        named("member", "secret-of-member", allow=["*"], teams=["data"]),
        named("none", "secret-of-none", allow=["nobody.*"]),
    ]
    hidden = {
        "namespace": "hidden",
        "name": "hidden",
        "tools": [{"name": "unheard-of"}],
        "authorized_teams": ["data"],
    }
    with shared_scene(loop_thread, tmp_path_factory.mktemp("lists"), settings, hidden) as made:
        yield made


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


@pytest.mark.parametrize("path", LISTS)
def test_list_shows_nothing_of_others(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.ask(get(path, AS_CI))

    assert answer.status == 200
    assert [word for word in OF_OTHERS if word.encode() in answer.body] == []


def test_list_shows_what_the_caller_may_call(sidecar: Sidecar) -> None:
    def names(key: bytes) -> list[str]:
        tools = sidecar.ask(get("/tools", key)).json()["tools"]
        assert isinstance(tools, list)
        return [tool["name"] for tool in tools]

    assert names(AS_CI) == ["o.b.c", "o.call", "p.call"]
    assert "hidden.unheard-of" in names(MEMBER)
    assert names(x_api_key("secret-of-none")) == []


@pytest.mark.parametrize(("path", "total"), [("/api/v1/servers", 2), ("/api/v1/tools", 3)])
def test_total_counts_what_is_shown(sidecar: Sidecar, path: str, total: int) -> None:
    assert sidecar.ask(get(path, AS_CI)).json()["total"] == total


def test_pages_are_full_while_there_is_more(sidecar: Sidecar) -> None:
    """Rows of others must not thin out a page: clients stop at the first short one."""
    pages = [
        sidecar.ask(get(f"/api/v1/tools?limit=1&offset={offset}", AS_CI)).json()["tools"]
        for offset in range(4)
    ]

    assert [len(page) for page in pages if isinstance(page, list)] == [1, 1, 1, 0]


@pytest.mark.parametrize("name", ["ox", "hidden"])
def test_server_of_others_is_not_told_from_none(sidecar: Sidecar, name: str) -> None:
    theirs, nobodys = (sidecar.ask(get(f"/api/v1/servers/{each}", AS_CI)) for each in (name, "no"))

    assert theirs.status == nobodys.status == 404
    assert str(theirs.json()["detail"]).replace(name, "…") == (
        str(nobodys.json()["detail"]).replace("called no", "called …")
    )


@pytest.mark.parametrize("path", ["/api/v1/servers", "/api/v1/tools", "/capabilities/tools"])
def test_validator_of_one_caller_is_not_anothers(sidecar: Sidecar, path: str) -> None:
    etag = sidecar.ask(get(path, AS_OPS)).value("etag") or ""

    answer = sidecar.ask(get(path, AS_CI, b"If-None-Match: " + etag.encode()))

    assert (bool(etag), answer.status) == (True, 200)


@pytest.mark.parametrize("path", [path for path in LISTS if "?server" not in path])
def test_answer_for_one_caller_is_kept_for_no_other(sidecar: Sidecar, path: str) -> None:
    """RFC 9111, 3.5 keeps shared caches from what was asked with `Authorization`, no other key."""
    answer = sidecar.ask(get(path, AS_CI))

    kept_by = (answer.value("cache-control") or "") + (answer.value("vary") or "").lower()
    assert any(word in kept_by for word in ("private", "no-store", "x-api-key"))
