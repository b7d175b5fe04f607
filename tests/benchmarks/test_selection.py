import shutil

import pytest

from benchmarks.cases import CASES
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.table import PEERS
from benchmarks.peers.toolproxy import TOOLPROXY
from benchmarks.processes import UnusableError
from benchmarks.replicas.cases import CASES as SCENES
from benchmarks.replicas.peers import LEAST
from benchmarks.selection import Field, named, take_the_field


def test_all_take_part_when_none_is_named() -> None:
    assert named("peer", PEERS, None) == PEERS


def test_those_named_come_in_their_own_order() -> None:
    assert [peer.key for peer in named("peer", PEERS, "envoy,nginx")] == ["nginx", "envoy"]


def test_a_stranger_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnusableError, match="no such peer: traefik; there are nginx, haproxy"):
        named("peer", PEERS, "nginx,traefik")


def test_what_is_missing_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(UnusableError, match=r"apt-get install nginx-light && apt-get install wrk"):
        take_the_field([NGINX], CASES, patient=False)


def test_scenes_bring_their_own_upstream_and_need_no_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)

    field = take_the_field([NGINX, LEAST], SCENES, patient=False)

    assert ([*field.versions], [*field.left_out]) == ([LEAST], [NGINX.title])


def test_a_case_is_planned_for_those_that_are_here() -> None:
    plan = Field({NGINX: "1", TOOLPROXY: "1"}, {ENVOY.title: "why"}).plan(CASES)

    assert {case.key: peers for case, peers in plan}["small"] == [NGINX, TOOLPROXY]


def test_a_case_that_nobody_is_here_for_is_dropped() -> None:
    plan = Field({NGINX: "1"}, {}).plan(CASES)

    assert "tools" not in {case.key for case, _ in plan}
