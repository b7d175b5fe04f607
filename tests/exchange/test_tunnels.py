"""A call that becomes a WebSocket: two connections are one, to the end of both."""

import re

import pytest

from tests.support.messages import get, message, ok
from tests.support.transcript import Begin, Transcript
from tests.support.websockets import SWITCHED, asks, close, frame

HELLO, WORLD = frame(b"hello", masked=True), frame(b"world")
LARGE = frame(b"x" * 300)
ASKED = re.compile(
    rb"GET /chat HTTP/1.1\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: [^\r]+\r\n"
    rb"Connection: Upgrade\r\nUpgrade: websocket\r\nHost: [^\r]+\r\n\r\n"
)
ANSWERED = re.compile(
    rb"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: [^\r]+\r\n"
    rb"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
GOING_AWAY = close(1001)


def asked(t: Transcript) -> Transcript:
    t.client_sends(asks("/servers/o/chat"))
    return t


def joined(t: Transcript) -> Transcript:
    """With nothing left to look at of the handshake."""
    asked(t).upstream_sends(SWITCHED)
    t.client.transport.take()
    t.upstream.transport.take()
    return t


def fates(t: Transcript) -> tuple[str, str]:
    return t.client.fate, t.upstream.fate


def drains(t: Transcript) -> None:
    t.door.draining = True
    t.passes(0.1)


@pytest.fixture
def t(begin: Begin) -> Transcript:
    return begin()


# --- the handshake ---


def test_upgrade_is_asked_of_the_upstream_and_answered_to_the_caller(t: Transcript) -> None:
    asked(t).expect_upstream(ASKED)

    t.upstream_sends(SWITCHED)

    t.expect_client(ANSWERED)


def test_bytes_go_both_ways(t: Transcript) -> None:
    joined(t)

    t.client_sends(HELLO)
    t.upstream_sends(WORLD)

    t.expect_upstream(HELLO)
    t.expect_client(WORLD)


def test_what_comes_with_the_answer_is_not_lost(t: Transcript) -> None:
    asked(t).upstream_sends(SWITCHED + WORLD[:3])

    t.upstream_sends(WORLD[3:])

    assert t.client.transport.take().endswith(b"\r\n\r\n" + WORLD)


def test_what_comes_with_the_request_is_not_lost(t: Transcript) -> None:
    t.client_sends(asks("/servers/o/chat") + HELLO)
    t.expect_upstream(ASKED)

    t.upstream_sends(SWITCHED)

    t.expect_upstream(HELLO)


def test_other_answer_is_an_ordinary_one(t: Transcript) -> None:
    asked(t).upstream_sends(ok(b"no"))

    t.expect_client(re.compile(rb"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"))
    t.client_sends(get("/servers/o/x"))
    t.upstream_sends(ok())
    assert (len(t.upstreams), [each.status for each in t.records]) == (1, [200, 200])


@pytest.mark.parametrize(
    "fields",
    [(b"Upgrade: h2c", b"Connection: Upgrade"), (b"Connection: Upgrade",), ()],
    ids=["another", "no-protocol", "nothing"],
)
def test_switch_to_anything_else_is_a_fault(t: Transcript, fields: tuple[bytes, ...]) -> None:
    asked(t)

    t.upstream_sends(message(b"HTTP/1.1 101 Switching Protocols", *fields))

    t.client.expect_problem(502, "upstream_protocol")


def test_upstream_that_closes_as_it_switches_breaks_the_caller_off(t: Transcript) -> None:
    asked(t)

    def switches_and_goes() -> None:
        t.upstream.transport.receive(SWITCHED)
        t.upstream.transport.lose(None)

    t.does(switches_and_goes)

    assert (t.client.fate, t.records[0].code) == ("reset", "upstream_closed")


# --- what it takes ---


def test_tunnel_is_counted_while_it_lasts(t: Transcript) -> None:
    joined(t)
    during = (t.plane.tunnels, t.cluster.gate.busy, repr(t.pool))

    t.client_leaves()
    t.upstream_closes()

    after = (t.plane.tunnels, t.cluster.gate.busy, repr(t.pool))
    assert (during, after) == (
        (1, 1, "<Pool 0 idle, 1 busy>"),
        (0, 0, "<Pool 0 idle, 0 busy>"),
    )


def test_record_is_of_the_whole_tunnel(t: Transcript) -> None:
    joined(t)
    t.client_sends(HELLO)
    t.upstream_sends(WORLD * 2)
    early = len(t.records)

    t.client_leaves()
    t.upstream_closes()

    record = t.records[0]
    facts = (record.status, record.request_bytes, record.response_bytes, record.outcome)
    assert (early, facts) == (0, (101, len(HELLO), 2 * len(WORLD), "success"))


def test_full_side_holds_back_the_other(t: Transcript) -> None:
    joined(t)

    t.client.is_full()
    t.upstream.is_full()
    full = (t.client.is_read, t.upstream.is_read)
    t.client.takes_again()
    t.upstream.takes_again()

    assert (full, (t.client.is_read, t.upstream.is_read)) == ((False, False), (True, True))


def test_side_that_ended_is_not_read_again(t: Transcript) -> None:
    joined(t)
    t.client.is_full()
    t.upstream_closes()

    t.client.takes_again()

    assert (t.upstream.is_read, t.client.fate) == (False, "half-closed")


# --- the end ---


def test_end_of_one_way_leaves_the_other_open(t: Transcript) -> None:
    joined(t)

    t.client_leaves()
    t.upstream_sends(WORLD)

    t.expect_client(WORLD)
    assert fates(t) == ("open", "half-closed")


def test_ends_of_both_ways_end_it(t: Transcript) -> None:
    joined(t)

    t.upstream_closes()
    t.client_leaves()

    assert (fates(t), t.records[0].flag) == (("closed", "closed"), "")


def test_reset_of_the_caller_is_passed_on_as_one(t: Transcript) -> None:
    joined(t)

    t.client.resets()

    assert (t.upstream.fate, t.records[0].flag) == ("reset", "DC")


def test_reset_of_the_upstream_is_passed_on_as_one(t: Transcript) -> None:
    joined(t)

    t.upstream.resets()

    record = t.records[0]
    assert (t.client.fate, record.status, record.code) == ("reset", 101, "upstream_closed")


def test_caller_that_is_lost_after_its_end_takes_nothing_from_the_upstream(t: Transcript) -> None:
    joined(t)
    t.client_leaves()

    t.does(lambda: t.client.transport.lose(None))

    assert (t.upstream.fate, len(t.records)) == ("closed", 1)


def test_upstream_that_is_lost_after_its_end_lets_the_caller_finish(t: Transcript) -> None:
    joined(t)
    t.upstream_closes()
    t.does(lambda: t.upstream.transport.lose(None))
    waits = t.client.fate

    t.client_leaves()

    assert (waits, t.client.fate, t.records[0].flag) == ("half-closed", "closed", "")


def test_caller_that_does_not_finish_is_cut(t: Transcript) -> None:
    joined(t)
    t.upstream_closes()
    t.does(lambda: t.upstream.transport.lose(None))

    t.passes(5.1)

    assert (t.client.fate, len(t.records)) == ("reset", 1)


def test_one_way_ends_both_where_half_is_not_to_be_had(t: Transcript) -> None:
    joined(t)
    t.client.transport.can_write_eof = t.upstream.transport.can_write_eof = lambda: False  # type: ignore[method-assign]  # as TLS has it

    t.client_leaves()

    assert (fates(t), t.records[0].flag) == (("closed", "closed"), "")


# --- the end that is ours ---


def test_drain_says_1001_between_frames_and_lets_the_handshake_complete(t: Transcript) -> None:
    joined(t)

    drains(t)
    t.expect_client(GOING_AWAY)
    t.client_sends(close(1001, masked=True))
    t.expect_upstream(close(1001, masked=True))
    t.upstream_sends(WORLD + close(1001))
    t.expect_client(b"")
    t.upstream_closes()
    t.client_leaves()

    assert (fates(t), t.records[0].flag) == (("closed", "closed"), "")


def test_drain_waits_for_the_end_of_a_frame(t: Transcript) -> None:
    joined(t)
    t.upstream_sends(LARGE[:100])

    drains(t)
    t.upstream_sends(LARGE[100:] + WORLD)

    t.expect_client(LARGE + GOING_AWAY)


def test_drain_leaves_no_upstream_waiting_for_a_full_caller(t: Transcript) -> None:
    joined(t)
    t.client.is_full()

    drains(t)
    t.client.takes_again()
    t.client.is_full()

    assert t.upstream.is_read


def test_drain_says_nothing_after_the_upstream_s_own_close(t: Transcript) -> None:
    joined(t)
    t.upstream_sends(close(1000))

    drains(t)

    t.expect_client(close(1000))


def test_drain_says_nothing_on_a_side_that_has_ended(t: Transcript) -> None:
    joined(t)
    t.upstream_closes()

    drains(t)

    t.expect_client(b"")


def test_tunnel_that_begins_in_a_drain_ends_in_it(t: Transcript) -> None:
    t.door.draining = True
    asked(t).upstream_sends(SWITCHED)
    t.expect_client(ANSWERED)

    t.passes(0.1)

    t.expect_client(GOING_AWAY)


def test_stop_cuts_both(t: Transcript) -> None:
    joined(t)

    t.does(t.door.stop)

    assert (t.client.fate, t.upstream.fate, t.plane.tunnels) == ("aborted", "reset", 0)


def test_tunnel_in_which_something_moves_is_not_idle(t: Transcript) -> None:
    joined(t)
    for _ in range(3):
        t.passes(3500)
        t.upstream_sends(WORLD)

    t.expect_client(WORLD * 3)


def test_tunnel_in_which_nothing_moves_for_an_hour_is_left(t: Transcript) -> None:
    joined(t)
    t.passes(3000)
    t.expect_client(b"")

    t.passes(700)
    t.expect_client(GOING_AWAY)
    t.passes(5.1)

    assert (fates(t), t.records[0].flag) == (("reset", "reset"), "SI")
