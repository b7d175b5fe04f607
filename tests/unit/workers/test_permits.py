"""Facts about a server's limits that mean all workers: parts, and what is lent."""

import asyncio

import pytest

from proxy.policy.limits import Gate
from proxy.workers import permits
from proxy.workers.permits import Parts, Permits, part_of
from proxy.workers.post import Post
from tests.support.offices import Office, Worker, come_true

ONE = (1, 10, 100)  # at once, waiting, either


class Joined:
    """A worker with one gate."""

    def __init__(self) -> None:
        self.gate = Gate(0, 0, 0)
        self.parts: Parts
        self.worker: Worker

    def line_up(self) -> "asyncio.Future[None]":
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gate.line_up(waiter)
        return waiter

    async def enter(self) -> None:
        if not self.gate.try_enter():
            async with asyncio.timeout(10):
                await self.line_up()


async def joined(office: Office, slot: int = 1, workers: int = 2) -> Joined:
    made = Joined()

    def prepare(post: Post) -> None:
        made.parts = Parts(post, workers, slot)

    made.worker = await office.worker(slot, prepare)
    return made


async def pair(office: Office, room: tuple[int, int, int] = ONE) -> tuple[Joined, Joined]:
    one, other = await joined(office, 1), await joined(office, 2)
    for each in (one, other):
        each.parts.fit(each.gate, "a", room)
    return one, other


@pytest.fixture(autouse=True)
async def desk(office: Office) -> Permits:
    return Permits(office.crew, 2)


@pytest.mark.parametrize("whole", [0, 1, 2, 3, 1000])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_parts_are_the_whole_together(whole: int, workers: int) -> None:
    parts = [part_of(whole, workers, slot) for slot in range(1, workers + 1)]

    assert sum(parts) == whole
    assert max(parts) - min(parts) <= 1


async def test_where_there_is_enough_each_has_its_part(office: Office) -> None:
    one = await joined(office)

    one.parts.fit(one.gate, "a", (7, 10, 100))

    assert (one.gate.most_busy, one.gate.most_pending, one.gate.most_requests) == (4, 5, 50)


async def test_one_permit_is_at_one_place_at_a_time(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    waiter = other.line_up()
    await come_true(lambda: one.gate.queued)  # it is to be given back
    assert not waiter.done()

    one.gate.leave()

    await come_true(waiter.done)
    assert (one.gate.most_busy, other.gate.busy) == (0, 1)


async def test_a_permit_that_nobody_else_wants_is_kept(office: Office) -> None:
    one, _ = await pair(office)
    await one.enter()
    one.gate.leave()

    assert one.gate.try_enter()


async def test_one_that_is_not_used_is_given_back_at_once(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    one.gate.leave()

    await other.enter()

    assert (one.gate.most_busy, one.gate.try_enter()) == (0, False)


async def test_two_lines_take_turns(office: Office) -> None:
    one, other = await pair(office)
    order: list[str] = []

    async def call(name: str, of: Joined) -> None:
        await of.enter()
        order.append(name)
        await come_true(lambda: one.gate.queued + other.gate.queued or len(order) > 3)
        of.gate.leave()

    async with asyncio.TaskGroup() as group:
        for name, each in (("one", one), ("other", other)) * 2:
            group.create_task(call(name, each))

    assert sorted(order) == ["one", "one", "other", "other"]
    assert order[0] != order[1]


async def test_what_a_worker_had_is_free_when_it_dies(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    waiter = other.line_up()

    await office.dies(one.worker)

    await come_true(waiter.done)


async def test_as_many_are_lent_as_there_are(office: Office) -> None:
    desk_for_three = Permits(office.crew, 3)
    workers = [await joined(office, slot, 3) for slot in (1, 2, 3)]
    for each in workers:
        each.parts.fit(each.gate, "a", (2, 10, 100))
    for each in workers[:2]:
        await each.enter()

    waiter = workers[2].line_up()

    await come_true(lambda: any(each.gate.queued for each in workers[:2]))
    assert not waiter.done()
    assert repr(desk_for_three) == "<Permits of 1 names>"


async def test_a_new_office_lends_nothing_that_is_out(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    await office.close()
    waiter = other.line_up()
    Permits(office.crew, 2)
    await office.open()
    await come_true(lambda: one.gate.queued)  # asked to give back what it has
    assert not waiter.done()

    one.gate.leave()

    await come_true(waiter.done)


async def test_a_new_office_waits_for_those_who_may_hold_something(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permits, "_ALL_THERE_WITHIN_S", 0.05)
    Permits(office.crew, 3)
    one, _ = await pair(office)
    waiter = one.line_up()
    assert not waiter.done()

    await come_true(waiter.done)  # the third never came


async def test_a_gate_that_is_gone_keeps_nothing(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    one.gate.lender = None  # as if nobody knew it any more

    await other.enter()

    assert other.gate.busy == 1


async def test_with_more_permits_the_gate_has_a_part_of_its_own(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()

    one.parts.fit(one.gate, "a", (4, 10, 100))

    assert (one.gate.most_busy, one.gate.lender) == (2, None)
    await other.enter()


async def test_with_fewer_permits_what_was_lent_goes_back(office: Office) -> None:
    Permits(office.crew, 3)
    one = await joined(office, 1, 3)
    await joined(office, 2, 3)
    await joined(office, 3, 3)
    one.parts.fit(one.gate, "a", (2, 10, 100))
    for _ in range(2):
        await one.enter()

    one.parts.fit(one.gate, "a", ONE)
    one.gate.leave()
    one.gate.leave()

    await come_true(lambda: not one.gate.most_busy)


async def test_without_an_office_who_has_a_permit_goes_on(office: Office) -> None:
    one, other = await pair(office)
    await one.enter()
    await office.close()

    one.gate.leave()

    assert (one.gate.try_enter(), other.gate.try_enter()) == (True, False)
