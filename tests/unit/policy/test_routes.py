"""Facts about routes: the first that matches, and what it asks for in place of what was asked."""

from typing import Any

import pytest

from proxy import errors
from proxy.policy.routes import Matched, RouteTable
from tests.support.heads import read_request
from tests.support.messages import message
from tests.support.routing import table

Raw = dict[str, Any]


def match(
    routes: RouteTable,
    target: bytes,
    *fields: bytes,
    host: bytes = b"a.example",
    method: bytes = b"GET",
    scheme: bytes = b"http",
    port: int = 80,
) -> Matched | None:
    head = read_request(message(b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, *fields))
    return routes.match(head, scheme, port)


def taken(routes: RouteTable, target: bytes, *fields: bytes, **sent: Any) -> str | None:
    """The name of the route that a request takes."""
    matched = match(routes, target, *fields, **sent)
    return None if matched is None else matched.rule.label


def named(name: str, **conditions: object) -> Raw:
    return {"name": name, "match": conditions, "to": "app"}


def asked(target: bytes, rewrite: str, **conditions: object) -> bytes:
    """What is asked of the server for this target."""
    matched = match(table({"match": conditions, "to": "app", "rewrite": rewrite}), target)
    assert matched is not None
    return matched.target


# --- which one ---


def test_prefix_beside_an_expression_must_hold_too() -> None:
    routes = table(named("both", prefix="/img/", regex=r"\.png$"), named("rest"))

    assert taken(routes, b"/img/a.png") == "both"
    assert taken(routes, b"/other/a.png") == "rest"
    assert taken(routes, b"/img/a.css") == "rest"


def test_first_that_matches_wins_whatever_its_form() -> None:
    routes = table(
        named("regex", regex=r"\.php$"),
        named("exact", exact="/a/x"),
        named("short", prefix="/a", methods=["GET"]),
        named("long", prefix="/a/b"),
        named("late", exact="/a/b"),
        named("rest"),
        named("never"),
    )

    assert taken(routes, b"/a/x") == "exact"
    assert taken(routes, b"/a/b/x.php") == "regex"
    assert taken(routes, b"/a/b") == "short"
    assert taken(routes, b"/a/b", method=b"PUT") == "long"
    assert taken(routes, b"/b") == "rest"


def test_nothing_matches_nothing() -> None:
    assert taken(table(named("a", prefix="/a")), b"/b") is None


def test_prefix_takes_what_begins_with_it() -> None:
    routes = table(named("a", prefix="/a"), named("b", prefix="/b/"))

    assert [taken(routes, target) for target in (b"/a", b"/ab", b"/a/b?x", b"/b/", b"/b")] == [
        "a",
        "a",
        "a",
        "b",
        None,
    ]


def test_query_is_no_part_of_a_path() -> None:
    routes = table(named("a", exact="/a"), named("php", regex=r"\.php$"))

    assert taken(routes, b"/a?b") == "a"
    assert taken(routes, b"/b?x.php") is None


@pytest.mark.parametrize(
    ("host", "name"),
    {
        b"a.example": "exact",
        b"A.Example:8080": "exact",
        b"b.example": "any-of",
        b"x.b.example": "any-of",
        b"x.y.deep.example": "deep",
        b"deep.example": "any-of",
        b"example": None,
        b"notexample": None,
        b"a.example.": "exact",
        b".".join([b"a"] * 200) + b".example": None,
        b"[::1]:80": "six",
    }.items(),
)
def test_hosts_are_told_apart(host: bytes, name: str | None) -> None:
    routes = table(
        named("exact", host="a.example"),
        named("deep", host="*.deep.example"),
        named("any-of", host=["*.example", "*.example", "a.example"]),
        named("six", host="[::1]"),
    )

    assert taken(routes, b"/", host=host) == name


def test_hosts_alone_are_told_apart() -> None:
    routes = table(named("a", host="a.example"))

    assert taken(routes, b"/") == "a"
    assert taken(routes, b"/", host=b"x.a.example") is None


def test_order_holds_between_hosts() -> None:
    routes = table(
        named("first", prefix="/a"),
        named("second", host="a.example"),
        named("third", host="*.example", exact="/a"),
    )

    assert [taken(routes, b"/a"), taken(routes, b"/b")] == ["first", "second"]
    assert taken(routes, b"/b", host=b"b.example") is None


def test_every_condition_must_hold() -> None:
    routes = table(named("a", methods=["GET", "PUT"], scheme="https", port=8443))

    assert taken(routes, b"/", scheme=b"https", port=8443) == "a"
    assert taken(routes, b"/", scheme=b"http", port=8443) is None
    assert taken(routes, b"/", scheme=b"https", port=443) is None
    assert taken(routes, b"/", scheme=b"https", port=8443, method=b"POST") is None


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ((b"X-Canary: 1",), "canary"),
        ((b"x-canary:  1 ",), "canary"),
        ((b"X-Canary: 2", b"X-Canary: 1"), "canary"),
        ((b"X-Canary: 11",), None),
        ((b"X-Canary2: 1",), None),
        ((b"Authorization: Basic x",), "somebody"),
        ((b"X-Empty:",), "empty"),
        ((), None),
    ],
)
def test_fields_are_asked_for(fields: tuple[bytes, ...], name: str | None) -> None:
    routes = table(
        named("canary", headers={"X-Canary": "1"}),
        named("somebody", headers={"authorization": "*"}),
        named("empty", headers={"X-Empty": "*"}),
    )

    assert taken(routes, b"/", *fields) == name


