"""Facts about routes in settings: what may be said, and what is wrong at which key."""

from pathlib import Path
from typing import Any

import pytest

from proxy.config.routes import RouteSettings
from proxy.config.settings import SettingsError, load_settings
from proxy.config.shape import fit

ALL_KEYS = {
    "name": "api",
    "match": {
        "host": "*.example",
        "regex": r"^/x/(\d+)$",
        "methods": ["GET", "M-SEARCH"],
        "scheme": "https",
        "port": 8443,
        "headers": {"X-Canary": "1", "X-Any": "*"},
    },
    "to": "app",
    "rewrite": "/y/$1",
    "request_headers": {"set": {"X-Id": "$1", "Host": "$host"}, "remove": ["X-Debug"]},
    "response_headers": {"set": {"X-Frame-Options": "DENY"}, "remove": ["Server"]},
    "timeout": "60s",
    "idle_timeout": "5m",
    "max_body": "10MiB",
    "auth": False,
}
# What is changed in `{match: {prefix: /a}, to: app}`: at which key it is wrong, and in which words.
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "nothing-to-do": ({"to": None}, "", "exactly one of to, respond and redirect"),
    "two-things-to-do": ({"respond": {}}, "", "exactly one of to, respond and redirect"),
    "unknown-key": ({"rewriet": "/"}, "rewriet", "did you mean rewrite?"),
    "no-namespace": ({"to": "a.b"}, "to", "namespace"),
    "bad-name": ({"name": "two words"}, "name", "visible characters"),
    "two-forms": ({"match": {"prefix": "/", "exact": "/"}}, "match", "takes exact alone"),
    "host-with-port": ({"match": {"host": "a.example:80"}}, "match.host", "without a port"),
    "host-in-capitals": ({"match": {"host": ["A.example"]}}, "match.host", "lower case"),
    "star-inside": ({"match": {"host": "a.*.example"}}, "match.host", "*.example"),
    "relative": ({"match": {"prefix": "api"}}, "match.prefix", "such as /api/"),
    "query": ({"match": {"exact": "/a?b"}}, "match.exact", "without a query"),
    "dots": ({"match": {"prefix": "/a/../b"}}, "match.prefix", "never asked for"),
    "encoded-dots": ({"match": {"prefix": "/%2e%2e/b"}}, "match.prefix", "as it is"),
    "dots-and-parameters": ({"match": {"exact": "/a/..;x/b"}}, "match.exact", "never asked for"),
    "backslash": ({"match": {"exact": "/a\\b"}}, "match.exact", "backslash"),
    "not-ascii": ({"match": {"exact": "/ä"}}, "match.exact", "such as /api/"),
    "broken-regex": ({"match": {"regex": "("}}, "match.regex", "no regular expression"),
    "small-method": ({"match": {"methods": ["get"]}}, "match.methods", "upper case"),
    "scheme": ({"match": {"scheme": "ftp"}}, "match.scheme", "http"),
    "port": ({"match": {"port": 70000}}, "match.port", "between 0 and 65535"),
    "header-name": ({"match": {"headers": {"a b": "1"}}}, "match.headers", "header field"),
    "header-value": ({"match": {"headers": {"a": "1\n"}}}, "match.headers", "one line"),
    "header-number": ({"match": {"headers": {"a": 1}}}, "match.headers", "quote it"),
    "headers-list": ({"match": {"headers": ["a"]}}, "match.headers", "expected a mapping"),
    "rewrite-of-all": ({"match": {}, "rewrite": "/"}, "rewrite", "needs prefix, exact or regex"),
    "rewrite-relative": ({"rewrite": "x"}, "rewrite", "begins with /"),
    "rewrite-query": ({"rewrite": "/?a"}, "rewrite", "without a query"),
    "rewrite-variable": ({"rewrite": "/$host"}, "rewrite", "no variables but $1 to $9"),
    "rewrite-group": ({"rewrite": "/$1"}, "rewrite", "$1 stands for a group"),
    "rewrite-blank": ({"rewrite": "/a b"}, "rewrite", "visible ASCII"),
    "set-list": ({"request_headers": {"set": []}}, "request_headers.set", "expected a mapping"),
    "set-number": ({"request_headers": {"set": {"a": 1}}}, "request_headers.set", "a: expected"),
    "set-two-lines": ({"request_headers": {"set": {"a": "1\r\nb: 2"}}}, "request_headers.set", "a"),
    "set-twice": ({"request_headers": {"set": {"a": "", "A": ""}}}, "request_headers.set", "twice"),
    "set-framing": (
        {"request_headers": {"set": {"Content-Length": "1"}}},
        "request_headers.set",
        "connection's own",
    ),
    "set-upgrade": (
        {"request_headers": {"set": {"Upgrade": "$http_upgrade"}}},
        "request_headers.set",
        "WebSocket upgrades go on by themselves",
    ),
    "set-unknown": ({"request_headers": {"set": {"a": "$b"}}}, "request_headers.set", "unknown"),
    "set-group": ({"response_headers": {"set": {"a": "$1"}}}, "response_headers", "match.regex"),
    "no-host": ({"request_headers": {"remove": ["host"]}}, "request_headers.remove", "Host"),
    "set-date": ({"response_headers": {"set": {"Date": ""}}}, "response_headers.set", "Date"),
    "no-date": ({"response_headers": {"remove": ["date"]}}, "response_headers.remove", "Date"),
}
# Likewise in `{match: {prefix: /a}, <key>: <value>}`.
WRONG_ANSWERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "status": ({"respond": {"status": 100}}, "respond.status", "between 200 and 599"),
    "empty": ({"respond": {"status": 204, "body": "x"}}, "respond.body", "has none"),
    "type": ({"respond": {"headers": {"content-type": "a"}}}, "respond.headers", "content_type"),
    "group": ({"respond": {"body": "$1"}}, "respond", "match.regex"),
    "header-group": ({"respond": {"headers": {"a": "$1"}}}, "respond", "match.regex"),
    "nowhere": ({"redirect": {}}, "redirect.to", "required"),
    "empty-redirect": ({"redirect": {"to": ""}}, "redirect.to", "empty"),
    "redirect-status": ({"redirect": {"to": "/", "status": 304}}, "redirect.status", "308"),
    "redirect-group": ({"redirect": {"to": "/$2"}}, "redirect", "match.regex"),
    **{
        f"{key}-of-nobody": ({"respond": {}, key: value}, key, "goes with 'to' alone")
        for key, value in {
            "rewrite": "/",
            "timeout": 1,
            "idle_timeout": 1,
            "max_body": 1,
            "request_headers": {"remove": ["a"]},
        }.items()
    },
}


