"""Whoever is full holds back the other side, and nobody else."""

import pytest

from proxy.data_plane.roles import Rules
from tests.support.messages import get, post
from tests.support.transcript import Begin, Transcript

LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def answering(t: Transcript) -> Transcript:
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(LONG)
    return t


def asking(t: Transcript) -> Transcript:
    t.client_sends(post("/tools/o.call", body=b"x" * 900)[:-800])
    return t


def test_upstream_is_not_read_while_its_caller_is_full(begin: Begin) -> None:
    t = answering(begin())

    t.client.is_full()
    full = t.upstream.is_read
    t.client.takes_again()

    assert (full, t.upstream.is_read) == (False, True)


def test_answer_goes_on_when_the_caller_takes_again(begin: Begin) -> None:
    t = answering(begin())
    t.client.transport.take()
    t.client.is_full()
    t.upstream_sends(b"more")
    t.expect_client(b"")

    t.client.takes_again()

    t.expect_client(b"more")


def test_caller_is_not_read_while_its_upstream_is_full(begin: Begin) -> None:
    t = asking(begin())

    t.upstream.is_full()
    full = t.client.is_read
    t.upstream.takes_again()

    assert (full, t.client.is_read) == (False, True)


def test_body_goes_on_when_the_upstream_takes_again(begin: Begin) -> None:
    t = asking(begin())
    t.upstream.transport.take()
    t.upstream.is_full()
    t.client_sends(b"more")
    t.expect_upstream(b"")

    t.upstream.takes_again()

    t.expect_upstream(b"more")


def test_one_full_caller_holds_back_no_other(begin: Begin) -> None:
    t = answering(begin())
    other = t.another_client()
    t.client.is_full()

    other.sends(get("/servers/o/x"))

    assert [each.is_read for each in t.upstreams] == [False, True]


def test_body_that_nobody_takes_yet_is_bounded(begin: Begin) -> None:
    t = begin(rules=Rules(read_buffer_bytes=100))
    t.connects_at_once = False

    t.client_sends(post("/tools/o.call", body=b"x" * 900)[:-700])
    waiting = t.client.is_read
    t.connects()

    assert (waiting, t.client.is_read) == (False, True)


def test_what_comes_behind_a_request_is_bounded(begin: Begin) -> None:
    t = begin(rules=Rules(read_buffer_bytes=100))
    t.client_sends(get("/servers/o/x"))

    t.client_sends(get("/servers/o/y") * 9)
    waiting = t.client.is_read
    for _ in range(7):
        t.upstream_sends(OK)

    assert (waiting, t.client.is_read) == (False, True)


def test_connection_pauses_at_the_water_marks_of_the_settings(begin: Begin) -> None:
    t = begin(rules=Rules(high_water_bytes=300, low_water_bytes=70))

    assert t.client.transport.get_write_buffer_limits() == (70, 300)


def test_caller_that_leaves_while_it_is_full_is_forgotten(begin: Begin) -> None:
    t = answering(begin())
    t.client.is_full()

    t.client_leaves()

    assert (t.upstream.fate, t.door.connections) == ("aborted", 0)


def test_upstream_that_closes_while_it_is_full_lets_the_caller_be_read(begin: Begin) -> None:
    t = asking(begin())
    t.upstream.is_full()

    t.upstream.resets()

    t.client.expect_problem(502, "upstream_closed")
    assert t.client.is_read  # or its end would not be seen


def test_upstream_that_was_held_back_to_the_end_is_read_in_its_next_call(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    t = answering(begin())
    transport = t.client.transport
    write = transport.write

    def write_and_be_full(octets: bytes) -> None:
        write(octets)
        transport.fill()

    monkeypatch.setattr(transport, "write", write_and_be_full)
    t.upstream_sends(b"x" * 900)
    monkeypatch.setattr(transport, "write", write)

    t.client.takes_again()
    t.client_sends(get("/servers/o/x"))

    assert (len(t.upstreams), t.upstream.is_read) == (1, True)


def test_upstream_that_takes_again_while_it_is_held_back_is_read_in_its_next_call(
    begin: Begin,
) -> None:
    t = answering(begin())
    upstream = t.upstream.transport
    upstream.fill()

    def ends_when_everybody_is_full() -> None:
        upstream.receive(b"x" * 900)
        t.client.transport.fill()
        upstream.drain()

    t.does(ends_when_everybody_is_full)
    t.client.takes_again()
    t.client_sends(get("/servers/o/x"))

    assert (len(t.upstreams), t.upstream.is_read) == (1, True)


def test_answer_that_nobody_takes_yet_is_bounded(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    upstream, is_read = t.upstream.transport, []

    def answers_before_anyone_looks() -> None:
        upstream.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 70001\r\n\r\n" + b"x" * 70_000)
        is_read.append(upstream.is_reading())

    t.does(answers_before_anyone_looks)
    is_read.append(upstream.is_reading())
    t.upstream_sends(b"y")

    assert (is_read, t.client.transport.take()[-2:]) == ([False, True], b"xy")


def test_requests_of_a_caller_that_takes_no_answers_wait(begin: Begin) -> None:
    t = begin()
    t.client.is_full()
    t.client_sends(post("/tools/o.call") * 3)
    waiting = len(t.upstreams)

    t.client.takes_again()

    assert (waiting, len(t.upstreams)) == (0, 1)


def test_caller_that_takes_no_answers_for_too_long_is_cut(begin: Begin) -> None:
    t = begin()
    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(OK)
    t.client.is_full()
    t.client_sends(post("/tools/o.call"))

    t.passes(Rules().idle_s + 1)

    assert t.client.fate == "aborted"