def test_host_is_a_field_too() -> None:
    routes = table(named("a", headers={"Host": "A.Example:81"}))

    assert taken(routes, b"/", host=b"A.Example:81") == "a"
    assert taken(routes, b"/", host=b"a.example:81") is None


def test_regex_is_tried_while_it_could_win() -> None:
    routes = table(
        named("get", regex="^/a", methods=["GET"]),
        named("exact", exact="/a"),
        named("late", regex="^/"),
    )

    assert taken(routes, b"/a") == "get"
    assert taken(routes, b"/a", method=b"PUT") == "exact"
    assert taken(routes, b"/b") == "late"


# --- spelling ---


def test_path_is_matched_in_one_spelling_and_sent_in_it() -> None:
    routes = table(named("a", prefix="/%61pp~x"))

    matched = match(routes, b"/a%70p%7ex/%2F%20?%41=b")

    assert matched is not None
    assert (matched.uri, matched.target) == (b"/app~x/%2F%20", b"/app~x/%2F%20?%41=b")


def test_dots_are_refused_or_resolved() -> None:
    with pytest.raises(errors.BadValueError):
        match(table(named("a")), b"/a/../b")

    assert taken(table(named("b", exact="/b"), resolve_dots=True), b"/a/../b") == "b"


def test_slashes_are_kept_or_merged() -> None:
    assert taken(table(named("a", exact="/a")), b"//a") is None
    assert taken(table(named("a", exact="/a"), merge_slashes=True), b"//a") == "a"


# --- what is asked for ---

REWRITES = {
    "prefix": (b"/api/x?q", "/", {"prefix": "/api/"}, b"/x?q"),
    "prefix-alone": (b"/api/", "/v2/", {"prefix": "/api/"}, b"/v2/"),
    "literally": (b"/apix", "/y", {"prefix": "/api"}, b"/yx"),
    "exact": (b"/a?b", "/c", {"exact": "/a"}, b"/c?b"),
    "regex": (b"/x/7/y?z", "/i/$1", {"regex": r"^/x/(\d+)"}, b"/i/7?z"),
    "groups": (b"/ab", "/$2$1$2.$3", {"regex": "^/(a)(b)(c)?"}, b"/bab."),
    "constant": (b"/ab", "/c", {"regex": "b"}, b"/c"),
}


@pytest.mark.parametrize(
    ("target", "rewrite", "conditions", "sent"), REWRITES.values(), ids=REWRITES
)
def test_path_is_rewritten(target: bytes, rewrite: str, conditions: Raw, sent: bytes) -> None:
    assert asked(target, rewrite, **conditions) == sent


@pytest.mark.parametrize(
    ("target", "rewrite", "conditions"),
    [
        (b"/api../etc", "/files/", {"prefix": "/api"}),
        (b"/x.y.", "/$1$2", {"regex": r"^/x(\.)y(\.)"}),
    ],
)
def test_rewritten_path_leads_nowhere_else(target: bytes, rewrite: str, conditions: Raw) -> None:
    with pytest.raises(errors.BadValueError):
        asked(target, rewrite, **conditions)


def test_path_that_is_not_rewritten_goes_on() -> None:
    matched = match(table(named("a", regex="^/(a)?(b)")), b"/b?c")

    assert matched is not None
    assert (matched.target, matched.groups) == (b"/b?c", (b"", b"b"))


# --- what a route comes to ---


def test_route_is_compiled_once() -> None:
    routes = table(
        {
            "name": "r",
            "to": "app",
            "request_headers": {
                "set": {"host": "$host", "X-Request-ID": "$request_id", "X-A": "a"},
                "remove": ["Cookie"],
            },
            "response_headers": {"set": {"X-B": "b"}, "remove": ["Server"]},
        }
    )
    rule = routes.rules[0]

    assert rule.request.names == {b"x-a", b"cookie"}  # our own request id is sent anyway
    assert rule.host is not None
    assert rule.answer.names == {b"x-b", b"server"}
    assert (rule.retraces, rule.per_call, rule.status) == (False, False, 0)
    assert repr(routes) == "<RouteTable of 1>"
    assert repr(rule) == "<Rule 0 r>"
    assert repr(match(routes, b"/")) == "<Matched r>"


@pytest.mark.parametrize(
    ("set_to", "retraces", "per_call"),
    [
        ({"traceparent": ""}, True, False),
        ({"X-Request-Id": "id-$request_id"}, True, True),
        ({"Host": "$request_id"}, False, True),
        ({"Host": "constant"}, False, False),
    ],
)
def test_what_varies_with_each_call_is_known(
    set_to: Raw,
    retraces: object,
    per_call: object,
) -> None:
    rule = table({"to": "app", "request_headers": {"set": set_to}}).rules[0]

    assert (rule.retraces, rule.per_call) == (retraces, per_call)


def test_answers_of_our_own_are_ready() -> None:
    routes = table(
        {"respond": {"status": 201, "body": "ok", "headers": {"X-A": "$host"}}},
        {"respond": {"headers": {"X-A": "a"}}},
        {"redirect": {"to": "https://b$request_uri"}},
    )
    said, empty, moved = routes.rules

    assert [rule.status for rule in routes.rules] == [201, 200, 302]
    assert [rule.body.constant for rule in routes.rules] == [b"ok", b"", b""]
    assert said.headers.names == {b"content-type", b"x-a"}
    assert empty.headers.names == {b"x-a"}
    assert moved.headers.names == {b"location"}
