"""Facts about repeated calls: who makes the call, who waits, what is kept, and for how long."""

import gc
import tracemalloc
from concurrent.futures import Future

import pytest

from proxy.policy.repeats import Call, Kept, Mismatch, Repeats

KEEP_S = 300.0
MOST_WAITERS = 1_000
NOTED = {b"content-type": b"application/json"}


def answer(body: bytes = b"{}", noted: dict[bytes, bytes] = NOTED) -> Kept:
    return Kept(b"200 OK", b"\r\nContent-Type: application/json", body, 200, noted)


ANSWER = answer()


def first(repeats: Repeats, key: bytes = b"key", now: float = 0.0) -> Call:
    """A call that nobody has made before."""
    begun = repeats.begin(b"caller", key, b"digest", now)
    assert begun is not None
    call, is_first = begun
    assert is_first
    return call


def waiting(call: Call, count: int = 1) -> list[Future[None]]:
    waiters: list[Future[None]] = [Future() for _ in range(count)]
    call.waiters.extend(waiters)
    return waiters


def is_kept(repeats: Repeats, key: bytes = b"key", now: float = 0.0) -> bool:
    """Asked without leaving a call that runs behind."""
    begun = repeats.begin(b"caller", key, b"digest", now)
    assert begun is not None
    call, is_first = begun
    if is_first:
        repeats.fail(call)
    return not is_first


def test_same_call_is_joined_while_it_runs() -> None:
    repeats = Repeats()
    call = first(repeats)

    assert repeats.begin(b"caller", b"key", b"digest", 1.0) == (call, False)
    assert repr(call) == "<Call running, 0 waiting, kept=None>"


def test_those_who_wait_are_told_once_and_find_the_answer() -> None:
    repeats = Repeats()
    call = first(repeats)
    waiter, gone = waiting(call, 2)
    gone.set_result(None)

    repeats.finish(call, answer(), 1.0)

    assert (waiter.done(), call.running, call.waiters) == (True, False, [])
    assert repr(call.kept) == "<Kept 200, 40 bytes>"


def test_who_is_told_finds_the_call_over() -> None:
    repeats = Repeats()
    call = first(repeats)
    found = []
    waiting(call)[0].add_done_callback(
        lambda _: found.append((repeats.begin(b"caller", b"key", b"digest", 1.0), call.kept))
    )

    repeats.finish(call, kept := answer(), 1.0)

    assert found == [((call, False), kept)]


def test_answer_is_there_for_those_who_come_later() -> None:
    repeats = Repeats()
    call = first(repeats)
    kept = answer()
    repeats.finish(call, kept, 1.0)

    assert repeats.begin(b"caller", b"key", b"digest", 2.0) == (call, False)
    assert (call.kept, call.running) == (kept, False)


@pytest.mark.parametrize("over", [False, True], ids=["running", "over"])
def test_same_key_with_another_call_is_a_mismatch(*, over: bool) -> None:
    repeats = Repeats()
    call = first(repeats)
    if over:
        repeats.finish(call, answer(), 0.0)

    with pytest.raises(Mismatch):
        repeats.begin(b"caller", b"key", b"another", 1.0)


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        pytest.param(b"somebody", b"key", id="another-caller"),
        pytest.param(b"caller", b"other", id="another-key"),
        pytest.param(b"callerk", b"ey", id="same-bytes-divided-elsewhere"),
        pytest.param(b"", b"callerkey", id="no-caller"),
    ],
)
@pytest.mark.parametrize("length", [0, 200], ids=["short", "long"])
def test_another_caller_or_key_is_another_call(scope: bytes, key: bytes, length: int) -> None:
    repeats = Repeats()
    same = b"=" * length
    mine = repeats.begin(same + b"caller", same + b"key", b"digest", 0.0)

    theirs = repeats.begin(same + scope, same + key, b"digest", 0.0)

    assert mine is not None
    assert theirs is not None
    assert theirs[1]
    assert repeats.begin(same + b"caller", same + b"key", b"digest", 0.0) == (mine[0], False)


