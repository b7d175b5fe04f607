"""Retries beyond the budget: they wait where others do well, and are refused elsewhere."""

from tests.support.replicas import FIRST, OK, SECOND, TWO, answered, asked, asking, call, waits
from tests.support.transcript import Begin, Peer, Transcript

THREE_AT_ONCE = f"{TWO}\nretry: {{budget: 0}}\noutlier: {{consecutive_errors: 100}}"


def beyond_the_budget(t: Transcript, second_says: int = 200) -> list[Peer]:
    """Four calls that find the first endpoint dead; the second's last answer was this."""
    call(t, {})
    call(t, {SECOND: second_says})
    t.refusing = {FIRST}
    for peer in t.upstreams:
        if peer.host == FIRST:
            peer.ends()
    return [asking(t) for _ in range(8)][::2]  # every other one goes to the second at once


def test_retry_beyond_the_budget_waits_for_another_to_end(begin: Begin) -> None:
    t = begin(THREE_AT_ONCE)
    callers = beyond_the_budget(t)
    waiting = (repr(t.cluster.retries), [answered(each) for each in callers])

    while (peer := asked(t)) is not None:
        peer.sends(OK)

    assert waiting == ("<Gate 3 busy, 1 queued>", [0, 0, 0, 0])
    assert [answered(each) for each in callers] == [200] * 4
    assert repr(t.cluster.retries) == "<Gate 0 busy, 0 queued>"


def test_caller_that_leaves_while_its_retry_waits_takes_nothing(begin: Begin) -> None:
    t = begin(THREE_AT_ONCE)
    callers = beyond_the_budget(t)

    callers[3].ends()

    assert repr(t.cluster.retries) == "<Gate 3 busy, 0 queued>"


def test_retry_waits_no_longer_than_its_deadline(begin: Begin) -> None:
    t = begin(f"{THREE_AT_ONCE}\ntimeout: 2s")
    callers = beyond_the_budget(t)

    waits(t, 2.1)

    assert answered(callers[3]) == 504
    assert repr(t.cluster.retries) == "<Gate 0 busy, 0 queued>"


def test_retry_beyond_the_budget_is_refused_where_the_other_endpoint_failed_too(
    begin: Begin,
) -> None:
    t = begin(THREE_AT_ONCE)

    callers = beyond_the_budget(t, second_says=503)

    assert [answered(each) for each in callers] == [0, 0, 0, 502]
    assert (t.records[-1].flag, t.records[-1].code) == ("URX", "connect_failed")
    assert repr(t.cluster.retries) == "<Gate 3 busy, 0 queued>"


def test_retry_beyond_the_budget_waits_for_an_endpoint_that_nobody_has_tried(begin: Begin) -> None:
    t = begin(THREE_AT_ONCE)
    t.refusing = {FIRST}

    callers = [asking(t) for _ in range(8)][::2]

    assert [answered(each) for each in callers] == [0, 0, 0, 0]
    assert repr(t.cluster.retries) == "<Gate 3 busy, 1 queued>"
