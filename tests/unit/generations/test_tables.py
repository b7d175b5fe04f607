"""Facts about comparing what runs with what would run."""

import asyncio

import pytest

from proxy.generations import tables
from proxy.generations.severity import ChangeClass
from proxy.generations.tables import compared, specs_after, specs_of
from proxy.registry.live import LiveRegistry
from proxy.registry.load import Loaded, load
from proxy.registry.snapshot import Snapshot
from tests.support.generations_scene import RULES

A = "- {namespace: a, name: a, port: 1, tools: [{name: t}]}\n"
B = "- {namespace: b, name: b, port: 2}\n"
BROKEN_A = A.replace("port: 1", "port: x")


def loaded(*entries: str) -> Loaded:
    return load(("servers:\n" + "".join(entries)).encode(), "registry.yaml", RULES, {})


def running(*entries: str) -> Snapshot:
    registry = LiveRegistry(RULES, {})
    registry.take_first(loaded(*entries))
    return registry.current


def test_specs_are_those_of_the_table() -> None:
    assert specs_of(running(A, B)) == {each.namespace: each for each in loaded(A, B).servers}


def test_specs_after_are_those_of_the_text() -> None:
    assert set(specs_after(running(A), loaded(B))) == {"b"}


def test_server_whose_entry_breaks_stays_what_it_is() -> None:
    before = running(A)

    assert specs_after(before, loaded(BROKEN_A, B))["a"] is before.servers[b"a"].spec


def test_broken_entry_beside_a_good_one_of_its_name_changes_nothing() -> None:
    new = A.replace("name: t", "name: u")
    elsewhere = A.replace("name: a,", "name: other,")  # and so it is set aside

    assert specs_after(running(A), loaded(new, elsewhere)) == specs_of(running(new))


def test_server_that_never_ran_and_is_broken_is_none() -> None:
    assert specs_after(running(B), loaded(B, BROKEN_A, "- 7\n")) == specs_of(running(B))


@pytest.mark.parametrize(
    ("entries", "change"),
    [
        pytest.param((A, B), ChangeClass.COMPATIBLE, id="added"),
        pytest.param((B,), ChangeClass.BREAKING, id="removed"),
        pytest.param((BROKEN_A,), ChangeClass.COMPATIBLE, id="broken"),
    ],
)
async def test_comparison_is_of_what_would_run(
    entries: tuple[str, ...], change: ChangeClass
) -> None:
    found = await compared(running(A), loaded(*entries), same=False)

    assert found.change_class is change


async def test_same_identity_is_cosmetic() -> None:
    found = await compared(running(A), loaded(A), same=True)

    assert (found.change_class, found.status) == (ChangeClass.COSMETIC, "up-to-date")


async def test_loop_goes_on_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_SLICE_S", -1.0)
    many = [A.replace(": a", f": a{n}") for n in range(20)]
    turns = 0

    async with asyncio.TaskGroup() as group:
        comparing = group.create_task(compared(running(*many), loaded(*many), same=False))
        while not comparing.done():
            turns += 1
            await asyncio.sleep(0)

    assert turns > 10
