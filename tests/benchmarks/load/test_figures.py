"""The recorder: what is counted, when, and for how long a call has waited."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.load.figures import Call, Ending, Fault, Figures, Recorder, Row
from benchmarks.load.pace import NS
from tests.benchmarks.load.made import figures

MS = NS // 1000
CALLS = st.lists(
    st.tuples(st.integers(0, 5 * NS), st.integers(0, NS), st.sampled_from([200, 302, 404, 503])),
    max_size=30,
)


def finish(recorder: Recorder, end_ns: int, left: tuple[int, ...] = ()) -> Figures:
    return recorder.finish(Ending(end_ns, end_ns, 0.0, 0.0, interrupted=False), left)


@settings(deadline=None, max_examples=60)
@given(CALLS, st.lists(st.integers(0, 6 * NS), max_size=10))
def test_every_call_is_in_the_totals_and_in_one_row(
    calls: list[tuple[int, int, int]], folds_ns: list[int]
) -> None:
    recorder = Recorder(0, 5 * NS)
    ends = sorted((due_ns + for_ns, due_ns, status) for due_ns, for_ns, status in calls)
    glances = sorted(folds_ns)

    for now_ns, due_ns, status in ends:
        while glances and glances[0] < now_ns:
            recorder.fold(glances.pop(0))
        recorder.answered(due_ns, due_ns, now_ns, status)

    made = finish(recorder, 6 * NS)
    assert made.statuses == Counter(status for _, _, status in calls)
    assert sum(row.calls for row in made.rows) == made.calls == made.latency.total == len(calls)
    assert sum(row.errors for row in made.rows) == made.errors


def test_row_is_a_second_from_the_first_measured_moment() -> None:
    recorder = Recorder(2 * NS, 12 * NS)
    recorder.answered(2 * NS, 2 * NS, 2 * NS + 3 * MS, 200)
    recorder.answered(2 * NS, 2 * NS, 2 * NS + 512 * MS, 500)

    rows = [recorder.fold(2 * NS + passed_ms * MS) for passed_ms in (999, 1001, 1999, 2000)]

    empty = Row(1.0, 1.0, 0, 0, None, None, None)
    assert rows == [None, Row(0.0, 1.0, 2, 1, 3.0, 512.0, 512.0), None, empty]


def test_answers_that_come_after_the_end_belong_to_the_last_row() -> None:
    recorder = Recorder(0, 2 * NS)
    recorder.fold(NS)
    recorder.answered(NS, NS, 2 * NS + MS, 200)

    at_the_end = recorder.fold(2 * NS + MS)

    made = recorder.finish(Ending(2 * NS, 2 * NS + 2 * MS, 0.0, 0.0, interrupted=False), ())
    assert at_the_end is None
    assert [(row.at_s, row.span_s, row.calls) for row in made.rows] == [
        (0.0, 1.0, 0),
        (1.0, 1.002, 1),
    ]


def test_rows_of_a_long_load_are_longer_and_not_more() -> None:
    week_s = 7 * 24 * 3600
    recorder = Recorder(0, week_s * NS)

    rows = [recorder.fold(second * NS) for second in range(0, week_s, 7)]

    assert sum(row is not None for row in rows) <= 14_400


def test_latency_counts_since_the_call_was_due_and_service_since_it_was_sent() -> None:
    recorder = Recorder(0, NS)
    recorder.answered(10 * MS, 30 * MS, 31 * MS, 200)

    made = finish(recorder, NS)

    assert (made.latency.at_ms(50), made.service.at_ms(50)) == (21.007, 1.0)


def test_what_was_due_in_the_warm_up_is_not_counted() -> None:
    recorder = Recorder(NS, 2 * NS)
    recorder.answered(NS - 1, NS - 1, NS + MS, 200)
    recorder.failed(NS - 1, NS + MS, Fault.RESET, "")
    recorder.late(NS - 1, waited=True)
    recorder.behind(NS - 1, 5)

    made = finish(recorder, 2 * NS, (NS - 1,))

    late = made.lateness
    assert (made.calls, made.rows, late.waited, late.most, late.unsent) == (0, [], 0, 0, 0)


def test_call_that_is_on_time_counts_since_now_and_stays_on_its_side_of_the_warm_up() -> None:
    recorder = Recorder(NS, 2 * NS)

    since = [recorder.on_time(due_ns, NS + 2) for due_ns in (NS - 1, NS, NS + 1)]

    assert since == [NS - 1, NS + 2, NS + 2]


def test_calls_that_timed_out_or_were_never_sent_have_waited_so_long() -> None:
    recorder = Recorder(0, NS)
    recorder.failed(0, 500 * MS, Fault.TIMEOUT, "")
    recorder.failed(0, 1 * MS, Fault.REFUSED, "")

    made = finish(recorder, NS, (0, 900 * MS))

    assert (made.calls, made.latency.total, made.lateness.unsent) == (2, 3, 2)
    assert round(made.latency.at_ms(100) or 0) == 1000


def test_each_measured_call_is_told_of_with_how_it_ended() -> None:
    calls: list[Call] = []
    recorder = Recorder(NS, 2 * NS, calls.append)
    recorder.answered(NS - 1, NS, NS + 1, 200)
    recorder.answered(NS, NS + 3, NS + 5, 302)
    recorder.answered(NS + 1, NS + 3, NS + 7, 503)

    recorder.failed(NS + 2, NS + 10, Fault.RESET, "")

    assert calls == [
        Call(NS, 5, good=True),
        Call(NS + 1, 6, good=False),
        Call(NS + 2, 8, good=False),
    ]


def test_rate_counts_only_what_was_answered_without_an_error() -> None:
    made = figures([200, 204, 302, 404, 500, 503], faults=[Fault.RESET, Fault.CLOSED])

    assert (made.calls, made.errors, made.error_percent, made.rate_per_s) == (8, 5, 62.5, 1.5)
    assert (made.answers_of(4), made.answers_of(5)) == (1, 2)


def test_load_that_was_stopped_in_its_warm_up_measured_nothing() -> None:
    made = finish(Recorder(NS, 2 * NS), NS // 2)

    assert (made.measured_s, made.calls, made.rate_per_s, made.error_percent) == (0, 0, 0, 0)
