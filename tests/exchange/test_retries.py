"""Several endpoints: which failure is tried again, where, how often, and which never is."""

import pytest

from proxy.policy.health import Verdict
from tests.support.messages import get, message, post, post_chunked
from tests.support.replicas import (
    FIRST,
    LONG,
    OK,
    ONE,
    SECOND,
    THIRD,
    THREE,
    TWO,
    answered,
    asked,
    asking,
    call,
    endpoint,
    probed,
    waits,
)
from tests.support.transcript import Begin, Transcript

HELD_BYTES = 64 * 1024
REQUESTS = {
    "tool": post("/tools/o.call"),
    "get": get("/servers/o/x"),
    "patch": message(b"PATCH /servers/o/x HTTP/1.1", b"Host: a", b"Content-Length: 0"),
    "long-post": post("/tools/o.call", body=b"x" * (HELD_BYTES + 1)),
}


def kept(t: Transcript) -> Transcript:
    """One kept connection to each of two endpoints; the next call goes to the first."""
    for _ in range(2):
        call(t, {})
    return t


# --- no connection: nothing was sent ---


@pytest.mark.parametrize("request_octets", REQUESTS.values(), ids=REQUESTS)
def test_call_of_any_kind_that_finds_no_connection_goes_to_the_next_endpoint(
    begin: Begin, request_octets: bytes
) -> None:
    t = begin(TWO)
    t.refusing = {FIRST}

    t.client_sends(request_octets)
    t.upstream_sends(OK)

    record = t.records[-1]
    assert (t.dialled, answered(t.client)) == ([FIRST, SECOND], 200)
    assert (record.attempts, record.retries, record.flag, record.endpoint) == (
        2,
        ("connect",),
        "",
        f"http://{SECOND}:80",
    )


def test_attempt_that_is_made_good_counts_against_its_endpoint_and_not_the_server(
    begin: Begin,
) -> None:
    t = begin(TWO)
    t.refusing = {FIRST}

    t.client_sends(post("/tools/o.call"))
    t.upstream_sends(OK)

    circuit = t.cluster.circuit
    assert (circuit.failure_count, circuit.total_failures, circuit.total_successes) == (0, 0, 1)
    assert [each.outlier.errors for each in t.cluster.endpoints] == [1, 0]


def test_connection_that_does_not_come_in_time_is_sought_at_the_next_endpoint(
    begin: Begin,
) -> None:
    t = begin(f"{TWO}\nconnect_timeout: 300ms")
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    waits(t, 0.35)

    assert (t.dialled, t.records) == ([FIRST, SECOND], [])


@pytest.mark.parametrize(("attempts", "flag"), [(1, "UF"), (2, "URX"), (3, "URX")])
def test_attempts_count_all_tries(begin: Begin, attempts: int, flag: str) -> None:
    t = begin(f"{THREE}\nretry: {{attempts: {attempts}}}")
    t.refusing = {FIRST, SECOND, THIRD}

    t.client_sends(post("/tools/o.call"))

    t.client.expect_problem(502, "connect_failed")
    assert (len(set(t.dialled)), len(t.dialled)) == (attempts, attempts)
    assert (t.records[-1].attempts, t.records[-1].flag) == (attempts, flag)


def test_no_retry_lands_on_what_has_just_failed_while_another_is_usable(begin: Begin) -> None:
    t = begin(f"{TWO}\nretry: {{attempts: 6}}")
    t.refusing = {FIRST, SECOND}

    t.client_sends(post("/tools/o.call"))

    assert t.dialled == [FIRST, SECOND] * 3


def test_single_endpoint_is_tried_again_after_a_pause(begin: Begin) -> None:
    t = begin(ONE)
    t.refusing = {FIRST}
    t.client_sends(post("/tools/o.call"))
    at_once = list(t.dialled)

    t.refusing = set()
    t.passes(0.025)
    t.upstream_sends(OK)

    assert (at_once, t.dialled, answered(t.client)) == ([FIRST], [FIRST, FIRST], 200)


def test_endpoint_that_is_known_to_be_down_by_then_is_not_tried_again(begin: Begin) -> None:
    t = begin(ONE)
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))
    probed(t, FIRST, Verdict.UNREACHABLE)

    t.connects(ConnectionRefusedError())
    waits(t, 0.1)

    t.client.expect_problem(502, "connect_failed")
    assert (t.dialled, endpoint(t, FIRST).outlier.errors) == ([FIRST], 1)


# --- a connection that died ---


@pytest.mark.parametrize(
    "request_octets",
    [get("/servers/o/x"), post("/tools/o.again")],
    ids=["get", "idempotent-tool"],
)
def test_idempotent_call_on_a_kept_connection_that_dies_goes_to_the_next_endpoint(
    begin: Begin, request_octets: bytes
) -> None:
    t = kept(begin(TWO))
    t.client_sends(request_octets)
    sent = t.upstreams[0].transport.take()

    t.upstreams[0].resets()

    again = asked(t)
    assert again is not None
    again.sends(OK)
    assert (bool(sent), again.host, answered(t.client)) == (True, SECOND, 200)
    # Where one kept connection has died others may have: what is tried again gets a new one.
    assert (t.records[-1].retries, t.dialled) == (("reused_reset",), [FIRST, SECOND, SECOND])


@pytest.mark.parametrize("warm", [True, False], ids=["kept", "new"])
def test_post_that_was_sent_is_never_repeated(begin: Begin, *, warm: bool) -> None:
    t = kept(begin(TWO)) if warm else begin(TWO)
    t.client_sends(post("/tools/o.call"))
    upstream = asked(t)
    assert upstream is not None

    upstream.resets()

    t.client.expect_problem(502, "upstream_closed")
    assert (asked(t), t.records[-1].attempts) == (None, 1)


