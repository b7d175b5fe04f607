"""Who answers where routes are, played by hand: what is built in, a route itself, or nobody."""

from proxy.data_plane.door import Entry
from proxy.data_plane.roles import Entryway
from proxy.policy.browser import CorsRules
from tests.support.messages import get, message, ok, post
from tests.support.routing import routed, table
from tests.support.transcript import Begin, FakeControlPlane

CORS = CorsRules(frozenset({b"https://a.example"}), (), credentials=False, max_age_s=60)
TO_O = {"match": {"prefix": "/app"}, "to": "o"}
FOREIGN = b"Origin: https://evil.example"


# --- what comes before routes, and after ---


def test_built_in_paths_come_first(begin: Begin) -> None:
    t = routed(begin, {"respond": {"body": "route"}})

    t.client_sends(post("/tools/o.nothing"))
    t.client.expect_problem(404, "tool_not_found")
    t.client_sends(get("/servers/x/y"))
    t.client.expect_problem(404, "namespace_not_found")
    t.client_sends(message(b"OPTIONS * HTTP/1.1", b"Host: a"))
    assert b"204 No Content" in t.client.transport.take()
    t.client_sends(get("/health"))

    assert len(t.control.sessions) == 1


def test_what_no_route_takes_is_the_control_planes(begin: Begin) -> None:
    t = routed(begin, TO_O)

    t.client_sends(get("/else"))

    assert len(t.control.sessions) == 1


def test_listener_of_routes_has_nothing_built_in(begin: Begin) -> None:
    t = routed(begin, {**TO_O, "match": {"prefix": "/tools/"}})
    client = t.another_client(entryway=Entryway(serves="routes"))

    client.sends(post("/tools/o.call"))
    t.expect_upstream(
        b"POST /tools/o.call HTTP/1.1\r\nHost: 10.0.0.9\r\nContent-Length: 2\r\n\r\n{}"
    )
    t.upstream_sends(ok())
    client.expect(ok())
    for request in (get("/health"), message(b"OPTIONS * HTTP/1.1", b"Host: a")):
        client.sends(request)
        client.expect_problem(404, "tool_not_found")
    assert t.control.sessions == []


def test_listener_of_routes_without_routes_has_nothing(begin: Begin) -> None:
    t = begin()
    client = t.another_client(entryway=Entryway(serves="routes"))

    client.sends(get("/servers/o/x"))

    client.expect_problem(404, "tool_not_found")


def test_route_is_chosen_by_the_listener(begin: Begin) -> None:
    t = routed(
        begin,
        {"match": {"port": 81}, "respond": {"body": "$server_port"}},
        {"respond": {"body": "other"}},
    )
    client = t.another_client(entryway=Entryway(port=81))

    client.sends(get("/"))
    t.client_sends(get("/"))

    assert client.transport.take().endswith(b"\r\n\r\n81")
    assert t.client.transport.take().endswith(b"\r\n\r\nother")


def test_page_elsewhere_may_call_a_route_and_nothing_built_in(begin: Begin) -> None:
    t = begin(entry=Entry(origins=CORS))
    t.door.routes = table({"to": "o"})
    t.plane.cors = CORS

    t.client_sends(get("/app", FOREIGN))
    t.upstream_sends(ok(b"ok", b"Access-Control-Allow-Origin: https://evil.example"))
    assert b"Origin: https://evil.example\r\n" in t.client.transport.take()
    preflight = (FOREIGN, b"Access-Control-Request-Method: PUT")
    t.client_sends(message(b"OPTIONS /app HTTP/1.1", b"Host: a", *preflight))
    assert b"OPTIONS /app" in t.upstream.transport.take()
    t.upstream_sends(ok())
    t.client.transport.take()
    t.client_sends(get("/health", FOREIGN))

    t.client.expect_problem(403, "origin_not_allowed")


