import threading
from pathlib import Path
from typing import Final

import pytest

from proxy.people.unusable import UnusableError
from proxy.publishing import file_target
from proxy.publishing.file_target import FileTarget
from proxy.publishing.files import replace_octets
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There
from tests.support.signatures import signed

DOCUMENT: Final[dict[str, object]] = {"servers": []}
TEXT = b"servers: []  # none\n"
OLD, NEW = (Parcel(TEXT, b'{"servers":[]}', signed(DOCUMENT, version=n)) for n in (1, 2))
UNSIGNED = Parcel(TEXT, b'{"servers":[]}', None)


def quiet(gone: int, total: int) -> None:
    raise AssertionError((gone, total))


def test_nothing_lies_where_there_is_no_file(tmp_path: Path) -> None:
    assert FileTarget(str(tmp_path / "a.yaml")).look() is None


def test_a_text_has_its_signature_beside_it(tmp_path: Path) -> None:
    target = FileTarget(str(tmp_path / "a.yaml"))

    target.put(NEW, None, quiet)

    assert target.look() == There(TEXT, NEW.signature)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.yaml", "a.yaml.sig"]


def test_json_is_one_artifact(tmp_path: Path) -> None:
    target = FileTarget(str(tmp_path / "a.json"))

    target.put(NEW, None, quiet)

    assert target.look() == There(NEW.artifact)
    assert [each.name for each in tmp_path.iterdir()] == ["a.json"]


def test_an_old_signature_goes_with_its_text(tmp_path: Path) -> None:
    target = FileTarget(str(tmp_path / "a.yaml"))
    target.put(OLD, None, quiet)

    target.put(UNSIGNED, target.look(), quiet)

    assert target.look() == There(TEXT, None)


def test_the_signature_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def noted(path: Path, octets: bytes) -> None:
        written.append(path.name)
        replace_octets(path, octets)

    monkeypatch.setattr(file_target, "replace_octets", noted)

    FileTarget(str(tmp_path / "a.yaml")).put(NEW, None, quiet)

    assert written == ["a.yaml.sig", "a.yaml"]


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_what_somebody_else_published_meanwhile_stays(tmp_path: Path, name: str) -> None:
    target = FileTarget(str(tmp_path / name))
    target.put(OLD, None, quiet)
    there = target.look()
    target.put(NEW, there, quiet)

    with pytest.raises(RefusedError, match="by somebody else meanwhile"):
        target.put(OLD, there, quiet)
    with pytest.raises(RefusedError, match="by somebody else meanwhile"):
        target.put(OLD, None, quiet)

    assert target.look() == (
        There(NEW.artifact) if name == "a.json" else There(TEXT, NEW.signature)
    )


def test_of_many_publishers_at_once_one_comes_through(tmp_path: Path) -> None:
    done: list[str] = []

    def publish() -> None:
        try:
            FileTarget(str(tmp_path / "a.json")).put(NEW, None, quiet)
        except RefusedError:
            done.append("refused")
        else:
            done.append("published")

    publishers = [threading.Thread(target=publish) for _ in range(20)]
    for each in publishers:
        each.start()
    for each in publishers:
        each.join()

    assert (done.count("published"), done.count("refused")) == (1, 19)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnusableError, match="gone cannot be written to: No such file"):
        FileTarget(str(tmp_path / "gone" / "a.yaml")).put(NEW, None, quiet)


@pytest.mark.parametrize("name", ["a.yaml", "a.yaml.sig"])
def test_what_is_no_file_is_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.yaml").write_bytes(TEXT)
    (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / name).mkdir()

    with pytest.raises(UnusableError, match=f"{name} cannot be read"):
        FileTarget(str(tmp_path / "a.yaml")).look()
