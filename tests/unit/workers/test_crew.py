"""Facts about the crew: who is there, what they are told, what they say."""

import os

from proxy.policy.health import Verdict
from proxy.registry.live import LiveRegistry
from proxy.workers.crew import Member
from tests.support.offices import Office, come_true, take_up


def names(registry: LiveRegistry) -> list[str]:
    return sorted(each.decode() for each in registry.current.servers)


async def test_who_comes_gets_the_registry(office: Office) -> None:
    await take_up(office.registry, "a", "b")

    worker = await office.worker()

    assert names(worker.registry) == ["a", "b"]
    assert repr(office.crew.members[1]) == f"<Member 1 pid {os.getpid()}>"


async def test_each_gets_the_next_one_too(office: Office) -> None:
    workers = [await office.worker(1), await office.worker(2)]

    await take_up(office.registry, "c")

    await come_true(lambda: [names(each.registry) for each in workers] == [["c"], ["c"]])


async def test_who_comes_learns_what_is_known_of_servers(office: Office) -> None:
    await take_up(office.registry, "a")
    cluster = office.registry.current.servers[b"a"].cluster
    cluster.probed(cluster.endpoints[0], Verdict.UNREACHABLE, "refused", 0.0)

    worker = await office.worker()

    endpoint = worker.registry.current.servers[b"a"].cluster.endpoints[0]
    await come_true(lambda: endpoint.verdict is Verdict.UNREACHABLE)


async def test_what_one_learns_the_office_and_the_others_know(office: Office) -> None:
    await take_up(office.registry, "a")
    one, other = await office.worker(1), await office.worker(2)
    clusters = [each.registry.current.servers[b"a"].cluster for each in (one, other, office)]
    now = 1.0

    for _ in range(5):
        clusters[0].call_failed(clusters[0].begin(now), now)

    await come_true(lambda: not any(each.circuit.closed for each in clusters))
    assert [each.circuit.state_changes for each in clusters] == [1, 1, 1]


async def test_all_are_asked_and_who_does_not_answer_is_left_out(office: Office) -> None:
    for slot in (1, 2):
        worker = await office.worker(slot)
        if slot == 1:
            worker.post.hears["who"] = lambda _: "I"

    assert await office.crew.ask_all("who", within_s=0.05) == {1: "I"}


async def test_what_workers_ask_is_answered_by_who_has_said_so(office: Office) -> None:
    office.crew.serve("add", lambda _, one, other: one + other)
    worker = await office.worker()

    assert await worker.post.ask("add", 1, 2) == 3


async def test_who_keeps_something_of_a_member_is_told_when_it_leaves(office: Office) -> None:
    left: list[Member] = []
    office.crew.on_leave(left.append)
    worker = await office.worker(3)

    await office.dies(worker)

    assert [each.slot for each in left] == [3]
    await office.crew.gone()


async def test_another_process_takes_the_place_of_one_that_is_still_there(office: Office) -> None:
    left: list[Member] = []
    office.crew.on_leave(left.append)
    await office.worker(1)
    before = office.crew.members[1]

    await office.worker(1)

    assert left == [before]
    assert office.crew.members[1].link is not before.link
