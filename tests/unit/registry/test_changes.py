"""Facts about what differs between two snapshots, as events tell it."""

import pytest

from proxy.registry.changes import Change, changes
from proxy.registry.snapshot import Snapshot
from tests.support.successor import successor
from tests.support.witness import Heard

OTHER = "- {namespace: p, name: other, endpoints: [http://10.0.0.5], tools: [{name: call}]}\n"


def snapshot(server: str = "", others: str = "", old: Snapshot | None = None) -> Snapshot:
    new, _ = successor(old or Snapshot(), Heard(), server, others)
    return new


def test_first_snapshot_registers_all() -> None:
    new = snapshot(others=OTHER)

    assert list(changes(Snapshot(), new)) == [
        Change("server_registered", "o"),
        Change("server_registered", "p"),
    ]


def test_same_text_changes_nothing() -> None:
    old = snapshot(others=OTHER)

    assert list(changes(old, snapshot(others=OTHER, old=old))) == []


def test_same_snapshot_changes_nothing() -> None:
    old = snapshot()

    assert list(changes(old, old)) == []


@pytest.mark.parametrize(
    ("server", "keys"),
    [
        ("timeout: 7", {"timeout"}),
        ("endpoints: [http://10.0.0.8]", {"endpoints"}),
        ("tools: [{name: call}]", {"tools"}),
        ("inject_headers: {x-a: b}\nmax_body: 1KiB", {"inject_headers", "max_body"}),
        ("health: {interval: 5s}", {"health"}),
    ],
)
def test_changed_server_is_told_with_the_keys_that_changed(server: str, keys: set[str]) -> None:
    old = snapshot(others=OTHER)

    (change,) = changes(old, snapshot(server, OTHER, old))

    assert (change.event_type, change.namespace, set(change.changes)) == (
        "server_changed",
        "o",
        keys,
    )


def test_server_that_is_gone_comes_last() -> None:
    old = snapshot(others=OTHER)
    third = OTHER.replace("namespace: p", "namespace: q")

    assert list(changes(old, snapshot("timeout: 7", third, old))) == [
        Change("server_changed", "o", ("timeout",)),
        Change("server_registered", "q"),
        Change("server_unregistered", "p"),
    ]


def test_values_are_never_told() -> None:
    old = snapshot()

    told = list(changes(old, snapshot("inject_headers: {authorization: Bearer s3cret}", old=old)))

    assert "s3cret" not in repr(told)
