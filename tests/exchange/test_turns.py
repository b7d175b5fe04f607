"""Turns: how many calls go at once, who waits, in which order, how long; and for nobody else."""

import pytest

from tests.support.failures import FAILURES, GOOD, PROOF_OF_NOTHING, QUICK, Plays
from tests.support.messages import get, post
from tests.support.replicas import (
    FIRST,
    OK,
    ONE,
    TWO,
    answered,
    asked,
    asking,
    call,
    reloads,
    waits,
)
from tests.support.transcript import Begin, Peer, Transcript

UNSAFE = f"{ONE}\nupstream_dependencies: {{concurrency_safe: false}}"
UNSAFE_TOOL = (
    f"{ONE}\ntools: [{{name: call, upstream_dependencies: {{concurrency_safe: false}}}},"
    " {name: again}, {name: other, upstream_dependencies: {concurrency_safe: false}}]"
)
FREE = "<Gate 0 busy, 0 queued>"
TO_THE_TOOL = post("/tools/o.call")


def numbered(t: Transcript, calls: int, path: str = "/tools/o.call") -> list[Peer]:
    """So many callers, one after the other."""
    return [asking(t, post(f"{path}?{number}")) for number in range(calls)]


def order(t: Transcript) -> list[bytes]:
    """The numbers of the calls as they come to an upstream, each answered at once."""
    came = []
    for _ in range(20):
        for each in t.upstreams:
            target = each.transport.take().split(b" ")[1:2]
            if target:
                came.append(target[0].rpartition(b"?")[2])
                each.sends(OK)
    return came


def untouched(t: Transcript, gates: int = 0) -> tuple[str, list[str], int]:
    """What is left of turns and calls."""
    cluster = t.cluster
    tools = [repr(cluster.serial_gate(name)) for name in ("call", "other")[:gates]]
    return repr(cluster.gate), tools, sum(each.active for each in cluster.endpoints)


# --- connections ---


def test_connections_are_limited_over_all_endpoints_of_a_server(begin: Begin) -> None:
    t = begin(f"{TWO}\nlimits: {{max_connections: 3}}")

    callers = numbered(t, 5)

    assert (len(t.upstreams), repr(t.cluster.gate), t.cluster.queued) == (
        3,
        "<Gate 3 busy, 2 queued>",
        2,
    )
    assert order(t) == [b"0", b"1", b"2", b"3", b"4"]
    assert [answered(each) for each in callers] == [200] * 5


def test_idle_connection_of_one_endpoint_makes_room_for_one_to_another(begin: Begin) -> None:
    t = begin(f"{TWO}\nlimits: {{max_connections: 1}}")

    reached = [call(t, {})[0] for _ in range(4)]

    alive = [each for each in t.upstreams if each.fate == "open"]
    assert (len(set(reached)), len(t.upstreams), len(alive)) == (2, 4, 1)


def test_call_that_waits_is_told_to_come_again_when_its_time_is_over(begin: Begin) -> None:
    t = begin(f"{ONE}\nlimits: {{max_connections: 1, queue_timeout: 200ms}}")
    _, second = numbered(t, 2)

    waits(t, 0.25)

    head = second.transport.take()
    assert (head[:12], b"\r\nRetry-After: 1\r\n" in head) == (b"HTTP/1.1 429", True)
    assert (b'"code":"queue_timeout"' in head, t.records[-1].flag, t.records[-1].attempts) == (
        True,
        "UO",
        0,
    )


def test_deadline_that_comes_in_line_is_429_and_no_fault_of_the_upstream(begin: Begin) -> None:
    t = begin(f"{ONE}\ntimeout: 300ms\nlimits: {{max_connections: 1, queue_timeout: 10s}}")
    first, second = asking(t, get("/servers/o/x", b"Request-Timeout: 5")), asking(t)

    waits(t, 0.4)

    second.expect_problem(429, "queue_timeout")
    assert (answered(first), t.cluster.circuit.total_calls, t.witness.doubts) == (0, 0, [])


def test_deadline_that_comes_in_line_is_429_though_the_body_was_not_read_yet(
    begin: Begin,
) -> None:
    t = begin(f"{ONE}\ntimeout: 300ms\nlimits: {{max_connections: 1, queue_timeout: 10s}}")
    asking(t, get("/servers/o/x", b"Request-Timeout: 5"))
    request = post("/tools/o.call", body=b"x" * 500_000)
    second = asking(t, request[:100_000])
    second.sends(request[100_000:])

    waits(t, 0.4)

    second.expect_problem(429, "queue_timeout")


PLAYS = {**FAILURES, **PROOF_OF_NOTHING, "good": GOOD["200"]}


@pytest.mark.parametrize("play", PLAYS.values(), ids=PLAYS)
@pytest.mark.parametrize("server", [ONE, UNSAFE], ids=["safe", "unsafe"])
def test_every_end_of_a_call_gives_its_turn_back(begin: Begin, play: Plays, server: str) -> None:
    t = begin(server + QUICK)

    play(t)

    assert untouched(t) == (FREE, [], 0)


# --- one at a time ---


def test_calls_of_an_unsafe_server_go_one_at_a_time_in_order_of_arrival(begin: Begin) -> None:
    t = begin(UNSAFE)
    callers = numbered(t, 5)
    at_once = len(t.dialled)

    assert (at_once, order(t), len(t.upstreams)) == (1, [b"0", b"1", b"2", b"3", b"4"], 1)
    assert [answered(each) for each in callers] == [200] * 5


