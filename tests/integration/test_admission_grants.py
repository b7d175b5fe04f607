"""What may a known caller call? What a grant names, to the letter, and no neighbour of it.

Teams are asked for beside the grant; an operator's key is a key without grants to leave out.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.admission_scene import named, shared_scene, verdict, x_api_key
from tests.support.admission_tokens import token, trusting
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

Scene = tuple[Origin, Sidecar]
TOOLS: Final = (
    "o.call",
    "o.b.c",
    "o.callx",
    "ox.call",
    "p.call",
    "p.b.c",
    "O.call",
    "o-.call",
    "t.call",
)
GRANTS: Final = {
    "o.*": {"o.call", "o.b.c", "o.callx"},
    "o.call": {"o.call"},
    "o.b.*": {"o.b.c"},
    "o.b.c": {"o.b.c"},
    "ox.*": {"ox.call"},
    "O.*": {"O.call"},
    "*": set(TOOLS) - {"t.call"},
    "nobody.*": set(),
    "o.cal": set(),
    "o.Call": set(),
}
NEEDS_A_TEAM: Final = {"namespace": "t", "name": "t", "authorized_teams": ["data", "ml"]}


def secret_of(grant: str) -> str:
    return f"secret-of-{grant.encode().hex()}"


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("grants")
    keys = [
        named(f"g{number}", secret_of(grant), allow=[grant]) for number, grant in enumerate(GRANTS)
    ]
    keys += [
        named("bare", "secret-of-bare"),
        named("none", "secret-of-none", allow=[]),
        named("data", "secret-of-data", allow=["t.*"], teams=["data", "web"]),
        named("web", "secret-of-web", allow=["t.*"], teams=["web", "DATA", "dat"]),
        named("member", "secret-of-member", allow=["p.*"], teams=["data"]),
        named("ops", "secret-of-ops", admin=True),
    ]
    one = [{"name": "call"}]
    others = [
        {"namespace": "O", "name": "big", "tools": one},
        {"namespace": "o-", "name": "dash", "tools": one},
        {**NEEDS_A_TEAM, "tools": one},
    ]
    settings = {"auth": {"api_keys": keys, "jwt": trusting(directory)}}
    with shared_scene(loop_thread, directory, settings, *others) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def called(sidecar: Sidecar, secret: str) -> set[str]:
    """Which of the tools are not refused to this key; a tool that is not there is not refused."""
    told = {tool: sidecar.ask(post(f"/tools/{tool}", x_api_key(secret))).status for tool in TOOLS}
    assert set(told.values()) <= {200, 403, 404}, told
    return {tool for tool, status in told.items() if status != 403}


@pytest.mark.parametrize(("grant", "tools"), GRANTS.items(), ids=GRANTS)
def test_grant_is_for_what_it_names(sidecar: Sidecar, grant: str, tools: set[str]) -> None:
    assert called(sidecar, secret_of(grant)) == tools


def test_key_with_an_empty_list_may_call_nothing(sidecar: Sidecar, origin: Origin) -> None:
    assert called(sidecar, "secret-of-none") == set()
    assert origin.calls == []


@pytest.mark.parametrize("caller", ["data", "web", "member"])
def test_server_with_teams_is_for_members_with_a_grant(sidecar: Sidecar, caller: str) -> None:
    answer = sidecar.ask(post("/tools/t.call", x_api_key(f"secret-of-{caller}")))

    assert verdict(answer) == ((200, None) if caller == "data" else (403, "forbidden"))


def test_server_of_other_teams_tells_no_tool_from_another(sidecar: Sidecar) -> None:
    answers = [
        sidecar.ask(post(target, x_api_key("secret-of-web"), *fields))
        for target in ("/tools/t.call", "/tools/t.nothing")
        for fields in ([], [b"Request-Timeout: nonsense"])
    ]

    assert {verdict(answer) for answer in answers} == {(403, "forbidden")}


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({}, 403),
        ({"teams": []}, 403),
        ({"teams": ["web"]}, 403),
        ({"teams": ["data"]}, 200),
        ({"teams": "data"}, None),
        ({"teams": "database"}, 403),
        ({"teams": {"data": True}}, 403),
        ({"teams": [["data"]]}, 403),
        ({"teams": [None, 7, {"data": 1}]}, 403),
        ({"teams": None}, 403),
    ],
)
def test_teams_of_a_token_are_its_claim(
    sidecar: Sidecar, claims: dict[str, object], status: int | None
) -> None:
    answer = sidecar.ask(
        post("/tools/t.call", b"Authorization: Bearer " + token(**claims).encode())  # type: ignore[arg-type]  # lives_for_s is none of them
    )

    assert answer.status in ({200, 401, 403} if status is None else {status, *_malformed(claims)})


def _malformed(claims: dict[str, object]) -> set[int]:
    """A claim that is no list of names may also spoil the token."""
    teams = claims.get("teams", [])
    well = isinstance(teams, list) and all(isinstance(team, str) for team in teams)
    return set() if well else {401}


@pytest.mark.parametrize(
    "target",
    [
        "/tools/o.call?tool=ox.call",
        "/tools/o.call/../ox.call",
        "/tools/o.call/%2e%2e/ox.call",
        "/tools/o.call%2f..%2fox.call",
        "/tools/%6fx.call",
        "/tools/ox%2ecall",
        "/tools//ox.call",
        "//tools/ox.call",
        "/tools/ox.call/",
        "/tools/o.*",
        "/tools/*",
        "/tools/o.",
        "/tools/.call",
        "http://a/tools/ox.call",
    ],
)
def test_no_spelling_reaches_a_tool_beyond_the_grant(
    sidecar: Sidecar, origin: Origin, target: str
) -> None:
    answer = sidecar.ask(post(target, x_api_key(secret_of("o.*"))))

    assert answer.status in {200, 400, 401, 403, 404, 405}
    assert [v.target for v in origin.calls if v.target.split(b"?")[0] != b"/tools/call"] == []
    assert (answer.status == 200) is target.startswith("/tools/o.call?")


def test_operator_may_call_all_but_what_needs_a_team(sidecar: Sidecar) -> None:
    assert called(sidecar, "secret-of-ops") >= set(TOOLS) - {"t.call"}


def test_tools_are_listed_to_who_may_call_them(sidecar: Sidecar) -> None:
    answer = sidecar.ask(get("/tools", x_api_key(secret_of("o.*"))))

    tools = answer.json()["tools"]
    assert isinstance(tools, list)
    assert [tool["name"] for tool in tools] == ["o.b.c", "o.call"]


def test_length_of_a_list_tells_no_more_than_the_list(sidecar: Sidecar) -> None:
    line = b"HEAD /tools HTTP/1.1"

    lengths = [
        sidecar.ask(message(line, b"Host: a", x_api_key(secret_of(grant)))).value("content-length")
        for grant in ("nobody.*", "o.cal")
    ]

    everything = sidecar.ask(message(line, b"Host: a", x_api_key("secret-of-ops")))
    assert lengths[0] == lengths[1]
    assert lengths[0] is None or lengths[0] != everything.value("content-length")


def test_bare_key_may_call_all_or_nothing_but_never_needs_no_team(sidecar: Sidecar) -> None:
    """The contract leaves open what a key without `allow` may; it is the same for all tools."""
    assert called(sidecar, "secret-of-bare") in (set(), set(TOOLS) - {"t.call"})
