"""Facts about counts: how those of two processes come together."""

import pickle

from proxy.telemetry.counted import Count, Counted, Durations
from proxy.wire.trace import Trace


def durations(*buckets: int, at: float = 0.0, trace: bytes = b"t") -> Durations:
    made = Durations()
    for bucket in buckets:
        made.counts[bucket] += 1
        made.examples[bucket] = (Trace(trace, b"", b"", b""), 0.5, at)
        made.sum_s += 0.5
    return made


def count(total: int) -> Count:
    made = Count()
    made.total = total
    return made


def counted(**calls: int) -> Counted:
    made = Counted()
    made.calls = {("o", tool, "success"): count(total) for tool, total in calls.items()}
    return made


def totals(of: Counted) -> dict[str, int]:
    return {tool: count.total for (_, tool, _), count in of.calls.items()}


def test_series_that_both_have_add_up_and_others_join() -> None:
    ours = counted(a=1, b=2)

    ours.add(counted(b=3, c=4))

    assert totals(ours) == {"a": 1, "b": 5, "c": 4}


def test_of_two_examples_the_newer_stays() -> None:
    ours = durations(0, 1, at=2.0, trace=b"ours")

    ours.add(durations(1, 2, at=1.0, trace=b"older"))
    ours.add(durations(0, at=3.0, trace=b"newer"))

    found = [example and example[0].trace_id for example in ours.examples[:4]]
    assert (ours.counts[:4], ours.sum_s) == ([2, 2, 1, 0], 2.5)
    assert found == [b"newer", b"ours", b"older", None]


def test_pieces_are_the_whole() -> None:
    whole = counted(a=1, b=2, c=3)
    whole.rejected = {"no_room": count(4)}

    pieces = list(whole.pieces(2))
    together = Counted()
    for piece in pieces:
        together.add(piece)

    assert [len(piece) for piece in pieces] == [2, 1, 1]
    assert (totals(together), together.rejected["no_room"].total) == ({"a": 1, "b": 2, "c": 3}, 4)


def test_what_goes_to_another_process_is_the_same_there() -> None:
    made = counted(a=1)
    made.upstreams = {"o": durations(3)}

    there: Counted = pickle.loads(pickle.dumps(made))  # noqa: S301 - our own

    assert (totals(there), there.upstreams["o"].counts[3], repr(there)) == (
        {"a": 1},
        1,
        "<Counted 2 series>",
    )


def test_what_is_gone_is_forgotten() -> None:
    made = counted(a=1, b=2)
    made.upstreams = {"o": durations(1), "gone": durations(1)}
    made.retries = {("gone", "reset"): count(1)}

    made.forget(lambda server, tool: server == "gone" or tool == "b")

    assert (totals(made), list(made.upstreams), made.retries) == ({"a": 1}, ["o"], {})