def test_tools_and_passages_of_an_unsafe_server_take_turns_together(begin: Begin) -> None:
    t = begin(UNSAFE)
    asking(t, TO_THE_TOOL)

    others = [asking(t, post("/tools/o.again")), asking(t, get("/servers/o/x"))]

    assert (len(t.dialled), [answered(each) for each in others]) == (1, [0, 0])


@pytest.mark.parametrize("server", [UNSAFE, UNSAFE_TOOL], ids=["server", "tool"])
def test_call_waits_for_its_turn_until_its_deadline(begin: Begin, server: str) -> None:
    t = begin(f"{server}\ntimeout: 3s")
    asking(t, post("/tools/o.call", b"Request-Timeout: 60"))
    second = asking(t, TO_THE_TOOL)

    waits(t, 2.9)
    before = answered(second)
    waits(t, 0.2)

    second.expect_problem(429, "queue_timeout")
    assert (before, t.records[-1].flag, t.records[-1].attempts) == (0, "UO", 0)


@pytest.mark.parametrize("server", [UNSAFE, UNSAFE_TOOL], ids=["server", "tool"])
def test_queue_timeout_that_is_given_holds_for_turns_too(begin: Begin, server: str) -> None:
    t = begin(f"{server}\nlimits: {{queue_timeout: 200ms}}")
    asking(t, TO_THE_TOOL)
    second = asking(t, TO_THE_TOOL)

    waits(t, 0.25)

    second.expect_problem(429, "queue_timeout")


@pytest.mark.parametrize("server", [UNSAFE, UNSAFE_TOOL], ids=["server", "tool"])
def test_so_many_may_wait_for_a_turn_and_no_more(begin: Begin, server: str) -> None:
    t = begin(f"{server}\nlimits: {{max_pending: 2}}")
    numbered(t, 3)

    fourth = asking(t, TO_THE_TOOL)

    fourth.expect_problem(429, "queue_full")
    assert t.records[-1].flag == "UO"


def test_calls_of_an_unsafe_tool_go_one_at_a_time_in_order_of_arrival(begin: Begin) -> None:
    t = begin(UNSAFE_TOOL)
    callers = numbered(t, 4)
    at_once = len(t.dialled)

    assert (at_once, order(t)) == (1, [b"0", b"1", b"2", b"3"])
    assert [answered(each) for each in callers] == [200] * 4
    assert untouched(t, gates=2) == (FREE, [FREE, FREE], 0)


def test_other_tools_of_the_server_do_not_wait_for_an_unsafe_one(begin: Begin) -> None:
    t = begin(UNSAFE_TOOL)
    numbered(t, 2)

    numbered(t, 2, "/tools/o.again")
    asking(t, post("/tools/o.other"))

    assert (len(t.dialled), t.cluster.queued) == (4, 1)


def test_caller_that_leaves_the_line_of_a_tool_is_passed_over(begin: Begin) -> None:
    t = begin(UNSAFE_TOOL)
    callers = numbered(t, 3)

    callers[1].ends()

    assert (order(t), untouched(t, gates=1)) == ([b"0", b"2"], (FREE, [FREE], 0))


def test_turn_at_a_tool_is_given_back_by_a_call_that_found_no_connection(begin: Begin) -> None:
    t = begin(f"{UNSAFE_TOOL}\nlimits: {{max_connections: 1, queue_timeout: 100ms}}")
    asking(t)
    waiting = asking(t, TO_THE_TOOL)

    waits(t, 0.15)

    waiting.expect_problem(429, "queue_timeout")
    assert untouched(t, gates=1)[:2] == ("<Gate 1 busy, 0 queued>", [FREE])


# --- a reload ---


def test_higher_limit_lets_those_in_who_wait(begin: Begin) -> None:
    t = begin(f"{ONE}\nlimits: {{max_connections: 1}}")
    numbered(t, 3)

    reloads(t, f"{ONE}\nlimits: {{max_connections: 2}}")

    assert (len(t.dialled), repr(t.cluster.gate)) == (2, "<Gate 2 busy, 1 queued>")


def test_turns_of_a_tool_survive_a_reload(begin: Begin) -> None:
    t = begin(UNSAFE_TOOL)
    numbered(t, 2)

    reloads(t, f"{UNSAFE_TOOL}\ntimeout: 5s")
    third = asking(t, post("/tools/o.call?2"))

    assert (answered(third), len(t.dialled), t.cluster.queued) == (0, 1, 2)
    assert order(t) == [b"0", b"1", b"2"]


def test_server_that_becomes_unsafe_takes_one_call_at_a_time_from_then_on(begin: Begin) -> None:
    t = begin(ONE)
    numbered(t, 2)

    reloads(t, UNSAFE)
    asking(t, post("/tools/o.call?2"))
    t.upstreams[0].sends(OK)
    between = repr(t.cluster.gate)

    assert (between, order(t)) == ("<Gate 1 busy, 1 queued>", [b"0", b"1", b"2"])


# --- fairness ---


def test_slow_server_never_delays_another(begin: Begin) -> None:
    t = begin()
    another = "- {namespace: p, name: p, endpoints: ['http://10.1.1.1'], passthrough: true}\n"
    reloads(t, f"{UNSAFE}\nlimits: {{max_pending: 3}}", another)
    numbered(t, 9)
    slow = asked(t)

    reached = [call(t, {}, get("/servers/p/x")) for _ in range(3)]

    assert (reached, t.cluster.queued, t.dialled.count(FIRST)) == ([("10.1.1.1", 200)] * 3, 3, 1)
    assert slow is not None
    assert (slow.host, asked(t)) == (FIRST, None)
