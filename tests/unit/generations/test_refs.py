"""Facts about refs: a broken one is as good as none and is told, and none leads out."""

import os
from pathlib import Path

import pytest

from proxy.artifact import Floor
from proxy.generations import refs as refs_module
from proxy.generations.files import Folder, StoreError
from proxy.generations.records import Active, Latest, Published
from proxy.generations.refs import Refs
from tests.support.store_scene import AT, activation, name, signed

ACTIVE = Active(activation(1, signed(1)), name(2))
PUBLISHED = Published(name(1), AT, signed(1))
NOT_NAMES = ["", ".", "..", ".hidden", "a/b", "a" * 65, "a b", "a\n", "é", "a\0"]


@pytest.fixture
def problems() -> dict[str, str]:
    return {}


@pytest.fixture
def refs(tmp_path: Path, problems: dict[str, str]) -> Refs:
    return Refs(Folder(str(tmp_path)), problems)


def test_what_was_set_is_what_is_meant(refs: Refs) -> None:
    latest = Latest(name(1), AT, None, "rejected")

    refs.set_active(ACTIVE)
    refs.set_latest(latest)
    refs.set_floors({"default": Floor(3, name(1))})
    refs.set_published("client", "prod.eu-1", PUBLISHED)

    assert (refs.active(), refs.latest()) == (ACTIVE, latest)
    assert refs.floors() == {"default": Floor(3, name(1))}
    assert refs.published("client", "prod.eu-1") == PUBLISHED
    assert list(refs.all_published()) == [PUBLISHED]


def test_nothing_is_meant_at_first(refs: Refs, problems: dict[str, str]) -> None:
    assert (refs.active(), refs.latest(), refs.floors()) == (None, None, None)
    assert (refs.published("client", "default"), list(refs.all_published())) == (None, [])
    assert problems == {}


@pytest.mark.parametrize("found", [b"", b"{}", b"[1]", b"\xff\x00", b"x" * 600_000])
def test_a_broken_ref_is_none_and_told_until_it_is_set(
    refs: Refs, problems: dict[str, str], tmp_path: Path, found: bytes
) -> None:
    (tmp_path / "refs").mkdir()
    (tmp_path / "refs" / "active").write_bytes(found)

    assert refs.active() is None
    assert "refs/active is broken, and taken for missing: " in problems["refs/active"]

    refs.set_active(ACTIVE)
    assert (refs.active(), problems) == (ACTIVE, {})


def test_a_folder_in_place_of_a_ref_is_told(
    refs: Refs, problems: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "refs" / "active").mkdir(parents=True)

    assert (refs.active(), list(problems)) == (None, ["refs/active"])
    with pytest.raises(StoreError, match="refs/active: is a directory; move away"):
        refs.set_active(ACTIVE)


def test_a_ref_that_cannot_be_asked_is_not_taken_for_missing(
    refs: Refs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "open", no_more)

    with pytest.raises(StoreError, match="too many open files"):
        refs.floors()


@pytest.mark.parametrize("bad", NOT_NAMES)
def test_what_is_no_name_leads_nowhere(refs: Refs, tmp_path: Path, bad: str) -> None:
    for client, profile in ((bad, "a"), ("a", bad)):
        assert refs.published(client, profile) is None
        with pytest.raises(StoreError, match="a client or profile has up to 64 letters"):
            refs.set_published(client, profile, PUBLISHED)

    assert list(tmp_path.iterdir()) == []


def test_profiles_have_a_bound(refs: Refs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refs_module, "MOST_PROFILES", 3)
    for client, profile in (("a", "x"), ("a", "y"), ("b", "x")):
        refs.set_published(client, profile, PUBLISHED)

    refs.set_published("a", "y", PUBLISHED)
    with pytest.raises(StoreError, match="there are 3 profiles already: remove some"):
        refs.set_published("b", "y", PUBLISHED)

    assert len(list(refs.all_published())) == 3


def test_what_could_not_be_read_again_is_told(refs: Refs) -> None:
    with pytest.raises(StoreError, match="refs/active cannot be written down: "):
        refs.set_active(Active(activation(1), "x"))
