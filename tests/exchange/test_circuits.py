"""A server's circuit as its calls meet it: what trips it, what a trial needs, what survives."""

import pytest

from proxy.policy.health import Verdict
from tests.support.failures import (
    FAILS,
    FAILURES,
    GOOD,
    PROOF_OF_NOTHING,
    QUICK,
    TRIPPED,
    Plays,
    tripped,
)
from tests.support.messages import get, post
from tests.support.replicas import (
    EVENTS,
    FIRST,
    OK,
    ONE,
    THREE,
    TWO,
    answered,
    asked,
    asking,
    call,
    probed,
    status,
    waits,
)
from tests.support.transcript import Begin, Transcript

SOON = "\ncircuit: {failures: 5, open_for: 200ms}"
TRIED = [*TRIPPED, "circuit open -> half_open"]


def cooled(t: Transcript) -> Transcript:
    """Tripped, and the back-off is over."""
    tripped(t)
    waits(t, 0.25)
    return t


# --- what trips it ---


@pytest.mark.parametrize("fails", FAILURES.values(), ids=FAILURES)
def test_five_failed_calls_in_a_row_trip_it(begin: Begin, fails: Plays) -> None:
    t = begin(ONE + QUICK)
    for _ in range(4):
        fails(t)
    after_four = t.cluster.circuit.state.value

    fails(t)

    assert (after_four, t.witness.told) == ("closed", TRIPPED)


def test_upstream_that_takes_no_body_in_time_fails_its_call(begin: Begin) -> None:
    t = begin(ONE + QUICK)
    request = post("/tools/o.call", body=b"x" * 500_000)
    caller = asking(t, request[:100_000])
    t.upstream.is_full()
    caller.sends(request[100_000:200_000])
    caller.sends(request[200_000:])

    waits(t, 0.25)

    caller.expect_problem(504, "upstream_timeout")
    assert t.cluster.circuit.total_failures == 1


@pytest.mark.parametrize("goes", GOOD.values(), ids=GOOD)
def test_other_answers_never_trip_it(begin: Begin, goes: Plays) -> None:
    t = begin(ONE + QUICK)

    for _ in range(12):
        goes(t)

    circuit = t.cluster.circuit
    assert (t.witness.told, circuit.total_failures, circuit.total_successes) == ([], 0, 12)


@pytest.mark.parametrize("goes", GOOD.values(), ids=GOOD)
def test_failures_count_in_a_row(begin: Begin, goes: Plays) -> None:
    t = begin(ONE + QUICK)

    for each in [*[FAILURES["503"]] * 4, goes] * 3:
        each(t)

    assert (t.witness.told, t.cluster.circuit.total_failures) == ([], 12)


@pytest.mark.parametrize("leaves", PROOF_OF_NOTHING.values(), ids=PROOF_OF_NOTHING)
def test_what_proves_nothing_counts_neither_way(begin: Begin, leaves: Plays) -> None:
    t = begin(ONE + QUICK)
    for _ in range(4):
        call(t, FAILS)

    for _ in range(3):
        leaves(t)
    circuit = t.cluster.circuit
    between = (circuit.state.value, circuit.failure_count, circuit.abandoned)
    call(t, FAILS)

    assert (between, t.witness.told) == (("closed", 4, 3), TRIPPED)


def test_failure_made_good_by_a_retry_is_none_of_the_server(begin: Begin) -> None:
    t = begin(f"{TWO}\noutlier: {{consecutive_errors: 100}}")
    t.refusing = {FIRST}

    for _ in range(12):
        call(t, {})

    assert (t.witness.told, t.cluster.circuit.total_successes) == ([], 12)


def test_endpoint_that_dies_with_many_calls_on_it_does_not_take_the_others_out(
    begin: Begin,
) -> None:
    t = begin(THREE)
    for _ in range(3):
        call(t, {})
    callers = [asking(t, post("/tools/o.call")) for _ in range(24)]

    for each in t.upstreams:
        if each.host == FIRST:
            each.resets()

    lost = [answered(each) for each in callers].count(502)
    assert (lost, t.witness.told, len(t.cluster.usable)) == (
        8,
        [f"http://{FIRST}:80 unknown -> unhealthy"],
        2,
    )


def test_server_whose_endpoints_all_fail_trips_it(begin: Begin) -> None:
    t = begin(f"{TWO}\noutlier: {{consecutive_errors: 100}}")
    for _ in range(4):
        call(t, {})

    for _ in range(5):
        call(t, FAILS)

    assert t.witness.told == TRIPPED


# --- open ---


def test_open_circuit_answers_by_itself_and_says_when_to_come_again(begin: Begin) -> None:
    t = tripped(begin(ONE))
    connections = len(t.upstreams)

    t.client_sends(post("/tools/o.call"))

    head = t.client.transport.take()
    assert (head[:12], b"\r\nRetry-After: 30\r\n" in head) == (b"HTTP/1.1 503", True)
    assert b'"code":"circuit_open"' in head
    assert (asked(t), len(t.upstreams), len(t.dialled)) == (None, connections, connections)


