"""Facts about the folder in which processes meet."""

import stat
import tempfile
from pathlib import Path

import pytest

from proxy.workers.place import NoPlaceError, make_place


def test_only_its_owner_can_open_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    place = make_place()

    assert stat.S_IMODE(place.folder.stat().st_mode) == 0o700
    assert {Path(place.links).parent, Path(place.callers).parent} == {place.folder}
    place.remove()
    assert not place.folder.exists()


def test_where_there_is_no_folder_to_be_had_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(**_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkdtemp", none)

    with pytest.raises(NoPlaceError, match="no space left on device"):
        make_place()
