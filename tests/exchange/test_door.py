"""Who is let in, who is refused without an upstream, and how the door is shut."""

import asyncio
import ipaddress

import pytest

from proxy.data_plane.door import Entry
from proxy.data_plane.roles import Entryway
from proxy.policy.browser import CorsRules
from proxy.policy.health import Verdict
from tests.support.messages import get, message, post
from tests.support.transcript import Begin, Transcript

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BROKEN = b"GET / HTTP/1.1\r\n\r\n"  # no Host
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
CORS = CorsRules(frozenset({b"https://a.example"}), (), credentials=False, max_age_s=60)

REFUSED = {
    "get-on-a-tool": (get("/tools/o.call"), 405, "method_not_allowed"),
    "unknown-tool": (post("/tools/o.nothing"), 404, "tool_not_found"),
    "no-dot": (post("/tools/call"), 404, "tool_not_found"),
    "unknown-namespace": (post("/tools/x.call"), 404, "namespace_not_found"),
    "unknown-server": (get("/servers/x/a"), 404, "namespace_not_found"),
    "way-out": (get("/servers/o/a/../b"), 404, "tool_not_found"),
    "tools-own-path": (post("/servers/o/tools/call"), 404, "tool_not_found"),
    "loop": (post("/tools/o.call", b"Via: 1.1 x, 1.1 toolproxy-1"), 508, "loop_detected"),
    "foreign-page": (
        post("/tools/o.call", b"Origin: https://evil.example"),
        403,
        "origin_not_allowed",
    ),
}


