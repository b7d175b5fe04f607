from dataclasses import replace

from benchmarks.cases import CASES
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.haproxy import HAPROXY
from benchmarks.peers.nginx import NGINX
from benchmarks.rounds import turned


def test_who_comes_first_moves_on_with_each_round() -> None:
    plan = [(CASES[0], [NGINX, HAPROXY, ENVOY])]

    orders = [[peer.key for _, peer in turned(plan, number)] for number in range(4)]

    assert orders == [
        ["nginx", "haproxy", "envoy"],
        ["haproxy", "envoy", "nginx"],
        ["envoy", "nginx", "haproxy"],
        ["nginx", "haproxy", "envoy"],
    ]


def test_a_case_is_over_before_the_next_begins() -> None:
    plan = [(CASES[0], [NGINX, ENVOY]), (CASES[1], [NGINX])]

    assert [(case.key, peer.key) for case, peer in turned(plan, 1)] == [
        ("small", "envoy"),
        ("small", "nginx"),
        ("alone", "nginx"),
    ]


def test_peers_that_nearly_agree_take_many_short_turns() -> None:
    plan = [(replace(CASES[0], slices=3), [NGINX, ENVOY])]

    orders = [peer.key for _, peer in turned(plan, 0)]

    assert orders == ["nginx", "envoy", "envoy", "nginx", "nginx", "envoy"]
