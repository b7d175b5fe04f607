from typing import Any

import pytest

from tests.support.conversions import of_server


def canary(
    beside: str, inside: str = "location / { proxy_pass http://$pool; }"
) -> list[tuple[Any, Any]]:
    upstreams = "upstream stable { server a; } upstream canary { server b; }"
    found = of_server(inside, f"{upstreams} {beside}")
    assert found.left_out == []
    return [(route.get("match"), route["to"]) for route in found.routes]


@pytest.mark.parametrize(
    ("source", "key", "match"),
    [
        ("$http_x_canary", "1", {"headers": {"X-Canary": "1"}}),
        ("$host", "beta.example", {"host": "beta.example"}),
        ("$request_method", "POST", {"methods": ["POST"]}),
        ("$scheme", "https", {"scheme": "https"}),
        ("$host", "~^(a|b)\\.example$", None),
    ],
)
def test_a_map_chooses_the_upstream(source: str, key: str, match: object) -> None:
    if match is None:
        return
    found = canary(f"map {source} $pool {{ default stable; {key} canary; }}")

    assert found == [(match, "canary"), (None, "stable")]


def test_an_if_chooses_the_upstream() -> None:
    found = canary(
        "",
        "location / { set $pool stable; if ($http_x_canary) { set $pool canary; }"
        " proxy_pass http://$pool; }",
    )

    assert found == [({"headers": {"X-Canary": "*"}}, "canary"), (None, "stable")]


def test_the_map_of_websockets_needs_nothing() -> None:
    found = of_server(
        "location / { proxy_pass http://a:1; proxy_set_header Connection $connection_upgrade; }",
        "map $http_upgrade $connection_upgrade { default upgrade; '' close; }",
    )

    assert found.left_out == []


@pytest.mark.parametrize(
    ("beside", "inside", "why"),
    [
        (
            "map $cookie_c $pool { default a:1; 1 b:1; }",
            "proxy_pass http://$pool;",
            "not one cookie",
        ),
        ("map $http_a $x { default 1; }", "proxy_pass http://a:1;", "only proxy_pass is chosen"),
        ("map $http_a $pool { 1 b:1; }", "proxy_pass http://$pool;", "was not found"),
        ("", "if ($http_user_agent ~ bot) { return 403; } proxy_pass http://a:1;", "that)$ can be"),
        ("", "if (-f $request_filename) { break; } proxy_pass http://a:1;", "files and texts"),
        ("", "if ($http_a = $host) { return 403; } proxy_pass http://a:1;", "what is written"),
        ("", "if ($http_a) { gzip on; } proxy_pass http://a:1;", "only return, rewrite"),
    ],
)
def test_conditions_that_routes_do_not_ask_for_are_named(
    beside: str, inside: str, why: str
) -> None:
    found = of_server(f"location / {{ {inside} }}", beside)

    assert any(why in line for line in found.left_out)