def test_time_to_come_again_grows_shorter(begin: Begin) -> None:
    t = tripped(begin(ONE))

    t.passes(20.5)
    t.client_sends(get("/servers/o/x"))

    assert b"\r\nRetry-After: 10\r\n" in t.client.transport.take()


def test_call_that_waited_in_line_when_it_tripped_is_not_sent(begin: Begin) -> None:
    t = begin(f"{ONE}\ncircuit: {{failures: 1}}\nlimits: {{max_connections: 1}}")
    first, second = asking(t), asking(t)
    upstream = asked(t)
    assert upstream is not None

    upstream.sends(status(503))

    second.expect_problem(503, "circuit_open")
    assert (answered(first), asked(t), repr(t.cluster.gate)) == (
        503,
        None,
        "<Gate 0 busy, 0 queued>",
    )


# --- on trial ---


def test_one_call_is_on_trial_and_others_still_get_503(begin: Begin) -> None:
    t = cooled(begin(ONE + SOON))

    trial, other = asking(t), asking(t)

    other.expect_problem(503, "circuit_open")
    assert (answered(trial), asked(t) is not None, asked(t)) == (0, True, None)
    assert t.witness.told == TRIED


def test_two_good_trials_close_it(begin: Begin) -> None:
    t = cooled(begin(ONE + SOON))
    call(t, {})
    after_one = t.cluster.circuit.state.value

    call(t, {})

    assert (after_one, t.witness.told) == ("half_open", [*TRIED, "circuit half_open -> closed"])


def test_failed_trial_opens_it_for_longer(begin: Begin) -> None:
    t = cooled(begin(ONE + SOON))

    call(t, FAILS)
    waits(t, 0.3)
    early = call(t, {})
    waits(t, 0.2)

    assert (early, call(t, {})) == (("", 503), (FIRST, 200))
    assert t.witness.told == [
        *TRIED,
        "circuit half_open -> open",
        "circuit open -> half_open",
    ]


@pytest.mark.parametrize("leaves", PROOF_OF_NOTHING.values(), ids=PROOF_OF_NOTHING)
def test_trial_that_proves_nothing_leaves_its_place_to_another(begin: Begin, leaves: Plays) -> None:
    t = cooled(begin(ONE + QUICK + SOON))

    leaves(t)

    assert (call(t, {}), t.witness.told) == ((FIRST, 200), TRIED)


@pytest.mark.parametrize(
    ("late", "figures"), [(OK, (5, 1)), (status(503), (6, 0))], ids=["good", "bad"]
)
@pytest.mark.parametrize("trials", [0, 1], ids=["open", "half-open"])
def test_late_answer_proves_nothing(
    begin: Begin, late: bytes, figures: tuple[int, int], trials: int
) -> None:
    t = begin(ONE + SOON)
    early = asking(t)
    upstream = asked(t)
    assert upstream is not None
    cooled(t)
    waiting = [asking(t) for _ in range(trials)]
    before = (list(t.witness.told), t.cluster.circuit.success_count)

    upstream.sends(late)

    circuit = t.cluster.circuit
    assert (list(t.witness.told), circuit.success_count) == before
    assert (circuit.total_failures, circuit.total_successes) == figures
    assert (answered(early), [answered(each) for each in waiting]) == (
        int(late[9:12]),
        [0] * trials,
    )


def test_event_stream_on_trial_counts_as_soon_as_its_head_has_come(begin: Begin) -> None:
    t = cooled(begin(ONE + SOON))
    for _ in range(2):
        asking(t)
        upstream = asked(t)
        assert upstream is not None
        upstream.sends(EVENTS)

    assert t.witness.told == [*TRIED, "circuit half_open -> closed"]


def test_end_of_an_event_stream_says_nothing_of_its_call(begin: Begin) -> None:
    t = begin(f"{ONE}\ncircuit: {{failures: 1}}")
    asking(t)
    t.upstream_sends(EVENTS)

    t.upstream.resets()

    circuit = t.cluster.circuit
    assert (circuit.total_successes, circuit.total_failures, circuit.abandoned) == (1, 0, 0)


def test_call_that_found_no_endpoint_when_its_turn_came_is_no_failure(begin: Begin) -> None:
    t = begin(f"{ONE}\nlimits: {{max_connections: 1}}")
    _, second = asking(t), asking(t)
    probed(t, FIRST, Verdict.UNREACHABLE)

    t.upstream_sends(OK)

    second.expect_problem(503, "no_healthy_endpoint")
    assert t.cluster.circuit.total_failures == 0


def test_figures_tell_what_became_of_every_call(begin: Begin) -> None:
    t = begin(ONE + QUICK)
    for play in (GOOD["200"], FAILURES["503"], PROOF_OF_NOTHING["caller-leaves"], GOOD["404"]):
        play(t)

    circuit = t.cluster.circuit
    assert (
        circuit.total_calls,
        circuit.total_successes,
        circuit.total_failures,
        circuit.failure_rate,
        circuit.last_failure_at,
    ) == (4, 2, 1, 1 / 3, 1000.0)
