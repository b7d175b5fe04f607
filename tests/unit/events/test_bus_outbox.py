"""The outbox against its promises, without Redis."""

from proxy.events.bus_outbox import BATCH_BYTES, BATCH_EVENTS, Outbox, Recent


def filled(*names: bytes, most_events: int = 100) -> Outbox:
    outbox = Outbox(most_events)
    for name in names:
        outbox.put(name, name)
    return outbox


def test_what_was_sent_waits_no_more() -> None:
    outbox = filled(b"a", b"b")

    assert (outbox.take(), len(outbox), outbox.is_settled) == ([b"a", b"b"], 0, False)


def test_all_is_settled_once_acknowledged() -> None:
    outbox = filled(b"a", b"b")
    outbox.acknowledge(len(outbox.take()))

    assert outbox.is_settled


def test_a_batch_is_bounded_in_count() -> None:
    outbox = Outbox()
    for number in range(BATCH_EVENTS + 1):
        outbox.put(b"%d" % number, b"{}")

    assert [len(outbox.take()), len(outbox.take())] == [BATCH_EVENTS, 1]


def test_a_batch_is_bounded_in_size() -> None:
    outbox = Outbox()
    for number in range(5):
        outbox.put(b"%d" % number, bytes(BATCH_BYTES // 2))

    assert [len(outbox.take()) for _ in range(3)] == [2, 2, 1]


def test_an_own_event_is_to_be_shown_when_the_stream_has_it() -> None:
    outbox = filled(b"a")
    outbox.take()

    assert [outbox.sight(b"a"), outbox.sight(b"a")] == [True, False]


def test_what_was_shown_here_is_sent_and_not_shown_again() -> None:
    outbox = filled(b"a")

    assert (outbox.show(), outbox.take(), outbox.sight(b"a")) == (b"a", [b"a"], False)


def test_a_trial_takes_only_what_was_shown() -> None:
    outbox = filled(b"a", b"b")
    outbox.show()

    assert outbox.take(fresh=False) == [b"a"]


def test_a_lost_connection_gives_back_in_order_what_was_not_seen() -> None:
    outbox = filled(b"a", b"b", b"c")
    outbox.show()
    outbox.take()
    outbox.put(b"d", b"d")
    outbox.sight(b"b")

    outbox.take_back()

    assert len(outbox) == 3
    assert [outbox.show(), outbox.show(), outbox.show()] == [b"c", b"d", None]
    assert outbox.take() == [b"a", b"c", b"d"]


def test_what_turns_up_in_the_stream_is_not_sent_again() -> None:
    outbox = filled(b"a", b"b")
    outbox.take()
    outbox.take_back()
    outbox.show()

    shown = outbox.sight(b"a"), outbox.sight(b"b")

    assert (shown, outbox.show(), outbox.take(), len(outbox)) == ((False, True), None, [], 0)


def test_what_is_acknowledged_and_missing_has_vanished() -> None:
    outbox = filled(b"a", b"b", b"c")
    outbox.acknowledge(len(outbox.take()))
    mark = outbox.acknowledged
    outbox.put(b"d", b"d")
    outbox.acknowledge(len(outbox.take()))
    outbox.sight(b"b")

    assert (outbox.vanished(mark), outbox.sight(b"d")) == ([b"a", b"c"], True)


def test_what_vanished_is_not_shown_twice() -> None:
    outbox = filled(b"a")
    outbox.acknowledge(len(outbox.take()))
    outbox.vanished(outbox.acknowledged)

    assert not outbox.sight(b"a")


def test_what_vanished_after_it_was_shown_is_not_shown_again() -> None:
    outbox = filled(b"a")
    outbox.show()
    outbox.acknowledge(len(outbox.take()))

    assert outbox.vanished(outbox.acknowledged) == []


def test_the_oldest_are_dropped_and_counted() -> None:
    outbox = filled(b"a", b"b", b"c", b"d", most_events=2)

    assert (outbox.dropped, outbox.take()) == (2, [b"c", b"d"])


def test_what_was_shown_is_dropped_before_what_was_not() -> None:
    outbox = filled(b"a", b"b", most_events=2)
    outbox.show()
    outbox.put(b"c", b"c")

    assert (outbox.dropped, outbox.take()) == (1, [b"b", b"c"])


def test_bytes_are_bounded_and_given_back() -> None:
    outbox = Outbox(most_bytes=1_000)
    for number in range(100):
        outbox.put(b"%d" % number, bytes(400))
        outbox.show()

    assert (outbox.dropped, len(outbox), len(outbox.take())) == (98, 2, 2)

    outbox.put(b"x", bytes(1_000))

    assert outbox.dropped == 98


def test_what_comes_back_is_bounded_too() -> None:
    outbox = filled(b"a", b"b", most_events=2)
    outbox.take()
    outbox.put(b"c", b"c")

    outbox.take_back()

    assert (outbox.dropped, outbox.take()) == (1, [b"b", b"c"])


def test_what_was_dropped_is_not_shown_should_it_turn_up() -> None:
    outbox = filled(b"a", most_events=1)
    outbox.show()
    outbox.put(b"b", b"b")

    assert not outbox.sight(b"a")


def test_while_the_reader_is_behind_nothing_more_is_sent() -> None:
    outbox = filled(b"a", b"b", most_events=2)
    outbox.take()
    outbox.put(b"c", b"c")
    held = outbox.take()
    outbox.sight(b"a")

    assert (held, outbox.take()) == ([], [b"c"])


def test_recent_remembers_at_least_as_many_as_told_and_at_most_twice() -> None:
    recent = Recent(10)
    names = [b"%d" % number for number in range(1_000)]
    for name in names:
        recent.add(name)

    known = [name for name in names if name in recent]

    assert known == names[-len(known) :]
    assert 10 <= len(known) <= 20
