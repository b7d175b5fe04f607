"""How long a call on a route may take: from the last piece of its request on."""

from tests.support.messages import message, ok
from tests.support.routing import routed
from tests.support.transcript import Begin

SLOW = {"match": {"prefix": "/"}, "to": "o", "timeout": "2s"}
BEGUN = message(b"POST /x HTTP/1.1", b"Host: a", b"Content-Length: 6")


def test_upload_may_take_longer_than_the_route_gives_an_answer(begin: Begin) -> None:
    t = routed(begin, SLOW)
    t.client_sends(BEGUN)

    for piece in (b"aa", b"bb", b"cc"):
        t.passes(1.5)
        t.client_sends(piece)
    t.passes(1.5)
    t.upstream_sends(ok())

    t.expect_client(ok())


def test_answer_to_a_whole_upload_is_due_in_the_routes_time(begin: Begin) -> None:
    t = routed(begin, SLOW)
    t.client_sends(BEGUN)
    t.passes(1.5)
    t.client_sends(b"aabbcc")

    t.passes(1.9)
    t.expect_client(b"")
    t.passes(0.2)

    t.client.expect_problem(504, "upstream_timeout")


def test_upload_that_stands_still_is_refused(begin: Begin) -> None:
    t = routed(begin, SLOW)
    t.client_sends(BEGUN)
    t.passes(1.5)
    t.client_sends(b"aa")

    t.passes(2.1)

    t.client.expect_problem(408, "request_timeout")


def test_caller_who_says_how_long_is_taken_at_their_word(begin: Begin) -> None:
    t = routed(begin, SLOW)
    t.client_sends(
        message(b"POST /x HTTP/1.1", b"Host: a", b"Content-Length: 6", b"Request-Timeout: 1")
    )

    t.passes(0.8)
    t.client_sends(b"aa")
    t.passes(0.4)

    t.client.expect_problem(408, "request_timeout")