def read(raw: dict[str, Any]) -> RouteSettings:
    found, problems = fit(RouteSettings, raw)
    assert not problems, problems
    assert isinstance(found, RouteSettings)
    return found


def test_every_key_is_read() -> None:
    route = read(ALL_KEYS)

    assert route.match.host == ("*.example",)
    assert (route.match.methods, route.match.scheme) == (("GET", "M-SEARCH"), "https")
    assert (route.match.port, route.match.headers) == (8443, {"X-Canary": "1", "X-Any": "*"})
    assert route.rewrite == ("/y/", "1", "")
    assert route.request_headers.set == {"X-Id": ("", "1", ""), "Host": ("", "host", "")}
    assert (route.request_headers.remove, route.response_headers.remove) == (
        ("X-Debug",),
        ("Server",),
    )
    assert (route.timeout_s, route.idle_timeout_s) == (60.0, 300.0)
    assert (route.max_body_bytes, route.auth) == (10 * 1024 * 1024, False)


def test_little_need_be_said() -> None:
    route = read({"to": "app"})

    assert (route.match.path, route.auth, route.timeout_s) == ("/", True, None)
    assert read({"respond": {}}).respond is not None
    assert read({"redirect": {"to": "/"}}).redirect is not None


@pytest.mark.parametrize(
    ("match", "label"),
    [
        ({}, "/"),
        ({"prefix": "/api/"}, "/api/"),
        ({"host": ["a.example", "*.b"], "exact": "/x"}, "a.example,*.b/x"),
        ({"regex": "^/x"}, "^/x"),
    ],
)
def test_route_without_a_name_is_called_by_what_it_matches(
    match: dict[str, Any], label: str
) -> None:
    assert read({"match": match, "to": "app"}).label == label
    assert read({"match": match, "to": "app", "name": "n"}).label == "n"


@pytest.mark.parametrize(("changed", "key", "why"), WRONG.values(), ids=WRONG)
def test_mistake_is_named_where_it_stands(changed: dict[str, Any], key: str, why: str) -> None:
    _, problems = fit(RouteSettings, {"match": {"prefix": "/a"}, "to": "app", **changed})

    assert (".".join(map(str, problems[0].path)), len(problems)) == (key, 1), problems
    assert why in problems[0].message


@pytest.mark.parametrize(("said", "key", "why"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS)
def test_mistake_in_an_answer_of_ours_is_named(said: dict[str, Any], key: str, why: str) -> None:
    _, problems = fit(RouteSettings, {"match": {"prefix": "/a"}, **said})

    assert (".".join(map(str, problems[0].path)), len(problems)) == (key, 1), problems
    assert why in problems[0].message


def test_mistake_has_the_line_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "proxy.yaml"
    file.write_text("routes:\n- {to: app}\n- match: {exact: x}\n  to: app\n")

    with pytest.raises(SettingsError) as raised:
        load_settings(str(file), {}, {})

    assert ":3: routes[1].match.exact: " in str(raised.value)
