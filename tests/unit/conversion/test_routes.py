import pytest

from tests.support.conversions import of_server

REST = "location / { return 410; }"
SELF = "$scheme://$host"


@pytest.mark.parametrize(
    ("inside", "ways"),
    [
        pytest.param("location / { proxy_pass http://a:1; }", [("", "a-1")], id="as-it-is"),
        pytest.param(
            f"location /x/ {{ proxy_pass http://a:1/; }} {REST}",
            [("exact /x", f"301 {SELF}/x/$is_args$args"), ("prefix /x/", "a-1 /"), ("", 410)],
            id="with-a-uri",
        ),
        pytest.param(
            f"location = /x {{ proxy_pass http://a:1/y; }} {REST}",
            [("exact /x", "a-1 /y"), ("", 410)],
            id="exact",
        ),
        pytest.param(
            f"location ~ ^/u/(\\d+)$ {{ proxy_pass http://a:1/v/$1$is_args$args; }} {REST}",
            [(r"regex ^/u/(\d+)$", "a-1 /v/$1"), ("", 410)],
            id="captures",
        ),
        pytest.param(
            "location / { proxy_pass http://unix:/run/x.sock:/y/; }",
            [("prefix /", "run-x-sock /y/")],
            id="socket",
        ),
        pytest.param(
            'set $b "http://a:1"; location / { proxy_pass $b$request_uri; }',
            [("", "a-1")],
            id="set",
        ),
        pytest.param("return 301 /x;", [("", f"301 {SELF}/x")], id="return-path"),
        pytest.param(
            "return https://x$request_uri;", [("", "302 https://x$request_uri")], id="return-url"
        ),
        pytest.param("deny all; location / { proxy_pass http://a:1; }", [("", 403)], id="closed"),
        pytest.param(
            f"location /x {{ internal; proxy_pass http://a:1; }} {REST}",
            [("prefix /x", 404), ("", 410)],
            id="internal",
        ),
        pytest.param(
            "location / { limit_except GET { deny all; } proxy_pass http://a:1; }",
            [("", "a-1"), ("", 403)],
            id="methods",
        ),
        pytest.param(
            "location / { rewrite ^/a/(.*)$ /b/$1 break; proxy_pass http://a:1; }",
            [("prefix /a/", "a-1 /b/"), ("", "a-1")],
            id="rewrite",
        ),
        pytest.param(
            r"location / { rewrite ^/a/(\d+)$ /b/$1 permanent; proxy_pass http://a:1; }",
            [(r"regex ^/a/(\d+)$", f"301 {SELF}/b/$1$is_args$args"), ("", "a-1")],
            id="redirect",
        ),
        pytest.param(
            f"rewrite ^/old$ /new last; location /new {{ proxy_pass http://a:1; }} {REST}",
            [("regex ^/old$", "a-1 /new"), ("prefix /new", "a-1"), ("", 410)],
            id="last",
        ),
        pytest.param(
            'location / { if ($http_x_key != "k") { return 403; } proxy_pass http://a:1; }',
            [("", "a-1"), ("", 403)],
            id="unless",
        ),
        pytest.param(
            "if ($request_method = POST) { return 405; } location / { proxy_pass http://a:1; }",
            [("", 405), ("", "a-1")],
            id="if",
        ),
    ],
)
def test_what_is_carried_over_is_all_there(inside: str, ways: list[tuple[str, object]]) -> None:
    found = of_server(inside)

    assert (found.ways, found.left_out) == (ways, [])


def test_a_query_that_a_rewrite_writes_stands_alone() -> None:
    found = of_server("rewrite ^/a$ /b?c=1 redirect;\nrewrite ^/d$ /e? redirect; return 410;")

    assert found.ways[:2] == [
        ("regex ^/a$", f"302 {SELF}/b?c=1"),
        ("regex ^/d$", f"302 {SELF}/e"),
    ]
    assert ["stands alone" in line for line in found.left_out] == [True]


@pytest.mark.parametrize(
    ("inside", "does", "why"),
    [
        ("location / { root /srv; }", 404, "serves no files"),
        ("location / { fastcgi_pass unix:/run/php.sock; }", 501, "spoken to in HTTP"),
        ("location / { proxy_pass http://$host; }", 501, "depends on $host"),
        ("location / { auth_basic x; proxy_pass http://a:1; }", 403, "let in by keys"),
        ("allow 10.0.0.0/8; deny all; location / { proxy_pass http://a:1; }", 403, "by address"),
        ("return 444;", 404, "not closed unasked"),
        ("location / { proxy_pass http://a:1/x?y=1; }", 501, "path alone"),
        ("location / { proxy_pass http://$nothing; }", 501, "no variable $nothing"),
        ("location / { proxy_pass ftp://a; }", 501, "expected http://"),
    ],
)
def test_what_cannot_be_is_named_and_closed(inside: str, does: object, why: str) -> None:
    found = of_server(inside)

    if found.routes:
        assert found.ways[-1] == ("", does)
    assert any(why in line for line in found.left_out)


def test_files_with_an_application_behind_go_to_the_application() -> None:
    found = of_server(
        "location / { try_files $uri @app; } location @app { proxy_pass http://a:1; }"
    )

    assert (found.ways, len(found.left_out)) == ([("", "a-1")], 1)


def test_time_outs_and_sizes_are_nginxs_defaults_where_nothing_is_said() -> None:
    route = of_server("location / { proxy_pass http://a:1; }").routes[0]

    assert (route["idle_timeout"], route["timeout"], route["max_body"]) == ("60s", "60s", "1MiB")


def test_time_outs_and_sizes_are_those_that_are_said() -> None:
    found = of_server(
        "location / { proxy_pass http://a:1; proxy_read_timeout 90s; proxy_send_timeout 2m;"
        " proxy_connect_timeout 5s; client_max_body_size 0; }"
    )

    route = found.routes[0]
    assert (route["idle_timeout"], route["timeout"], "max_body" in route) == (
        "120s",
        "90s",
        False,
    )
    assert found.servers[0]["connect_timeout"] == "5s"


def test_an_upstream_is_verified_unless_its_authority_is_named() -> None:
    found = of_server("location / { proxy_pass https://a; proxy_ssl_name b; }")

    assert found.servers[0]["tls"] == {"server_name": "b"}
    assert "always verified" in found.left_out[0]
