"""Facts about calls with a key, of all workers: who makes one, and who gets its answer."""

import asyncio

import pytest

from proxy.errors import NoHealthyEndpointError
from proxy.policy.repeats import Kept, Mismatch, Repeats
from proxy.workers.ledger import Claim, Ledger, Register
from proxy.workers.post import Post
from proxy.workers.words import MAKING
from tests.support.offices import Office, Worker, come_true

KEPT = Kept(b"200 OK", b"", b"ok", 200, {})


class Joined:
    """A worker with a ledger."""

    def __init__(self) -> None:
        self.ledger: Ledger
        self.worker: Worker

    async def begin(self, digest: bytes = b"digest", key: bytes = b"key") -> Kept | int | None:
        return await self.ledger.begin(b"scope", key, digest)

    def begins(self) -> "asyncio.Task[Kept | int | None]":
        return asyncio.get_running_loop().create_task(self.begin())


async def joined(office: Office, slot: int = 1) -> Joined:
    made = Joined()

    def prepare(post: Post) -> None:
        made.ledger = Ledger(post)

    made.worker = await office.worker(slot, prepare)
    return made


@pytest.fixture
def repeats() -> Repeats:
    return Repeats(most_running=2)


@pytest.fixture(autouse=True)
def register(office: Office, repeats: Repeats) -> Register:
    return Register(office.crew, repeats, resumes=False)


def serial(begun: Kept | int | None) -> int:
    assert isinstance(begun, int)
    return begun


def body(begun: Kept | int | None) -> bytes:
    assert isinstance(begun, Kept)
    return begun.body


async def waits(repeats: Repeats, number: int = 1) -> None:
    """Until so many wait for the only call."""
    (call,) = repeats._calls.values()
    await come_true(lambda: len([it for it in call.waiters if not it.done()]) == number)


async def test_the_first_makes_it_and_the_next_gets_its_answer(office: Office) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    made = serial(await one.begin())
    one.ledger.finish(made, KEPT)

    assert [body(await each.begin()) for each in (one, other)] == [b"ok", b"ok"]


async def test_who_comes_while_it_is_made_waits(office: Office, repeats: Repeats) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    made = serial(await one.begin())
    waiting = other.begins()
    await waits(repeats)

    one.ledger.finish(made, KEPT)

    assert body(await waiting) == b"ok"


async def test_when_it_failed_who_waits_makes_it(office: Office, repeats: Repeats) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    made = serial(await one.begin())
    waiting = other.begins()
    await waits(repeats)

    one.ledger.finish(made, None)

    assert serial(await waiting)


async def test_when_its_worker_dies_who_waits_makes_it(office: Office, repeats: Repeats) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    await one.begin()
    waiting = other.begins()
    await waits(repeats)

    await office.dies(one.worker)

    assert serial(await waiting)


async def test_who_leaves_while_it_waits_leaves_nothing(office: Office, repeats: Repeats) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    made = serial(await one.begin())
    waiting = other.begins()
    await waits(repeats)

    waiting.cancel()

    await waits(repeats, 0)
    one.ledger.finish(made, None)
    await come_true(lambda: not repeats.running)
    assert serial(await one.begin())


async def test_what_becomes_ours_after_the_caller_has_left_is_free(
    office: Office, repeats: Repeats
) -> None:
    one = await joined(office)
    leaving = one.begins()
    await asyncio.sleep(0)

    leaving.cancel()

    await asyncio.gather(leaving, return_exceptions=True)
    assert serial(await one.begin())
    assert repeats.running == 1


async def test_another_call_with_the_same_key_is_a_mismatch(office: Office) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    await one.begin()

    with pytest.raises(Mismatch):
        await other.begin(b"another digest")


async def test_there_is_no_room_for_more_than_may_run(office: Office) -> None:
    one = await joined(office)
    for key in (b"1", b"2"):
        await one.begin(key=key)

    assert await one.begin(key=b"3") is None


async def test_a_new_office_is_told_what_is_being_made_and_what_was(office: Office) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    running = serial(await one.begin(key=b"running"))
    over = serial(await one.begin(key=b"over"))
    await office.close()
    one.ledger.finish(over, KEPT)
    newer = Repeats()
    Register(office.crew, newer, resumes=False)
    await office.open()
    await come_true(lambda: (len(office.crew.members), newer.running) == (2, 1))

    assert body(await other.begin(key=b"over")) == b"ok"
    one.ledger.finish(running, KEPT)
    assert body(await other.begin(key=b"running")) == b"ok"


async def test_without_an_office_it_is_refused_and_not_made_twice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.ledger._THERE_WITHIN_S", 0.0)
    one = await joined(office)
    await office.close()

    with pytest.raises(NoHealthyEndpointError, match="started again"):
        await one.begin()
    assert repr(one.ledger) == "<Ledger of 0 being made>"


async def test_who_waits_when_the_office_is_lost_asks_the_next(
    office: Office, repeats: Repeats
) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    made = serial(await one.begin())
    waiting = other.begins()
    await waits(repeats)
    await office.close()

    await office.open()
    await come_true(lambda: len(office.crew.members) == 2 and repeats.running == 1)
    one.ledger.finish(made, KEPT)

    assert body(await waiting) == b"ok"


async def test_a_new_office_hears_first_what_is_being_made(office: Office) -> None:
    newer = Repeats()
    Register(office.crew, newer, resumes=True)
    quick, slow = await joined(office, 1), await joined(office, 2)

    asked = quick.begins()
    await asyncio.sleep(0)
    slow.worker.post.tell(MAKING, Claim(7, b"scope", b"key", b"digest"))
    await come_true(lambda: newer.running == 1)
    await waits(newer)  # the one that asked, once all could be heard

    assert (newer.running, asked.done()) == (1, False)
    asked.cancel()


async def test_who_leaves_a_new_office_before_it_answers_leaves_nothing(office: Office) -> None:
    newer = Repeats()
    Register(office.crew, newer, resumes=True)
    one = await joined(office, 1)
    asked = one.begins()
    await asyncio.sleep(0)

    asked.cancel()

    assert serial(await one.begin()) == 2
    assert newer.running == 1
