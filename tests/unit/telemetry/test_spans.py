"""Facts about spans: which there are, their ids and parents, and when they began and ended."""

from time import monotonic, time_ns

import pytest
from opentelemetry.trace import SpanKind

from proxy.telemetry.record import Attempt
from proxy.wire.trace import trace_of
from tests.support.spans import (
    ERROR,
    FIRST,
    UNSET,
    attributes_of,
    call,
    context_of,
    id_of,
    refused,
    retried,
    sent_by,
    spans_of,
    told,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"


# --- ids ---


def test_call_is_a_server_span_and_its_attempt_a_client_span_within() -> None:
    server, client = spans_of(call())

    assert [(span.name, span.kind) for span in (server, client)] == [
        ("POST /tools/{tool}", SpanKind.SERVER),
        ("POST", SpanKind.CLIENT),
    ]
    assert client.parent == context_of(server)
    assert server.parent is None


def test_client_span_is_the_parent_that_the_upstream_was_told() -> None:
    made = call()

    server, client = spans_of(made)

    trace_id = f"{context_of(client).trace_id:032x}"
    assert (trace_id, id_of(context_of(client))) == sent_by(made)
    assert context_of(server).trace_id == context_of(client).trace_id
    assert context_of(server).span_id not in {0, context_of(client).span_id}


def test_callers_span_is_the_parent_of_ours() -> None:
    made = call(b"traceparent: 00-%b-%b-01" % (TRACE.encode(), PARENT.encode()))

    server, _ = spans_of(made)

    assert server.parent is not None
    assert (f"{server.parent.trace_id:032x}", id_of(server.parent)) == (TRACE, PARENT)
    assert server.parent.is_remote
    assert context_of(server).trace_id == server.parent.trace_id


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param(f"00-{TRACE}-{'0' * 16}-01", id="no-parent"),
        pytest.param(f"ff-{TRACE}-{PARENT}-01", id="version-ff"),
        pytest.param(f"00-{TRACE.upper()}-{PARENT}-01", id="upper-case"),
        pytest.param(f"00-{TRACE}-{PARENT}-01\r\ntraceparent: 00-{TRACE}-{PARENT}-01", id="twice"),
        pytest.param("", id="empty"),
    ],
)
def test_span_of_an_invalid_traceparent_is_nobodys_child(traceparent: str) -> None:
    server, _ = spans_of(call(b"traceparent: " + traceparent.encode()))

    assert server.parent is None
    assert f"{context_of(server).trace_id:032x}" != TRACE


def test_tracestate_is_kept() -> None:
    traceparent = b"traceparent: 00-%b-%b-01" % (TRACE.encode(), PARENT.encode())

    spans = spans_of(call(traceparent, b"tracestate: a=1, b=2"))

    assert [dict(context_of(span).trace_state) for span in spans] == 2 * [{"a": "1", "b": "2"}]


# --- sampling ---


@pytest.mark.parametrize(
    ("flags", "sample", "spans"),
    [(b"01", 0.0, 2), (b"03", 0.0, 2), (b"00", 1.0, 0), (b"02", 1.0, 0)],
)
def test_callers_decision_is_obeyed(flags: bytes, sample: float, spans: int) -> None:
    made = call(b"traceparent: 00-%b-%b-%b" % (TRACE.encode(), PARENT.encode(), flags))

    assert len(spans_of(made, sample=sample)) == spans


@pytest.mark.parametrize(
    ("low", "sampled"), [(0, True), ((1 << 62) - 1, True), (1 << 62, False), ((1 << 64) - 1, False)]
)
def test_new_trace_is_sampled_by_its_id(low: int, *, sampled: bool) -> None:
    made = call()
    made.trace = trace_of({}, lambda bits: (7 << 64 | low) << (bits - 128) | 1 << 128)

    assert bool(spans_of(made, sample=0.25)) is sampled


# --- times ---


def test_times_are_those_of_the_calendar() -> None:
    made = call()
    shift = monotonic() - 10
    made.started_at, made.sent_at, made.finished_at = shift, shift + 1, shift + 4

    server, client = spans_of(made)

    moments = (server.start_time, client.start_time, client.end_time, server.end_time)
    seconds = [(moment or 0) / 1e9 - time_ns() / 1e9 for moment in moments]
    assert seconds == pytest.approx([-10, -9, -6, -6], abs=2)
    assert (moments[3] or 0) - (moments[0] or 0) == pytest.approx(4e9, abs=1000)


def test_attempt_takes_from_its_sending_to_its_failure() -> None:
    made = retried(Attempt(FIRST, 5.002, 5.004, "upstream_closed"))

    server, first, last = spans_of(made)

    zero = (server.start_time or 0) - 5 * 10**9
    times = [
        (moment or 0) - zero
        for moment in (first.start_time, first.end_time, last.start_time, last.end_time)
    ]
    assert times == pytest.approx([5.002e9, 5.004e9, 5.011e9, 5.02e9], abs=1000)


def test_attempt_that_was_never_sent_begins_where_the_one_before_it_ended() -> None:
    made = retried(Attempt(FIRST, 0.0, 5.004, "connect_failed"))
    made.sent_at, made.code, made.status = 0.0, "connect_failed", 502
    made.answered_at = 0.0

    server, first, last = spans_of(made)

    assert (first.start_time, last.start_time) == (server.start_time, first.end_time)


def test_moment_of_an_earlier_sending_is_not_the_last_attempts() -> None:
    made = retried(Attempt(FIRST, 5.002, 5.004, "upstream_closed"))
    made.sent_at, made.answered_at, made.code, made.status = 5.002, 0.0, "connect_failed", 502

    _, first, last = spans_of(made)

    assert last.start_time == first.end_time


# --- retries ---


def test_each_attempt_has_a_span_with_its_own_end() -> None:
    made = retried(
        Attempt(FIRST, 0.0, 5.003, "connect_failed"),
        Attempt(FIRST, 5.004, 5.006, "upstream_closed"),
    )

    server, *clients = spans_of(made)

    counts = [attributes_of(span).get("http.request.resend_count") for span in clients]
    ports = [attributes_of(span)["server.port"] for span in clients]
    statuses = [attributes_of(span).get("http.response.status_code") for span in clients]
    assert (counts, ports, statuses) == ([None, 1, 2], [8001, 8001, 8002], [None, None, 200])
    assert [told(span) for span in clients] == [
        (ERROR, "connect_failed"),
        (ERROR, "upstream_closed"),
        (UNSET, None),
    ]
    assert told(server) == (UNSET, None)
    assert {id_of(span.parent) for span in clients} == {id_of(context_of(server))}


def test_only_the_last_attempt_has_the_id_that_was_sent() -> None:
    made = retried(Attempt(FIRST, 5.002, 5.004, "upstream_closed"))

    ids = [id_of(context_of(span)) for span in spans_of(made)]

    assert ids.index(sent_by(made)[1]) == 2
    assert len(set(ids)) == 3


def test_attempt_that_no_other_followed_after_all_is_the_last() -> None:
    made = retried(Attempt(FIRST, 5.002, 5.004, "upstream_closed"), attempts=1)
    made.code, made.status, made.answered_at = "upstream_closed", 502, 0.0

    _, *clients = spans_of(made)

    assert [id_of(context_of(span)) for span in clients] == [sent_by(made)[1]]


def test_call_that_was_refused_has_no_client_span() -> None:
    (server,) = spans_of(refused(503, "circuit_open"))

    assert told(server) == (ERROR, "circuit_open")
