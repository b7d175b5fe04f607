"""Facts about rates that mean all workers."""

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from proxy.admission.rates import Limit
from proxy.admission.stage import Admission
from proxy.config.settings import Settings
from proxy.config.units import Rate
from proxy.errors import RateLimitedError
from proxy.workers.post import Post
from proxy.workers.rates import CommonRates, RateDesk
from tests.support.offices import Office

NOW = 100.0
TEN: tuple[Limit, ...] = (Limit("tool:a.t", "tool", Rate(10.0, 3600)),)


async def joined(office: Office, slot: int = 1) -> CommonRates:
    made: list[CommonRates] = []

    def prepare(post: Post) -> None:
        made.append(CommonRates(post, 2))

    await office.worker(slot, prepare)
    return made[0]


async def admitted(rates: CommonRates, times: int, limits: tuple[Limit, ...] = TEN) -> int:
    told = await asyncio.gather(
        *(rates.take(limits, NOW) for _ in range(times)), return_exceptions=True
    )
    assert all(isinstance(each, bytes | RateLimitedError) for each in told), told
    return sum(isinstance(each, bytes) for each in told)


@pytest.fixture
def desk(office: Office) -> Callable[[], Admission]:
    admission = Admission(Settings(), {})
    RateDesk(office.crew, lambda: admission)
    return lambda: admission


@pytest.mark.usefixtures("desk")
async def test_workers_together_let_in_as_many_as_the_limit_allows(office: Office) -> None:
    one, other = await joined(office, 1), await joined(office, 2)

    told = await asyncio.gather(admitted(one, 8), admitted(other, 8))

    assert sum(told) == 10


@pytest.mark.usefixtures("desk")
async def test_a_worker_tells_what_is_left_of_the_whole(office: Office) -> None:
    one, other = await joined(office, 1), await joined(office, 2)
    await admitted(other, 4)

    assert b'"tool";r=5;' in await one.take(TEN, NOW)


async def test_without_an_office_each_lets_in_its_part(office: Office) -> None:
    one = await joined(office)
    await office.close()

    assert await admitted(one, 8) == 5


async def test_an_office_that_does_not_answer_holds_up_nobody_for_long(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.rates._WITHIN_S", 0.01)
    one = await joined(office)  # nobody is at the desk
    office.crew.serve("take", lambda *_: asyncio.get_running_loop().create_future())

    assert await admitted(one, 8) == 5


@pytest.mark.usefixtures("desk")
async def test_who_leaves_while_it_is_asked_harms_nobody(office: Office) -> None:
    one = await joined(office)
    leaving = asyncio.get_running_loop().create_task(one.take(TEN, NOW))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await admitted(one, 3) == 3
    assert repr(one) == "<CommonRates of 2, 0 waiting>"


async def test_what_nobody_needs_any_more_is_let_go(office: Office) -> None:
    one = await joined(office)
    await office.close()
    await admitted(one, 1)

    one.sweep(NOW + 4000)

    assert len(one._local) == 0


async def test_where_the_office_counts_in_redis_it_asks_there(office: Office) -> None:
    settings = Settings()
    rate = replace(settings.rate, redis="redis://127.0.0.1:1")
    admission = Admission(replace(settings, rate=rate), {})
    RateDesk(office.crew, lambda: admission)

    assert await admitted(await joined(office), 12) == 10  # it is away: the office alone