@pytest.mark.parametrize(("octets", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_call_reaches_no_upstream_and_the_next_is_served(
    begin: Begin, octets: bytes, status: int, code: str
) -> None:
    t = begin()

    t.client_sends(octets)
    t.client.expect_problem(status, code)
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(OK)

    t.expect_client(OK)
    assert len(t.upstreams) == 1


def test_request_that_breaks_http_is_answered_and_nothing_behind_it_read(begin: Begin) -> None:
    t = begin()

    t.client_sends(BROKEN + post("/tools/o.call"))

    t.client.expect_problem(400, "bad_request")
    assert (t.client.fate, t.upstreams) == ("half-closed", [])


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE"])
def test_method_that_is_never_served_reaches_no_upstream(begin: Begin, method: bytes) -> None:
    t = begin()

    t.client_sends(message(method + b" /servers/o/x HTTP/1.1", b"Host: a"))

    assert t.upstreams == []
    t.client.expect_problem(405, "method_not_allowed")


def test_request_behind_a_good_one_may_break_http(begin: Begin) -> None:
    t = begin()

    t.client_sends(get("/servers/o/x") + BROKEN)
    t.upstream_sends(OK)

    assert b"\r\n\r\nokHTTP/1.1 400 Bad Request\r\n" in t.client.transport.take()


def test_host_that_is_not_ours_is_refused(begin: Begin) -> None:
    t = begin(entry=Entry(hosts=frozenset({b"tools.local"})))

    t.client_sends(post("/tools/o.call"))

    t.client.expect_problem(403, "forbidden")


@pytest.mark.parametrize("probe", ["/livez", "/readyz"])
def test_probe_is_let_in_whatever_host_it_names(begin: Begin, probe: str) -> None:
    t = begin(entry=Entry(hosts=frozenset({b"tools.local"})))

    t.client_sends(get(probe))

    assert len(t.control.sessions) == 1


def test_one_caller_too_many_is_refused(begin: Begin) -> None:
    t = begin(entry=Entry(connections=1))

    second = t.another_client()

    second.expect_problem(503, "too_many_connections")
    assert (second.fate, t.client.fate) == ("half-closed", "open")


def test_endpoint_that_is_down_is_not_asked(begin: Begin) -> None:
    t = begin()
    t.cluster.probed(t.endpoint, Verdict.UNREACHABLE, "gone", 1.0)

    t.client_sends(post("/tools/o.call"))

    t.client.expect_problem(503, "no_healthy_endpoint")
    assert t.upstreams == []


def test_tool_without_its_credentials_is_not_asked(begin: Begin) -> None:
    t = begin("upstream_dependencies: {credentials_required: [NOT_SET]}")

    t.client_sends(post("/tools/o.call"))

    t.client.expect_problem(424, "missing_credentials")
    assert t.upstreams == []


def test_bug_of_ours_is_500_without_a_traceback(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    t = begin()
    t.current = None  # type: ignore[assignment]  # what a bug may leave behind

    t.client_sends(post("/tools/o.call"))

    t.client.expect_problem(500, "internal")
    assert "A bug of ours" in caplog.text


# --- OPTIONS and pages ---


def test_options_on_a_tool_says_what_is_allowed(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS /tools/o.call HTTP/1.1", b"Host: a"))

    t.expect_client(b"HTTP/1.1 204 No Content\r\nAllow: OPTIONS, POST\r\n\r\n")


def test_options_with_no_hop_left_is_answered_here(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS /servers/o/x HTTP/1.1", b"Host: a", b"Max-Forwards: 0"))

    assert t.client.transport.take().startswith(b"HTTP/1.1 204 No Content\r\nAllow: DELETE, GET")


def test_other_options_go_on(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS /servers/o/x HTTP/1.1", b"Host: a", b"Max-Forwards: 2"))

    t.expect_upstream(b"OPTIONS /x HTTP/1.1\r\nMax-Forwards: 1\r\nHost: 10.0.0.9\r\n\r\n")


def test_options_of_everything_is_answered_here(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS * HTTP/1.1", b"Host: a"))

    assert b"Allow: DELETE, GET" in t.client.transport.take()


def test_own_answer_to_half_a_request_ends_the_connection(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS * HTTP/1.1", b"Host: a", b"Content-Length: 5"))

    assert b"Connection: close" in t.client.transport.take()
    assert t.client.fate == "half-closed"


def test_preflight_is_answered_here(begin: Begin) -> None:
    t = begin(entry=Entry(origins=CORS))

    t.client_sends(
        message(
            b"OPTIONS /servers/o/x HTTP/1.1",
            b"Host: a",
            b"Origin: https://a.example",
            b"Access-Control-Request-Method: POST",
        )
    )

    assert b"Access-Control-Allow-Methods: POST\r\n" in t.client.transport.take()
    assert t.upstreams == []


def test_page_that_may_call_may_read(begin: Begin) -> None:
    t = begin(entry=Entry(origins=CORS))
    t.plane.cors = CORS

    t.client_sends(post("/tools/o.call", b"Origin: https://a.example"))
    t.upstream_sends(OK)

    written = t.client.transport.take()
    assert b"Access-Control-Allow-Origin: https://a.example\r\n" in written


def test_page_of_our_own_gets_the_answer_as_it_is(begin: Begin) -> None:
    t = begin(entry=Entry(origins=CORS))
    t.plane.cors = CORS

    t.client_sends(post("/tools/o.call", b"Origin: http://a"))
    t.upstream_sends(OK)

    t.expect_client(OK)


# --- what is known of a caller ---


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        pytest.param(("10.1.2.3", 1), (b"10.1.2.3", True), id="trusted"),
        pytest.param(("::ffff:10.1.2.3", 1, 0, 0), (b"::ffff:10.1.2.3", True), id="mapped"),
        pytest.param(("11.1.2.3", 1), (b"11.1.2.3", False), id="elsewhere"),
        pytest.param(("::1", 1, 0, 0), (b"::1", False), id="other-family"),
        pytest.param(("fe80::1%eth0", 1, 0, 2), (b"fe80::1%eth0", False), id="scoped"),
        pytest.param("", (b"unix:", False), id="unix-socket"),
    ],
)
def test_proxy_in_a_trusted_network_is_believed(
    begin: Begin, address: object, caller: tuple[bytes, bool]
) -> None:
    t = begin(entry=Entry(trusted=(ipaddress.ip_network("10.0.0.0/8"),)))

    known = t.door.caller(address, Entryway(), None)

    assert (known.address, known.trusted) == caller


# --- the end ---


def draining(t: Transcript) -> "asyncio.Task[bool]":
    return t.starts(t.door.drain(25))


def test_drain_of_an_empty_house_is_over(begin: Begin) -> None:
    t = begin()
    t.client_leaves()

    assert draining(t).result()


def test_drain_closes_what_is_idle_and_lets_calls_finish(begin: Begin) -> None:
    t = begin()
    idle = t.another_client()
    t.client_sends(post("/tools/o.call"))

    drained = draining(t)
    t.passes(1.1)
    states = (idle.fate, t.client.fate, drained.done())
    t.upstream_sends(OK)

    t.expect_client(CLOSING)
    assert (states, t.client.fate, drained.result()) == (
        ("closed", "open", False),
        "closed",
        True,
    )


def test_connection_used_lately_may_ask_once_more_while_draining(begin: Begin) -> None:
    t = begin()
    t.passes(60)
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(OK)
    t.expect_client(OK)

    drained = draining(t)
    t.passes(0.5)
    t.client_sends(get("/servers/o/y"))
    t.upstream_sends(OK)

    t.expect_client(CLOSING)
    assert (t.client.fate, drained.result()) == ("closed", True)


def test_drain_ends_when_its_time_is_up(begin: Begin) -> None:
    t = begin("timeout: 500s")
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")

    drained = draining(t)
    t.passes(25.1)

    assert (drained.result(), t.client.fate) == (False, "open")


def test_stop_cuts_what_is_left(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))

    t.does(t.door.stop)

    assert (t.client.fate, t.upstream.fate, t.door.connections) == ("aborted", "aborted", 0)