def test_long_names_take_no_more_than_short_ones() -> None:
    repeats = Repeats()

    repeats.begin(b"subject" * 10_000, b"key", b"digest", 0.0)

    assert repeats.held_bytes < 1_000


@pytest.mark.parametrize(
    ("now", "kept"), [(1.0, True), (300.9, True), (301.0, False), (9_999.0, False)]
)
def test_answer_is_kept_for_so_long_from_the_end_of_its_call(now: float, *, kept: bool) -> None:
    repeats = Repeats(keep_s=KEEP_S)
    repeats.finish(first(repeats, now=0.0), answer(), 1.0)

    assert is_kept(repeats, now=now) is kept


def test_old_key_may_come_with_another_call() -> None:
    repeats = Repeats(keep_s=KEEP_S)
    repeats.finish(first(repeats), answer(), 0.0)

    begun = repeats.begin(b"caller", b"key", b"another", KEEP_S)

    assert begun is not None
    assert begun[1]


def test_sweep_takes_what_is_too_old_and_nothing_that_runs() -> None:
    repeats = Repeats(keep_s=KEEP_S)
    first(repeats, b"runs")
    empty_bytes = repeats.held_bytes
    for now in range(3):
        repeats.finish(first(repeats, b"%d" % now), answer(), float(now))

    repeats.sweep(KEEP_S + 1)
    left = repr(repeats).split(" kept")[0]
    repeats.sweep(KEEP_S + 2)

    assert left == "<Repeats 1 running, 1"
    assert repr(repeats) == f"<Repeats 1 running, 0 kept, {empty_bytes} bytes>"


@pytest.mark.parametrize(
    ("kept", "keep"), [(None, True), (ANSWER, False)], ids=["no-answer", "coalesced"]
)
def test_some_ends_are_for_those_who_wait_alone(kept: Kept | None, *, keep: bool) -> None:
    repeats = Repeats()
    call = first(repeats)
    (waiter,) = waiting(call)

    repeats.finish(call, kept, 1.0, keep=keep)

    assert (waiter.done(), call.running, call.kept) == (True, False, kept)
    assert repr(repeats) == "<Repeats 0 running, 0 kept, 0 bytes>"
    assert not is_kept(repeats)


def test_failure_of_ours_is_told_and_forgotten() -> None:
    repeats = Repeats()
    call = first(repeats)
    (waiter,) = waiting(call)

    repeats.fail(call)

    assert (waiter.done(), repr(call)) == (True, "<Call over, 0 waiting, kept=None>")
    assert not is_kept(repeats)


def test_late_end_of_a_failed_call_leaves_the_next_one_alone() -> None:
    repeats = Repeats()
    failed = first(repeats)
    repeats.fail(failed)
    again = first(repeats)

    repeats.finish(failed, answer(), 1.0)

    assert repeats.begin(b"caller", b"key", b"digest", 1.0) == (again, False)


@pytest.mark.parametrize(("most_each_bytes", "kept"), [(40, True), (39, False)])
def test_large_answer_goes_only_to_those_who_wait(most_each_bytes: int, *, kept: bool) -> None:
    repeats = Repeats(most_each_bytes=most_each_bytes)
    call = first(repeats)

    repeats.finish(call, answer(), 0.0)

    assert call.kept is not None
    assert is_kept(repeats) is kept


def test_oldest_answer_goes_first() -> None:
    repeats = Repeats(most_bytes=10_000)
    slow, quick = first(repeats, b"slow"), first(repeats, b"quick")
    repeats.finish(quick, answer(b"x" * 3_000), 1.0)
    repeats.finish(slow, answer(b"x" * 3_000), 2.0)

    repeats.finish(first(repeats, b"third"), answer(b"x" * 3_000), 3.0)

    assert [is_kept(repeats, key) for key in (b"slow", b"quick", b"third")] == [True, False, True]


def test_many_tiny_answers_push_out_the_oldest_too() -> None:
    repeats = Repeats(most_bytes=10_000)
    for number in range(100):
        repeats.finish(first(repeats, b"%d" % number), answer(b"", {}), 0.0)

    there = [is_kept(repeats, b"%d" % number) for number in range(100)]

    assert there == sorted(there)
    assert 5 < sum(there) < 15
    assert repeats.held_bytes <= 10_000


