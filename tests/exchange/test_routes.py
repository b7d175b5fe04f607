"""Requests on routes to servers, played by hand: what goes up, what comes back, what does not."""

import re

import pytest

from tests.support.messages import get, message, ok, post
from tests.support.routing import routed, table
from tests.support.successor import successor
from tests.support.transcript import Begin
from tests.support.websockets import SWITCHED, asks, frame

TO_O = {"match": {"prefix": "/app"}, "to": "o"}


# --- to a server ---


def test_request_goes_on_with_its_credentials(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "name": "app"})

    t.client_sends(get("/app/x?q", b"Authorization: Basic x", b"Cookie: a=b", b"X-Api-Key: k"))
    t.expect_upstream(
        b"GET /app/x?q HTTP/1.1\r\nauthorization: Basic x\r\ncookie: a=b\r\n"
        b"x-api-key: k\r\nHost: 10.0.0.9\r\n\r\n"
    )
    t.upstream_sends(ok())
    t.expect_client(ok())

    (record,) = t.records
    assert (record.route, record.server, record.tool) == ("app", "o", "")
    assert record.asked == (b"GET", b"/app/x?q")


def test_route_without_a_name_is_counted_by_what_it_matches(begin: Begin) -> None:
    t = routed(begin, {"match": {"host": "*.b", "prefix": "/x"}, "to": "o"})

    t.client_sends(message(b"GET /x HTTP/1.1", b"Host: a.b"))
    t.upstream_sends(ok())

    assert t.records[0].route == "*.b/x"


def test_body_and_repeated_head_go_on_alike(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "rewrite": "/v2", "request_headers": {"set": {"X-A": "$host"}}})

    for body in (b"first", b"other"):
        t.client_sends(post("/app/x", body=body))
        t.expect_upstream(
            b"POST /v2/x HTTP/1.1\r\nHost: 10.0.0.9\r\nX-A: a\r\nContent-Length: 5\r\n\r\n" + body
        )
        t.upstream_sends(ok())
        t.expect_client(ok())
    t.client_sends(get("/app/y"))
    t.expect_upstream(b"GET /v2/y HTTP/1.1\r\nHost: 10.0.0.9\r\nX-A: a\r\n\r\n")


def test_head_that_comes_again_sees_new_routes_and_new_servers(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "rewrite": "/1"})
    t.client_sends(get("/app"))
    t.upstream_sends(ok())

    t.door.routes = table({**TO_O, "rewrite": "/2"})
    t.client_sends(get("/app"))
    t.upstream_sends(ok())
    t.current, _ = successor(t.current, t.witness, "preserve_host: true")
    t.client_sends(get("/app"))

    assert re.findall(rb"GET (\S+).*?\r\nHost: (\S+)", t.upstream.transport.take(), re.DOTALL) == [
        (b"/1", b"10.0.0.9"),
        (b"/2", b"10.0.0.9"),
        (b"/2", b"a"),
    ]


def test_fields_are_set_and_left_out_on_both_ways(begin: Begin) -> None:
    t = routed(
        begin,
        {
            **TO_O,
            "request_headers": {
                "set": {"Host": "up.$host", "X-Real-IP": "$remote_addr", "Authorization": "ours"},
                "remove": ["X-Debug", "Cookie"],
            },
            "response_headers": {"set": {"X-Path": "$uri", "X-B": "b"}, "remove": ["server"]},
        },
    )

    t.client_sends(get("/app", b"X-Debug: 1", b"x-real-ip: 1.1.1.1", b"Cookie: a", b"A: 1"))
    t.expect_upstream(
        b"GET /app HTTP/1.1\r\nA: 1\r\nHost: up.a\r\nAuthorization: ours\r\n"
        b"X-Real-IP: 10.0.0.7\r\n\r\n"
    )
    t.upstream_sends(ok(b"ok", b"Server: x", b"X-B: c", b"X-C: c"))
    t.expect_client(
        b"HTTP/1.1 200 OK\r\nX-C: c\r\nX-B: b\r\nContent-Length: 2\r\nX-Path: /app\r\n\r\nok"
    )