def test_idempotent_call_on_a_new_connection_that_dies_goes_to_another_endpoint(
    begin: Begin,
) -> None:
    t = begin(TWO)
    t.client_sends(get("/servers/o/x"))

    t.upstream.resets()
    t.upstream_sends(OK)

    assert ([each.host for each in t.upstreams], answered(t.client)) == ([FIRST, SECOND], 200)


def test_post_of_which_nothing_was_sent_yet_is_tried_on_a_new_connection(begin: Begin) -> None:
    t = begin(ONE)
    call(t, {})
    t.client_sends(post_chunked("/tools/o.call", body=b""))
    t.upstream_closes()

    t.client_sends(b"2\r\n{}\r\n0\r\n\r\n")
    waits(t, 0.1)
    t.upstream_sends(OK)

    assert (t.dialled, answered(t.client)) == ([FIRST, FIRST], 200)


@pytest.mark.parametrize(
    ("body_bytes", "repeated"), [(HELD_BYTES, True), (HELD_BYTES + 1, False)], ids=["held", "more"]
)
def test_idempotent_call_is_repeated_while_its_whole_body_is_held(
    begin: Begin, body_bytes: int, *, repeated: bool
) -> None:
    t = kept(begin(TWO))
    t.client_sends(post("/tools/o.again", body=b"x" * body_bytes))
    sent = t.upstreams[0].transport.take()

    t.upstreams[0].resets()

    again = t.upstream.transport.take()
    assert (len(sent) > body_bytes, again.endswith(b"\r\n\r\n" + b"x" * body_bytes)) == (
        True,
        repeated,
    )


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"H", id="byte"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", id="interim"),
        pytest.param(LONG + b"beginning", id="beginning"),
    ],
)
def test_nothing_is_repeated_once_a_byte_of_an_answer_has_come(begin: Begin, begun: bytes) -> None:
    t = kept(begin(TWO))
    t.client_sends(get("/servers/o/x"))
    t.upstreams[0].transport.take()
    t.upstreams[0].sends(begun)

    t.upstreams[0].resets()

    assert (asked(t), t.records[-1].attempts, t.records[-1].flag) == (None, 1, "UC")


@pytest.mark.parametrize("code", [502, 503, 504, 429])
def test_answer_is_passed_on_whatever_it_says(begin: Begin, code: int) -> None:
    t = begin(TWO)

    assert call(t, {FIRST: code}) == (FIRST, code)
    assert t.records[-1].attempts == 1


def test_condition_that_is_not_configured_is_no_reason(begin: Begin) -> None:
    t = begin(f"{TWO}\nretry: {{conditions: [reused_reset]}}")
    t.refusing = {FIRST}

    t.client_sends(get("/servers/o/x"))

    t.client.expect_problem(502, "connect_failed")
    assert (t.dialled, t.records[-1].flag) == ([FIRST], "UF")


def test_call_whose_caller_leaves_is_not_repeated(begin: Begin) -> None:
    t = begin(ONE)
    t.refusing = {FIRST}
    t.client_sends(get("/servers/o/x"))

    t.client_leaves()
    waits(t, 0.1)

    assert (t.dialled, t.records[-1].flag, repr(t.cluster.gate)) == (
        [FIRST],
        "DC",
        "<Gate 0 busy, 0 queued>",
    )


# --- not too many of them, and not too late ---


def retried(t: Transcript, calls: int) -> list[int]:
    """So many calls that find the first of two endpoints dead: what each has got so far."""
    t.refusing = {FIRST}
    callers = [asking(t) for _ in range(2 * calls)]  # every other one goes to the second at once
    return [answered(each) for each in callers[::2]]


def test_more_retries_may_be_in_flight_where_many_calls_are(begin: Begin) -> None:
    t = begin(f"{TWO}\nretry: {{budget: 0.6}}\noutlier: {{consecutive_errors: 100}}")

    assert retried(t, 9) == [0] * 9
    assert t.cluster.retries.busy == 9


def test_retry_that_has_ended_makes_room_for_another(begin: Begin) -> None:
    t = begin(f"{TWO}\nretry: {{budget: 0}}\noutlier: {{consecutive_errors: 100}}")
    retried(t, 3)
    t.upstreams[0].sends(OK)

    assert (t.cluster.retries.busy, retried(t, 1)) == (2, [0])


def test_retries_end_with_the_deadline(begin: Begin) -> None:
    t = begin(f"{TWO}\ntimeout: 500ms\nconnect_timeout: 300ms")
    t.connects_at_once = False
    t.client_sends(post("/tools/o.call"))

    waits(t, 0.45)
    before = answered(t.client)
    waits(t, 0.1)

    t.client.expect_problem(504, "upstream_timeout")
    assert (before, t.records[-1].attempts, t.cluster.retries.busy) == (0, 2, 0)


def test_idempotent_call_goes_elsewhere_though_its_own_endpoint_was_ejected_meanwhile(
    begin: Begin,
) -> None:
    t = begin(f"{TWO}\noutlier: {{consecutive_errors: 1}}")
    callers = [asking(t) for _ in range(4)]
    dying = [each for each in t.upstreams if each.host == FIRST]

    for each in dying:
        each.resets()
    for each in t.upstreams:
        if each not in dying:
            each.sends(OK)

    assert (endpoint(t, FIRST).usable, [answered(each) for each in callers]) == (
        False,
        [200] * 4,
    )
