from tests.support.conversions import Converted, of_server


def upstream(inside: str) -> Converted:
    return of_server("location / { proxy_pass http://b; }", f"upstream b {{ {inside} }}")


def test_weights_and_sockets_are_endpoints() -> None:
    found = upstream("server a:81 weight=3; server 10.0.0.1; server unix:/run/x.sock;")

    assert found.servers[0]["endpoints"] == [
        {"url": "http://a:81", "weight": 3},
        "http://10.0.0.1:80",
        "unix:/run/x.sock",
    ]
    assert found.left_out == []


def test_what_is_down_is_nowhere_and_a_backup_stays_one() -> None:
    found = upstream("server a; server b down; server c backup;")

    assert found.servers[0]["endpoints"] == ["http://a:80", {"url": "http://c:80", "backup": True}]
    assert (found.servers[0]["outlier"]["max_ejected"], found.left_out) == (1, [])


def test_a_word_that_endpoints_do_not_have_is_named() -> None:
    assert "route=x has no" not in (left := upstream("server a route=x;").left_out)[0]
    assert "route has no counterpart" in left[0]


def test_balancing_has_our_words() -> None:
    methods = ("", "least_conn;", "ip_hash;", "hash $http_x_user consistent;", "hash $cookie_sid;")

    found = [upstream(f"{each} server a;").servers[0]["balance"] for each in methods]

    assert found == [
        "round_robin",
        "least_request",
        {"hash": {"peer": True}},
        {"hash": {"header": "x-user"}},
        {"hash": {"cookie": "sid"}},
    ]


def test_a_hash_of_something_else_is_named() -> None:
    assert "what is hashed is a header" in upstream("hash $request_uri; server a;").left_out[0]


def test_failures_and_limits_are_the_servers() -> None:
    found = upstream("server a max_fails=3 fail_timeout=30s max_conns=50;")

    assert found.servers[0]["outlier"] == {
        "consecutive_errors": 3,
        "base_ejection": "30s",
        "max_ejection": "30s",
    }
    assert found.servers[0]["limits"]["max_connections"] == 50


def test_endpoints_that_differ_where_they_cannot_are_named() -> None:
    found = upstream("server a max_fails=3 max_conns=5;\nserver b max_fails=4 max_conns=5;")

    assert [line.partition(": server: ")[2][:24] for line in found.left_out] == [
        "connections are limited ",
        "max_fails is one for all",
    ]


def test_each_endpoint_may_be_tried_once() -> None:
    found = upstream("server a; server b; server c;")

    assert found.servers[0]["retry"] == {"attempts": 3}


def test_kept_connections_have_our_words() -> None:
    found = upstream("server a; keepalive 16; keepalive_timeout 30s; keepalive_requests 500;")

    assert found.servers[0]["keepalive"] == {"idle": "30s", "max_requests": 500}
    assert found.left_out == []


def test_an_upstream_with_nobody_leads_nowhere_and_is_named() -> None:
    found = upstream("server a down;")

    assert found.servers[0]["endpoints"] == ["http://127.0.0.1:9"]
    assert "no server that is in use" in found.left_out[0]


def test_names_are_made_fit_and_stay_apart() -> None:
    found = of_server(
        "location /a { proxy_pass http://a.b:1; } location /b { proxy_pass http://a-b:1; }"
    )

    assert [each["namespace"] for each in found.servers] == ["a-b-1", "a-b-1-2"]
