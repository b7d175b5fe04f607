"""Facts about the tally: what workers count is the office's, whatever becomes of them."""

import asyncio

import pytest
from prometheus_client.core import CounterMetricFamily

from proxy.telemetry.metrics import Gauge, Metrics
from proxy.workers.post import Post
from proxy.workers.tally import Tally, Whole
from tests.support.offices import Office, Worker, come_true
from tests.support.records import record


class Counting:
    """A worker that counts."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.open = 0
        self.connects = 0
        self.tally: Tally
        self.worker: Worker
        self.metrics.add(Gauge("open", "", (), lambda: [((), self.open)], together="theirs"))
        self.metrics.add(
            Gauge("made", "", ("to",), lambda: [(("a",), self.connects)], CounterMetricFamily)
        )

    async def join(self, office: Office, slot: int) -> "Counting":
        def prepare(post: Post) -> None:
            self.tally = Tally(post, self.metrics)

        self.worker = await office.worker(slot, prepare)
        return self

    def count(self, times: int) -> None:
        for _ in range(times):
            self.metrics.observe(record())


def shown(metrics: Metrics, name: str) -> float:
    return sum(
        sample.value
        for family in metrics.pieces()
        for sample in family.samples
        if sample.name == name
    )


def whole_of(office: Office) -> Metrics:
    metrics = Metrics()
    metrics.add(Gauge("open", "", (), lambda: [((), 100)], together="theirs"))
    metrics.add(Gauge("made", "", ("to",), list, CounterMetricFamily))
    Whole(office.crew, metrics)
    return metrics


CALLS = "toolproxy_calls_total"


async def test_when_asked_all_is_there(office: Office) -> None:
    metrics = whole_of(office)
    for slot in (1, 2):
        counting = await Counting().join(office, slot)
        counting.count(3)
        counting.open = slot

    await metrics.elsewhere.renew()

    assert (shown(metrics, CALLS), shown(metrics, "open")) == (6, 3)
    assert shown(metrics, "http_server_request_duration_seconds_count") == 6


async def test_what_was_told_once_is_not_told_again(office: Office) -> None:
    metrics = whole_of(office)
    counting = await Counting().join(office, 1)
    counting.count(2)
    await metrics.elsewhere.renew()
    counting.count(1)

    await metrics.elsewhere.renew()
    await metrics.elsewhere.renew()

    assert shown(metrics, CALLS) == 3


async def test_what_one_had_counted_stays_when_it_dies(office: Office) -> None:
    metrics = whole_of(office)
    for generation in range(2):
        counting = await Counting().join(office, 1)
        counting.count(2)
        counting.connects, counting.open = 5, 9
        await metrics.elsewhere.renew()

        await office.dies(counting.worker)

        times = generation + 1
        assert (shown(metrics, CALLS), shown(metrics, "made_total")) == (2 * times, 5 * times)
        assert shown(metrics, "open") == 0


async def test_one_that_does_not_answer_counts_with_what_it_said_last(office: Office) -> None:
    metrics = whole_of(office)
    counting = await Counting().join(office, 1)
    counting.open = 4
    await metrics.elsewhere.renew()
    counting.worker.post.hears["report"] = _never

    async with asyncio.timeout(10):
        await metrics.elsewhere.renew()

    assert shown(metrics, "open") == 4


def _never(link: object) -> "asyncio.Future[None]":
    del link
    return asyncio.get_running_loop().create_future()


async def test_it_is_told_every_second_without_being_asked(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.workers.tally._EVERY_S", 0.001)
    metrics = whole_of(office)
    counting = await Counting().join(office, 1)
    counting.count(1)

    telling = asyncio.get_running_loop().create_task(counting.tally.run())

    await come_true(lambda: shown(metrics, CALLS) == 1)
    telling.cancel()


async def test_what_the_office_was_not_there_to_hear_is_told_to_the_next(office: Office) -> None:
    metrics = whole_of(office)
    counting = await Counting().join(office, 1)
    await office.close()
    counting.count(2)
    await counting.tally.tell()
    await office.open()
    await come_true(lambda: office.crew.members)

    await metrics.elsewhere.renew()

    assert shown(metrics, CALLS) == 2


async def test_used_up_is_what_all_have_used_up(office: Office) -> None:
    metrics = whole_of(office)
    await Counting().join(office, 1)
    alone = shown(metrics, "process_open_fds")
    since = shown(metrics, "process_start_time_seconds")

    await metrics.elsewhere.renew()

    assert shown(metrics, "process_open_fds") > 1.5 * alone  # it is the same process here
    assert shown(metrics, "process_start_time_seconds") == since
    assert shown(metrics, "python_info") == 1
