from tests.support.conversions import of_server


def order(inside: str) -> list[str]:
    """Which location comes when: each answers with a text of its own."""
    found = of_server(inside)
    assert found.left_out == []
    return [path for path, _ in found.ways]


def test_exact_comes_first_and_long_prefixes_before_short_ones() -> None:
    found = order(
        "location / { return 201; } location /a/ { return 202; } location /a/b { return 203; }"
        " location = /a/b { return 204; }"
    )

    assert found == ["exact /a/b", "prefix /a/b", "prefix /a/", ""]


def test_expressions_come_before_prefixes_but_for_those_that_forbid_it() -> None:
    found = order(
        r"location / { return 201; } location ~ \.php$ { return 202; }"
        r" location ~* \.png$ { return 203; } location ^~ /static/ { return 204; }"
    )

    assert found == ["prefix /static/", r"regex \.php$", r"regex (?i)\.png$", ""]


def test_a_plain_prefix_within_one_that_forbids_them_has_expressions_again() -> None:
    found = order(
        r"location ^~ /a/ { return 201; } location /a/b/ { return 202; }"
        r" location ~ x$ { return 203; } location / { return 204; }"
    )

    assert found == ["prefix /a/b/, regex x$", "prefix /a/b/", "prefix /a/", "regex x$", ""]


def test_locations_within_locations_stand_beside_each_other() -> None:
    found = of_server(
        "location / { return 201; } location /a/ { proxy_pass http://a:1;"
        " location /a/b/ { return 202; } location ~ x$ { return 203; } }"
    )

    assert [path for path, _ in found.ways] == [
        "exact /a",
        "prefix /a/, regex x$",
        "prefix /a/b/",
        "prefix /a/",
        "",
    ]
    assert "it stands over /a/b/ too" not in "".join(found.left_out)


def test_what_lies_within_inherits() -> None:
    found = of_server(
        "location /a/ { client_max_body_size 5m; proxy_pass http://a:1;"
        " location /a/b/ { proxy_pass http://b:1; } } location / { return 204; }"
    )

    bodies = {
        path: route.get("max_body")
        for (path, _), route in zip(found.ways, found.routes, strict=True)
    }
    assert bodies["prefix /a/b/"] == bodies["prefix /a/"] == "5MiB"


def test_an_expression_that_is_none_of_ours_is_named() -> None:
    found = of_server(r"location ~ ^/a\K { return 204; } location / { return 204; }")

    assert "no regular expression as RE2 has them" in found.left_out[0]