def test_calls_that_run_never_go() -> None:
    repeats = Repeats(most_bytes=2_000)
    calls = [first(repeats, key) for key in (b"1", b"2")]

    assert repeats.begin(b"caller", b"3", b"digest", 0.0) is None
    assert [call.running for call in calls] == [True, True]
    assert repeats.begin(b"caller", b"1", b"digest", 0.0) == (calls[0], False)


def test_answer_finds_no_room_beside_calls_that_run() -> None:
    repeats = Repeats(most_bytes=2_000)
    first(repeats, b"runs")
    call = first(repeats)

    repeats.finish(call, answer(b"x" * 1_000), 0.0)

    assert call.kept is not None
    assert not is_kept(repeats)


def test_so_many_calls_run_at_once() -> None:
    repeats = Repeats(most_running=2)
    call = first(repeats, b"1")
    first(repeats, b"2")

    refused = repeats.begin(b"caller", b"3", b"digest", 0.0)
    repeats.finish(call, answer(), 0.0)

    assert refused is None
    assert first(repeats, b"3").running


def test_so_many_wait_for_one_call() -> None:
    repeats = Repeats()
    call = first(repeats)
    for _ in range(MOST_WAITERS):
        assert repeats.begin(b"caller", b"key", b"digest", 0.0) == (call, False)
        waiting(call)

    assert repeats.begin(b"caller", b"key", b"digest", 0.0) is None
    assert len(call.waiters) == MOST_WAITERS


def test_those_who_left_take_no_place() -> None:
    repeats = Repeats()
    call = first(repeats)
    waiting(call, MOST_WAITERS - 100)
    longest = 0
    for _ in range(2 * MOST_WAITERS):
        assert repeats.begin(b"caller", b"key", b"digest", 0.0) == (call, False)
        waiting(call)[0].cancel()
        longest = max(longest, len(call.waiters))

    assert longest < MOST_WAITERS - 50


def test_those_who_left_are_not_looked_for_at_each_join() -> None:
    class Patient(Future[None]):
        asked = 0

        def done(self) -> bool:
            self.asked += 1
            return super().done()

    repeats = Repeats()
    call = first(repeats)
    call.waiters.append(patient := Patient())
    for _ in range(640):
        repeats.begin(b"caller", b"key", b"digest", 0.0)

    assert patient.asked == 20


def test_nothing_of_an_answer_or_a_key_is_shown() -> None:
    repeats = Repeats()
    call, _ = repeats.begin(b"caller", b"secret", b"secret", 0.0) or pytest.fail("no room")
    kept = Kept(b"200 secret", b"secret", b"secret", 200, {b"secret": b"secret"})
    repeats.finish(call, kept, 0.0)

    with pytest.raises(Mismatch) as mismatch:
        repeats.begin(b"caller", b"secret", b"other", 0.0)

    assert "secret" not in f"{repeats!r} {call!r} {kept!r} {mismatch.value!r}"


@pytest.mark.parametrize("body_bytes", [0, 1_000], ids=["no-body", "a-body"])
@pytest.mark.parametrize("notes", [0, 1, 6, 22], ids="{}-notes".format)
def test_memory_is_counted_honestly(notes: int, body_bytes: int) -> None:
    tracemalloc.start()
    try:
        repeats = Repeats(most_bytes=2 * 1024 * 1024)
        for number in range(3_000):
            own = b"%06d" % number  # so that nothing is shared between entries
            call, _ = repeats.begin(b"caller-" + own, b"k" * 30 + own, own * 5, 0.0) or (
                pytest.fail("no room")
            )
            noted = {b"%d-" % each + own: b"%d=" % each + own for each in range(notes)}
            repeats.finish(
                call, Kept(b"200 " + own, b"\r\n" + own, own + b"x" * body_bytes, 200, noted), 0.0
            )
            del call, noted
        gc.collect()
        really_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 0.5 * repeats.held_bytes < really_bytes < 1.1 * repeats.held_bytes
    assert most_bytes < 1.25 * 2 * 1024 * 1024
