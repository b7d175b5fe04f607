"""Facts about the order of routes: which can never match, and which lead nowhere."""

from typing import Any

import pytest

from proxy.config.routes import RouteSettings
from proxy.config.shape import fit
from proxy.policy.route_order import lost, out_of_reach

Raw = dict[str, Any]
# The conditions of two routes, of which the second can never match.
COVERED: dict[str, tuple[Raw, Raw]] = {
    "everything": ({}, {"exact": "/a", "host": "h", "methods": ["GET"]}),
    "itself": ({"prefix": "/a"}, {"prefix": "/a"}),
    "below": ({"prefix": "/a"}, {"prefix": "/a/b"}),
    "all-below-the-root": ({"prefix": "/"}, {"prefix": "/a"}),
    "exact-below": ({"prefix": "/a"}, {"exact": "/a"}),
    "same-exact": ({"exact": "/a"}, {"exact": "/a", "headers": {"b": "1"}}),
    "same-regex": ({"regex": "^/a"}, {"regex": "^/a", "port": 80}),
    "exact-in-regex": ({"regex": "^/a"}, {"exact": "/ab"}),
    "regex-in-everything": ({}, {"regex": "^/a"}),
    "host": ({"host": ["h", "i"]}, {"host": ["i", "h"]}),
    "suffix": ({"host": "*.example"}, {"host": ["a.example", "*.b.example"]}),
    "methods": ({"methods": ["GET", "PUT"]}, {"methods": ["PUT"]}),
    "scheme": ({"scheme": "https"}, {"scheme": "https"}),
    "port": ({"port": 80}, {"port": 80}),
    "any-value": ({"headers": {"A": "*"}}, {"headers": {"a": "1", "b": "2"}}),
    "value": ({"headers": {"A": "1"}}, {"headers": {"a": "1"}}),
}
FREE: dict[str, tuple[Raw, Raw]] = {
    "longer-first": ({"prefix": "/a/b"}, {"prefix": "/a"}),
    "beside": ({"prefix": "/a/"}, {"prefix": "/a"}),
    "exact-first": ({"exact": "/a"}, {"prefix": "/a"}),
    "other-exact": ({"exact": "/a"}, {"exact": "/b"}),
    "other-regex": ({"regex": "^/a"}, {"regex": "^/ab"}),
    "prefix-in-regex": ({"regex": "^/a"}, {"prefix": "/ab"}),
    "exact-out-of-regex": ({"regex": "^/b"}, {"exact": "/a"}),
    "host-first": ({"host": "h"}, {}),
    "one-host-more": ({"host": "h"}, {"host": ["h", "i"]}),
    "suffix-itself": ({"host": "*.example"}, {"host": "example"}),
    "methods-first": ({"methods": ["GET"]}, {}),
    "one-method-more": ({"methods": ["GET"]}, {"methods": ["GET", "PUT"]}),
    "scheme-first": ({"scheme": "https"}, {}),
    "port-first": ({"port": 80}, {}),
    "other-port": ({"port": 80}, {"port": 81}),
    "value-first": ({"headers": {"a": "1"}}, {"headers": {"a": "*"}}),
    "other-field": ({"headers": {"a": "1"}}, {"headers": {"b": "1"}}),
}


def routes(*conditions: Raw) -> tuple[RouteSettings, ...]:
    raw = [{"match": each, "to": f"s{place}"} for place, each in enumerate(conditions)]
    found, problems = fit(tuple[RouteSettings, ...], raw)
    assert not problems, problems
    return tuple(found)


@pytest.mark.parametrize(("before", "after"), COVERED.values(), ids=COVERED)
def test_route_behind_one_that_takes_all_is_found(before: Raw, after: Raw) -> None:
    (found,) = out_of_reach(routes({"exact": "/else"}, before, after))

    assert found[0] == 2
    assert "routes[1] " in found[1]


@pytest.mark.parametrize(("before", "after"), FREE.values(), ids=FREE)
def test_route_that_can_match_is_none_of_them(before: Raw, after: Raw) -> None:
    assert not list(out_of_reach(routes(before, after)))


def test_path_that_is_built_in_is_found() -> None:
    found = list(out_of_reach(routes({"prefix": "/tools/a"}, {"prefix": "/tools"})))

    assert [place for place, _ in found] == [0]
    assert "/tools/a is built in" in found[0][1]


def test_route_to_nobody_is_found() -> None:
    raw = [*routes({}, {}), fit(RouteSettings, {"respond": {}}).value]

    assert list(lost(raw, {"s0"})) == [(1, "leads to s1, which the registry does not have")]


def test_path_that_is_the_sidecars_own_is_told() -> None:
    (found,) = out_of_reach(routes({"exact": "/health"}, {"exact": "/else"}), kept={"/health"})

    assert found == (
        0,
        "/health is the sidecar's own; it is reached on a listener that serves routes alone",
    )


def test_port_that_no_listener_has_is_told() -> None:
    (found,) = out_of_reach(routes({"port": 81}, {"port": 80}), ports=[80])

    assert found == (0, "can never match: no listener has the port 81")


@pytest.mark.parametrize(("path", "covered"), [("/a/b", True), ("/c", False)])
def test_prefix_beside_an_expression_narrows_it(path: str, *, covered: bool) -> None:
    both = routes({"prefix": "/a", "regex": "^/"}, {"exact": path})

    assert bool(list(out_of_reach(both))) is covered
