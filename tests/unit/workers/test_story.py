"""Facts about a worker's events on their way to the office's hub."""

import pytest

from proxy.events.event import Facts
from proxy.events.hub import Hub as RealHub
from proxy.workers.post import Post
from proxy.workers.story import Hearing, Story
from tests.support.offices import Office, come_true
from tests.support.records import record

Told = list[tuple[str, object]]


class Hub:
    """What an office's hub is told."""

    def __init__(self, office: Office) -> None:
        self.calls: list[tuple[Facts, bytes]] = []
        self.batches = 0
        self.told: Told = []
        office.crew.serve("events", self._events)
        office.crew.serve("told", lambda _, kind, facts: self.told.append((kind, facts)))

    def _events(self, _: object, batch: list[tuple[Facts, bytes]]) -> None:
        self.batches += 1
        self.calls += batch


async def story_of(office: Office) -> Story:
    made: list[Story] = []

    def prepare(post: Post) -> None:
        made.append(Story(post))

    await office.worker(1, prepare)
    return made[0]


async def test_calls_come_some_at_a_time_and_in_order(office: Office) -> None:
    hub, story = Hub(office), await story_of(office)

    for status in (200, 502, 200):
        story.record(record(status))

    await come_true(lambda: len(hub.calls) == 3)
    assert hub.batches == 1
    assert [facts.status for facts, _ in hub.calls] == ["success", "failure", "success"]
    assert b'"tool_name":"call"' in hub.calls[0][1]


async def test_what_else_is_told_does_not_overtake_calls(office: Office) -> None:
    order: list[str] = []
    office.crew.serve("events", lambda *_: order.append("call"))
    office.crew.serve("told", lambda *_: order.append("denied"))
    story = await story_of(office)

    story.record(record())
    story.tell("authorization_denied", {})

    await come_true(lambda: len(order) == 2)
    assert order == ["call", "denied"]


async def test_what_the_office_missed_it_gets_when_it_is_back(office: Office) -> None:
    hub, story = Hub(office), await story_of(office)
    await office.close()
    story.record(record())
    story.close()

    await office.open()

    await come_true(lambda: hub.calls)


async def test_of_more_than_may_wait_the_newest_are_lost_and_counted(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.story._MOST", 2)
    story = await story_of(office)
    await office.close()

    for _ in range(5):
        story.record(record())

    assert story.dropped == 3


async def test_the_office_tells_calls_and_the_rest_and_folds_refusals(office: Office) -> None:
    hub, folded = RealHub(10), Told()
    hearing = Hearing(hub, lambda facts: folded.append(("folded", facts)))
    office.crew.serve("events", hearing.events)
    office.crew.serve("told", hearing.told)
    story = await story_of(office)

    story.record(record())
    story.tell("authorization_denied", {"count": 2})
    story.tell("error", {"message": "a bug"})

    await come_true(lambda: hub.ring.end == 2)
    assert folded == [("folded", {"count": 2})]
