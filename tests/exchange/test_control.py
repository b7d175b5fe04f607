"""Requests that are for the control plane: who gets them, and what it is told."""

from tests.support.messages import get, message, post
from tests.support.transcript import Begin, FakeHandler, Transcript

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def handlers(t: Transcript) -> list[FakeHandler]:
    return [each for session in t.control.sessions for each in session.handlers]


def ends(t: Transcript, handler: FakeHandler) -> None:
    t.does(lambda: handler.done.set_result(None))


def test_what_is_no_call_is_for_the_control_plane(begin: Begin) -> None:
    t = begin()

    t.client_sends(get("/health"))

    assert [each.head for each in handlers(t)] == ["<RequestHead GET /health>"]


def test_one_session_serves_a_connection(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/health") + get("/tools"))

    ends(t, handlers(t)[0])

    assert (len(t.control.sessions), len(handlers(t))) == (1, 2)


def test_calls_and_control_requests_are_answered_in_order(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/health") + post("/tools/o.call") + get("/tools"))
    waiting = len(t.upstreams)

    ends(t, handlers(t)[0])
    t.upstream_sends(OK)

    t.expect_client(OK)
    assert (waiting, [each.head for each in handlers(t)]) == (
        0,
        ["<RequestHead GET /health>", "<RequestHead GET /tools>"],
    )


def test_session_ends_with_its_connection(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/health"))

    t.client_leaves()

    (session,) = t.control.sessions
    assert (session.closed, handlers(t)[0].done.cancelled()) == (True, True)


def test_pieces_and_pressure_are_passed_on(begin: Begin) -> None:
    t = begin()
    t.client_sends(message(b"POST /x HTTP/1.1", b"Host: a", b"Content-Length: 4", body=b"ab"))
    (session,) = t.control.sessions
    early = session.connection.take_body()

    t.client_sends(b"cd")
    t.client.is_full()
    t.client.takes_again()

    assert (early, handlers(t)[0].told) == (b"ab", [b"cd", "pause", "resume"])
    ends(t, handlers(t)[0])


def test_preflight_without_rules_is_for_the_control_plane(begin: Begin) -> None:
    t = begin()

    t.client_sends(message(b"OPTIONS /health HTTP/1.1", b"Host: a"))

    assert len(handlers(t)) == 1


def test_session_sees_its_connection(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/health"))
    connection = t.control.sessions[0].connection

    t.client.is_full()
    t.does(lambda: connection.send(b"12345"))

    assert (connection.extra_info("peername"), connection.unsent_bytes, repr(connection)) == (
        ("10.0.0.7", 4711),
        5,
        "<Downstream 10.0.0.7 busy>",
    )


def test_connection_between_two_requests_is_idle(begin: Begin) -> None:
    t = begin()
    t.client_sends(get("/health"))
    connection = t.control.sessions[0].connection

    ends(t, handlers(t)[0])

    assert repr(connection) == "<Downstream 10.0.0.7 idle>"
