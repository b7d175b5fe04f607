"""Facts about objects: what is read is what its name says, or is refused."""

from pathlib import Path

import pytest

from proxy.generations.files import Folder, StoreError
from proxy.generations.objects import CorruptError, MissingError, Objects
from tests.support.store_scene import kept, name, octets


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(Folder(str(tmp_path)))


def place(folder: Path, generation: str) -> Path:
    return folder / "objects" / generation[:2] / f"{generation[2:]}.json"


def test_what_was_kept_is_read(objects: Objects, tmp_path: Path) -> None:
    objects.keep(name(1), octets(1))

    assert objects.read(name(1)) == octets(1)
    assert place(tmp_path, name(1)).read_bytes() == octets(1)


def test_what_is_there_is_not_written_again(objects: Objects, tmp_path: Path) -> None:
    objects.keep(name(1), octets(1))
    before = place(tmp_path, name(1)).stat().st_ino

    objects.keep(name(1), octets(1))

    assert place(tmp_path, name(1)).stat().st_ino == before


@pytest.mark.parametrize("found", [b"", b'{"n":2}', b'{"n":1', b'{"n":1}\n'])
def test_a_corrupt_object_is_refused_until_it_is_kept_again(
    objects: Objects, tmp_path: Path, found: bytes
) -> None:
    objects.keep(name(1), octets(1))
    place(tmp_path, name(1)).write_bytes(found)

    with pytest.raises(CorruptError, match=f"{name(1)} is corrupt: its content has another SHA"):
        objects.read(name(1))
    objects.keep(name(1), octets(1))

    assert objects.read(name(1)) == octets(1)


def test_a_link_is_no_object(objects: Objects, tmp_path: Path) -> None:
    path = place(tmp_path, name(1))
    path.parent.mkdir(parents=True)
    (tmp_path / "outside").write_bytes(octets(1))
    path.symlink_to(tmp_path / "outside")

    with pytest.raises(CorruptError, match="no regular file"):
        objects.read(name(1))


def test_nothing_is_kept_under_a_name_that_is_not_its_own(objects: Objects, tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="what was to be kept has another SHA-256"):
        objects.keep(name(1), octets(2))

    assert kept(tmp_path) == set()


@pytest.mark.parametrize(
    "generation", ["", "ab", "../../etc/passwd", name(1).upper(), name(1) + "\n", name(1) + "0"]
)
def test_what_is_no_generation_leads_nowhere(objects: Objects, generation: str) -> None:
    with pytest.raises(MissingError, match="64 lower-case hexadecimal digits"):
        objects.read(generation)
    with pytest.raises(MissingError, match="8 to 64 lower-case"):
        objects.find(generation)


def test_one_that_was_never_kept_is_missing(objects: Objects) -> None:
    with pytest.raises(MissingError, match=f"{name(1)} is not in the store"):
        objects.read(name(1))
    with pytest.raises(MissingError, match=f"{name(1)} is not in the store"):
        objects.find(name(1))


@pytest.mark.parametrize("digits", [8, 9, 63, 64])
def test_a_beginning_finds_the_one_that_has_it(objects: Objects, digits: int) -> None:
    for number in range(20):
        objects.keep(name(number), octets(number))

    assert objects.find(name(7)[:digits]) == name(7)


def test_a_beginning_of_several_names_them(objects: Objects, tmp_path: Path) -> None:
    twins = ["ab" * 20 + "0" * 24, "ab" * 20 + "1" * 24]
    for each in twins:
        place(tmp_path, each).parent.mkdir(parents=True, exist_ok=True)
        place(tmp_path, each).touch()

    with pytest.raises(StoreError, match=f"begins 2 generations \\({', '.join(twins)}\\)") as told:
        objects.find("ab" * 10)

    assert not isinstance(told.value, MissingError)


def test_all_are_those_with_a_name_of_ours(objects: Objects, tmp_path: Path) -> None:
    objects.keep(name(1), octets(1))
    objects.keep(name(2), octets(2))
    (tmp_path / "objects" / "README").touch()
    (place(tmp_path, name(1)).parent / "notes.json").touch()

    assert objects.all() == {name(1), name(2)}

    objects.remove(name(2))
    assert objects.all() == {name(1)}