def test_page_elsewhere_gets_to_no_operator_by_a_route(begin: Begin) -> None:
    t = routed(begin, {"to": "o"})
    t.door.operators = FakeControlPlane()
    client = t.another_client(entryway=Entryway(serves="admin"))

    client.sends(get("/metrics", FOREIGN))
    client.expect_problem(403, "origin_not_allowed")
    client.sends(get("/metrics"))

    assert (len(t.door.operators.sessions), t.upstreams) == (1, [])


def test_options_with_no_hop_left_is_answered_here(begin: Begin) -> None:
    t = routed(begin, {"to": "o"})

    t.client_sends(message(b"OPTIONS /app HTTP/1.1", b"Host: a", b"Max-Forwards: 0"))

    assert t.client.transport.take().startswith(b"HTTP/1.1 204 No Content\r\nAllow: DELETE, GET")
    assert t.upstreams == []


def test_host_that_is_not_ours_is_refused_on_routes_too(begin: Begin) -> None:
    t = begin(entry=Entry(hosts=frozenset({b"tools.local"})))
    t.door.routes = table({"to": "o"})

    t.client_sends(get("/app"))

    t.client.expect_problem(403, "forbidden")


# --- answers of our own ---


def test_route_answers_itself(begin: Begin) -> None:
    respond = {"status": 418, "body": "I am $host", "headers": {"X-A": "a", "X-None": "$args"}}
    t = routed(begin, {"name": "pot", "respond": respond})

    t.client_sends(get("/pot"))
    t.expect_client(
        b"HTTP/1.1 418 I'm a Teapot\r\nContent-Type: text/plain\r\nX-A: a\r\n"
        b"Content-Length: 6\r\n\r\nI am a"
    )
    t.client_sends(post("/pot"))
    assert t.client.transport.take().endswith(b"\r\n\r\nI am a")

    assert [(each.route, each.status) for each in t.refusals] == [("pot", 418)] * 2
    assert (t.refusals[0].response_bytes, t.upstreams, t.client.fate) == (6, [], "open")


def test_answer_to_head_has_no_body(begin: Begin) -> None:
    t = routed(begin, {"respond": {"body": "okay"}})

    t.client_sends(message(b"HEAD / HTTP/1.1", b"Host: a"))

    t.expect_client(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n")
    assert t.refusals[0].response_bytes == 0


def test_answer_without_content_has_no_length(begin: Begin) -> None:
    t = routed(begin, {"respond": {"status": 204}})

    t.client_sends(get("/"))

    t.expect_client(b"HTTP/1.1 204 No Content\r\n\r\n")


def test_caller_is_sent_elsewhere(begin: Begin) -> None:
    t = routed(
        begin,
        {
            "redirect": {"to": "https://new.example$request_uri", "status": 308},
            "response_headers": {"set": {"X-A": "a"}, "remove": ["X-Request-Id"]},
        },
    )

    t.client_sends(get("/a?b=%0d%0aX:1"))

    answered = t.client.transport.take()
    assert answered.startswith(
        b"HTTP/1.1 308 Permanent Redirect\r\n"
        b"Location: https://new.example/a?b=%0d%0aX:1\r\nX-A: a\r\nContent-Length: 0\r\nDate: "
    )
    assert (b"X-Request-Id" in answered, b"X-Chora-Trace-Id" in answered) == (False, True)


def test_own_answer_to_half_a_request_ends_the_connection(begin: Begin) -> None:
    t = routed(begin, {"respond": {}})

    t.client_sends(post("/a", body=b"12345")[:-2])

    assert b"Connection: close" in t.client.transport.take()
    assert t.client.fate == "half-closed"


def test_own_answer_to_http_1_0_keeps_what_is_to_be_kept(begin: Begin) -> None:
    t = routed(begin, {"respond": {}})

    t.client_sends(message(b"GET / HTTP/1.0", b"Connection: keep-alive"))

    assert b"\r\nConnection: keep-alive\r\n" in t.client.transport.take()
