from pathlib import Path
from typing import Final

import pytest

from proxy.artifact import canonical, identity
from proxy.generations.records import Activation, Latest
from proxy.generations.store import Store
from proxy.people.unusable import UnusableError
from proxy.publishing import stored
from proxy.publishing.refusal import RefusedError
from tests.support.signatures import PRIVATE, signed

OLD: Final[dict[str, object]] = {"servers": []}
NEW: Final[dict[str, object]] = {"servers": [], "version": "1.0"}
AT: Final = "2027-01-15T08:00:00Z"


def activation(document: object, version: int = 0) -> Activation:
    return Activation(
        at=AT,
        generation=identity(document),
        reason="source",
        change_class=None,
        source="registry.yaml",
        signed=signed(document, version=version) if version else None,
        servers=0,
        tools=0,
    )


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A store in which an unsigned generation ran, and then a signed one."""
    store = Store(str(tmp_path / "store"))
    store.open()
    store.activate(activation(OLD), canonical(OLD))
    store.activate(activation(NEW, 4), canonical(NEW))
    return str(tmp_path / "store")


def test_history_is_newest_first(folder: str) -> None:
    rows = stored.history(folder, 10)["activations"]

    assert isinstance(rows, list)
    shown = [(row["generation"], row["version"], row["signed_by"]) for row in rows]
    assert shown == [(identity(NEW), 4, PRIVATE.key_id), (identity(OLD), None, None)]


def test_history_ends_where_it_is_told_to(folder: str) -> None:
    rows = stored.history(folder, 1)["activations"]

    assert isinstance(rows, list)
    assert len(rows) == 1


def test_a_generation_has_its_signature_if_it_was_signed(folder: str) -> None:
    new, old = (stored.generation(folder, identity(each)[:8]) for each in (NEW, OLD))

    assert new == {
        "artifact_id": identity(NEW),
        "payload": NEW,
        **signed(NEW, version=4).document(),
    }
    assert old == {
        "artifact_id": identity(OLD),
        "payload": OLD,
        "envelope": None,
        "signature": None,
    }


def test_a_status_is_what_was_active_last(folder: str) -> None:
    status = stored.status(folder)

    said = {name: status[name] for name in ("active", "latest", "version", "pinned", "held")}
    assert said == {
        "active": identity(NEW),
        "latest": identity(NEW),
        "version": 4,
        "pinned": False,
        "held": None,
    }


def test_what_is_held_is_said(folder: str) -> None:
    Store(folder).note_latest(Latest(identity(OLD), AT, None, "held"))

    assert stored.status(folder)["held"] == identity(OLD)


def test_nothing_is_written(folder: str) -> None:
    def times() -> list[tuple[str, int]]:
        return sorted((str(each), each.stat().st_mtime_ns) for each in Path(folder).rglob("*"))

    before = times()
    stored.status(folder)
    stored.history(folder, 10)
    stored.generation(folder, identity(OLD))

    assert times() == before


def test_an_empty_folder_has_nothing_to_say(tmp_path: Path) -> None:
    assert stored.history(str(tmp_path), 5) == {"activations": []}
    assert stored.status(str(tmp_path))["active"] is None


def test_what_is_not_there_is_refused(folder: str) -> None:
    with pytest.raises(RefusedError):
        stored.generation(folder, "0" * 64)


def test_what_is_broken_is_not_shown(folder: str) -> None:
    (path,) = Path(folder).rglob(f"{identity(OLD)[2:]}.json")
    path.chmod(0o600)
    path.write_bytes(b'{"servers":[1]}')

    with pytest.raises(UnusableError):
        stored.generation(folder, identity(OLD))


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match=r"--store: .* is no folder"):
        stored.status(str(tmp_path / "gone"))
