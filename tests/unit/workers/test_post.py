"""Facts about a worker's way to the office."""

import logging

import pytest

from proxy.workers.link import AwayError
from proxy.workers.words import FRAME
from tests.support.offices import Office, Worker, come_true, take_up


async def test_without_an_office_nothing_is_told_or_answered(office: Office) -> None:
    worker = Worker(office.path, 1)

    assert (worker.post.tell("anything"), worker.post.dropped) == (False, 1)
    with pytest.raises(AwayError):
        await worker.post.ask("anything")
    assert repr(worker.post) == "<Post away>"


async def test_it_comes_back_to_an_office_that_is_there_again(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    await take_up(office.registry, "a")
    came: list[str] = []
    worker = await office.worker(
        prepare=lambda post: post.on_connect.append(lambda: came.append("again"))
    )
    with caplog.at_level(logging.WARNING):
        await office.close()
        await come_true(lambda: "away" in caplog.text)

    await office.open()

    await come_true(lambda: office.crew.members)
    assert came == ["again", "again"]
    assert b"a" in worker.registry.current.servers


async def test_a_fact_of_a_server_that_is_still_to_come_is_kept_for_it(office: Office) -> None:
    worker = await office.worker()
    await take_up(office.registry, "a")
    cluster = office.registry.current.servers[b"a"].cluster

    for _ in range(5):
        cluster.call_failed(cluster.begin(1.0), 1.0)

    await come_true(lambda: b"a" in worker.registry.current.servers)
    theirs = worker.registry.current.servers[b"a"].cluster
    await come_true(lambda: not theirs.circuit.closed)


async def test_it_is_ready_when_all_has_come_even_if_that_is_nothing(office: Office) -> None:
    worker = await office.worker()

    assert worker.post.ready.is_set()
    assert not worker.registry.current.generation


async def test_a_piece_that_is_none_brings_all_of_the_registry_again(office: Office) -> None:
    await office.worker()
    (before,) = office.crew.members.values()

    before.link.tell(FRAME, b"\xc1")

    await come_true(lambda: office.crew.members.get(1) not in {None, before})