def test_host_that_would_be_empty_is_the_usual_one(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "request_headers": {"set": {"Host": "$arg_host"}}})

    t.client_sends(get("/app"))

    t.expect_upstream(b"GET /app HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_what_a_server_is_given_gives_way_to_what_a_route_sets(begin: Begin) -> None:
    t = routed(
        begin,
        {**TO_O, "request_headers": {"set": {"X-Env": "route"}}},
        server="inject_headers: {X-Env: registry, X-More: more}",
    )

    t.client_sends(get("/app"))

    t.expect_upstream(
        b"GET /app HTTP/1.1\r\nHost: 10.0.0.9\r\nx-more: more\r\nX-Env: route\r\n\r\n"
    )


def test_our_own_fields_may_be_the_operators(begin: Begin) -> None:
    own = {"X-Forwarded-For": "$remote_addr, us", "X-Request-Id": "r-$request_id"}
    t = routed(
        begin,
        {
            **TO_O,
            "request_headers": {"set": own, "remove": ["traceparent"]},
            "response_headers": {"remove": ["X-Chora-Trace-Id"]},
        },
    )

    sent = []
    for _ in range(2):
        t.client_sends(get("/app"))
        sent.append(t.upstream.transport.take())
        t.upstream_sends(ok())
        answered = t.client.transport.take()
        assert (answered.count(b"X-Request-Id"), answered.count(b"X-Chora-Trace-Id")) == (1, 0)

    for head in sent:
        assert re.findall(rb"X-Forwarded-For: (.*)\r", head) == [b"10.0.0.7, us"]
        assert len(re.findall(rb"(?i)x-request-id: r-\w+\r", head)) == 1
        assert head.count(b"X-Request-Id") == 1
        assert b"traceparent" not in head
        assert b"X-Chora-Trace-Id" in head
    assert sent[0] != sent[1]


def test_limits_of_a_route_stand_over_the_servers(begin: Begin) -> None:
    t = routed(
        begin,
        {**TO_O, "timeout": "3s", "max_body": 3, "idle_timeout": "1s"},
        server="timeout: 1s\nmax_body: 100",
    )

    t.client_sends(post("/app", body=b"1234"))
    t.client.expect_problem(413, "body_too_large")
    other = t.another_client()
    other.sends(get("/app"))
    t.passes(2.0)
    assert other.transport.take() == b""
    t.passes(1.5)
    other.expect_problem(504, "upstream_timeout")


def test_silence_of_a_route_has_its_own_limit(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "idle_timeout": "1s"})

    t.client_sends(get("/app"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    t.passes(0.9)
    assert t.client.fate == "open"
    t.passes(0.3)

    assert t.client.fate != "open"


def test_events_on_a_route_may_be_silent_for_long(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "idle_timeout": "1s"})

    t.client_sends(get("/app"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    t.passes(100.0)

    assert t.client.fate == "open"


def test_silence_of_a_server_is_its_routes(begin: Begin) -> None:
    t = routed(begin, TO_O, server="idle_timeout: 1s")

    t.client_sends(get("/app"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
    t.passes(1.2)

    assert t.client.fate != "open"


def test_request_on_a_route_may_become_a_tunnel(begin: Begin) -> None:
    t = routed(
        begin,
        {
            **TO_O,
            "rewrite": "/chat",
            "request_headers": {"set": {"X-Env": "prod"}},
            "response_headers": {"set": {"X-A": "a"}, "remove": ["X-Request-Id"]},
            "idle_timeout": "1s",
        },
    )

    t.client_sends(asks("/app"))
    upgraded = t.upstream.transport.take()
    assert upgraded.startswith(b"GET /chat HTTP/1.1\r\n")
    assert b"\r\nUpgrade: websocket\r\n" in upgraded
    assert b"\r\nX-Env: prod\r\n" in upgraded
    t.upstream_sends(SWITCHED)
    answered = t.client.transport.take()
    assert answered.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nX-A: a\r\n" in answered
    t.upstream_sends(frame(b"hello"))

    t.expect_client(frame(b"hello"))


# --- what is refused ---


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("/app/../x", 400, "bad_request"),
        ("/nobody", 503, "no_healthy_endpoint"),
        ("/up../x", 400, "bad_request"),
    ],
)
def test_refused_request_reaches_no_upstream_and_the_next_is_served(
    begin: Begin, target: str, status: int, code: str
) -> None:
    to_files = {"match": {"prefix": "/up"}, "to": "o", "rewrite": "/files/"}
    t = routed(begin, TO_O, to_files, {"match": {"exact": "/nobody"}, "to": "nobody"})

    t.client_sends(get(target))
    t.client.expect_problem(status, code)
    t.client_sends(get("/app"))

    t.expect_upstream(b"GET /app HTTP/1.1\r\nHost: 10.0.0.9\r\n\r\n")


def test_server_that_is_missing_is_named(begin: Begin) -> None:
    t = routed(begin, {"to": "nobody"})

    t.client_sends(get("/a"))

    assert b"leads to nobody" in t.client.transport.take()
    assert (t.records[0].route, t.records[0].server) == ("/", "nobody")


def test_no_way_round_a_rule(begin: Begin) -> None:
    t = routed(begin, TO_O, server="authorized_teams: [ops]")

    t.client_sends(get("/app"))

    t.client.expect_problem(403, "forbidden")
    assert t.upstreams == []


def test_tool_of_another_server_at_the_same_address_is_out_of_reach(begin: Begin) -> None:
    t = begin()
    others = "- {namespace: p, name: p, endpoints: ['http://10.0.0.9'], tools: [{name: run}]}\n"
    t.current, _ = successor(t.current, t.witness, "", others)
    t.door.routes = table({"to": "o"})

    t.client_sends(post("/%74ools/run"))
    t.client.expect_problem(404, "tool_not_found")
    t.client_sends(post("/%74ools/call"))  # its own: who may go here may call it

    t.expect_upstream(b"POST /tools/call HTTP/1.1\r\nHost: 10.0.0.9\r\nContent-Length: 2\r\n\r\n{}")
