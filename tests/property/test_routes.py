"""The matcher finds what a look at each route in its order finds."""

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.config.routes import Match, RouteSettings
from proxy.config.shape import fit
from proxy.policy.route_order import out_of_reach
from proxy.policy.routes import RouteTable
from tests.support.heads import read_request
from tests.support.messages import message

PATHS = st.lists(st.sampled_from(["/", "a", "b", "/a", "~", "%7e"]), max_size=4).map(
    lambda parts: "/" + "".join(parts)
)
HOSTS = ["a.b.c", "b.c", "c", "x"]
FORMS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    PATHS.map(lambda path: {"prefix": path}),
    PATHS.map(lambda path: {"exact": path}),
    st.sampled_from(["^/a", "b$", "/a/(.)", "."]).map(lambda regex: {"regex": regex}),
)
OTHERS = st.fixed_dictionaries(
    {},
    optional={
        "host": st.lists(st.sampled_from([*HOSTS, "*.c", "*.b.c", "*.x"]), min_size=1, max_size=2),
        "methods": st.lists(st.sampled_from(["GET", "PUT"]), min_size=1, max_size=2, unique=True),
        "scheme": st.sampled_from(["http", "https"]),
        "port": st.sampled_from([80, 443]),
        "headers": st.sampled_from([{"x-a": "1"}, {"X-A": "*"}]),
    },
)
ROUTES = st.lists(st.tuples(FORMS, OTHERS).map(lambda both: {**both[0], **both[1]}), max_size=12)
REQUESTS = st.fixed_dictionaries(
    {
        "path": PATHS,
        "host": st.sampled_from(HOSTS),
        "method": st.sampled_from(["GET", "PUT"]),
        "scheme": st.sampled_from(["http", "https"]),
        "port": st.sampled_from([80, 443]),
        "field": st.sampled_from(["", "1", "2"]),
    }
)


def read(raw: list[dict[str, Any]]) -> tuple[RouteSettings, ...]:
    found, problems = fit(tuple[RouteSettings, ...], [{"match": each, "to": "app"} for each in raw])
    assert not problems
    return tuple(found)


def holds(match: Match, sent: dict[str, Any]) -> bool:
    """One condition after the other, as they are written."""
    path = sent["path"].replace("%7e", "~")
    wanted = {name.lower(): value for name, value in match.headers.items()}.get("x-a")
    return all(
        (
            not match.host or any(host_holds(host, sent["host"]) for host in match.host),
            path.startswith(match.prefix.replace("%7e", "~")),
            not match.exact or path == match.exact.replace("%7e", "~"),
            not match.regex or re.search(match.regex, path) is not None,
            not match.methods or sent["method"] in match.methods,
            match.scheme in {"", sent["scheme"]},
            match.port in {0, sent["port"]},
            wanted is None or (bool(sent["field"]) and wanted in {"*", sent["field"]}),
        )
    )


def host_holds(wanted: str, host: str) -> bool:
    return host.endswith(wanted[1:]) if wanted.startswith("*.") else host == wanted


def found_by_the_table(routes: tuple[RouteSettings, ...], sent: dict[str, Any]) -> int | None:
    line = f"{sent['method']} {sent['path']}?q HTTP/1.1".encode()
    fields = [b"X-A: " + sent["field"].encode()] if sent["field"] else []
    head = read_request(message(line, b"Host: " + sent["host"].encode(), *fields))
    matched = RouteTable(routes).match(head, sent["scheme"].encode(), sent["port"])
    return None if matched is None else matched.rule.index


@settings(max_examples=150, deadline=None)
@given(ROUTES, REQUESTS)
def test_first_route_that_holds_is_found(raw: list[dict[str, Any]], sent: dict[str, Any]) -> None:
    routes = read(raw)
    in_order = (place for place, route in enumerate(routes) if holds(route.match, sent))

    assert found_by_the_table(routes, sent) == next(in_order, None)


@settings(max_examples=100, deadline=None)
@given(ROUTES, REQUESTS)
def test_route_that_is_out_of_reach_is_never_found(
    raw: list[dict[str, Any]], sent: dict[str, Any]
) -> None:
    routes = read(raw)

    assert found_by_the_table(routes, sent) not in {place for place, _ in out_of_reach(routes)}
