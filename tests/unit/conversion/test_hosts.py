from tests.support.conversions import converted


def hosts(*servers: str) -> list[tuple[object, object]]:
    """Who answers for which host: each server answers with a status of its own."""
    text = " ".join(f"server {{ {each} return {201 + at}; }}" for at, each in enumerate(servers))
    found = converted(f"http {{ {text} }}")
    return [
        (route.get("match", {}).get("host"), route["respond"]["status"]) for route in found.routes
    ]


def test_the_first_is_the_default_and_comes_last() -> None:
    assert hosts("server_name a;", "server_name b;") == [("b", 202), (None, 201)]


def test_the_default_server_is_the_default() -> None:
    found = hosts("server_name a;", "listen 80 default_server; server_name b;")

    assert found == [("a", 201), (None, 202)]


def test_exact_names_come_before_wildcards_and_long_ones_before_short_ones() -> None:
    found = hosts("", "server_name *.a;", "server_name *.b.a;", "server_name x.b.a;")

    assert found == [("x.b.a", 204), ("*.b.a", 203), ("*.a", 202), (None, 201)]


def test_a_dot_in_front_stands_for_both() -> None:
    assert hosts("", "server_name .a.example;") == [
        (["a.example", "*.a.example"], 202),
        (None, 201),
    ]


def test_the_defaults_own_name_stands_over_a_wildcard() -> None:
    assert hosts("server_name x.a;", "server_name *.a;") == [
        ("x.a", 201),
        ("*.a", 202),
        (None, 201),
    ]


def test_ports_are_told_apart_where_their_servers_differ() -> None:
    found = converted(
        "http { server { listen 80; return 301 https://$host$request_uri; }"
        " server { listen 443; return 204; } }"
    )

    assert [route["match"] for route in found.routes] == [{"port": 80}, {"port": 443}]


def test_names_that_are_expressions_and_addresses_that_differ_are_named() -> None:
    found = converted(
        "http { server { listen 127.0.0.1:80; server_name ~^a; return 204; }\n"
        "server { listen 127.0.0.2:80; return 204; } }"
    )

    assert [line.split(": ")[1] for line in found.left_out] == ["server_name", "listen"]


def test_socket_with_servers_of_its_own_is_left_out_by_name() -> None:
    found = converted(
        "http { server { listen unix:/tmp/n.sock; location /p { return 200 a; } }"
        " server { listen 8080; location / { return 200 b; } } }"
    )

    assert [line for line in found.left_out if "can't tell a Unix socket" in line]
    assert [route["respond"]["body"] for route in found.routes] == ["b"]
    assert found.settings["listen"] == [{"address": "0.0.0.0:8080", "serves": "routes"}]
