import base64
import os
from pathlib import Path

import orjson
import pytest

from proxy.artifact import ArtifactError, TrustedKey, moment, public_document
from proxy.client.trusted_keys import keys_of
from tests.support.signatures import NOW_S, private_key

ONE, OTHER = (TrustedKey(private_key(seed).public_key) for seed in (1, 2))


def write(folder: Path, name: str, key: TrustedKey) -> None:
    (folder / name).write_bytes(orjson.dumps(public_document(key, moment(NOW_S))))


def test_a_folder_is_the_keys_of_its_public_files(tmp_path: Path) -> None:
    write(tmp_path, "one.pub", ONE)
    write(tmp_path, "other.pub", OTHER)
    (tmp_path / "one.key").write_text("nothing of ours")

    assert keys_of(tmp_path) == keys_of(str(tmp_path)) == {ONE.key_id: ONE, OTHER.key_id: OTHER}


def test_a_mapping_has_base64_by_key_id() -> None:
    written = base64.b64encode(ONE.public_key).decode()

    assert keys_of({ONE.key_id: written}) == {ONE.key_id: ONE}


def test_keys_are_taken_as_they_are() -> None:
    assert keys_of(iter([ONE, OTHER])) == {ONE.key_id: ONE, OTHER.key_id: OTHER}


@pytest.mark.parametrize("ends", [(5.0, None), (None, 5.0), (5.0, 9.0), (9.0, 5.0)], ids=str)
def test_a_key_in_two_files_ends_when_the_first_of_them_does(
    tmp_path: Path, ends: tuple[float | None, float | None]
) -> None:
    for name, expires_at in zip("ab", ends, strict=True):
        write(tmp_path, f"{name}.pub", ONE._replace(expires_at=expires_at))

    assert keys_of(tmp_path)[ONE.key_id].expires_at == 5.0


def test_a_file_that_is_no_key_takes_no_other_one_away(tmp_path: Path) -> None:
    write(tmp_path, "one.pub", ONE)
    (tmp_path / "broken.pub").write_text("{")
    (tmp_path / "folder.pub").mkdir()
    (tmp_path / "gone.pub").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.pub")

    assert keys_of(tmp_path) == {ONE.key_id: ONE}


@pytest.mark.parametrize("given", ["", [], {}], ids=["folder", "keys", "mapping"])
def test_no_key_at_all_is_an_error(tmp_path: Path, given: object) -> None:
    with pytest.raises(ArtifactError, match="no trusted key") as error:
        keys_of(tmp_path if given == "" else given)  # type: ignore[arg-type] # of all kinds

    assert error.value.code == "NO_TRUSTED_KEYS"


def test_too_many_keys_are_an_error(tmp_path: Path) -> None:
    for number in range(101):
        (tmp_path / f"{number}.pub").touch()

    with pytest.raises(ArtifactError, match="more than 100 keys"):
        keys_of(tmp_path)


@pytest.mark.parametrize(
    "written",
    ["", "not base64", base64.b64encode(OTHER.public_key).decode()],
    ids=["empty", "no-base64", "another"],
)
def test_a_key_is_the_one_that_its_id_names(written: str) -> None:
    with pytest.raises(ArtifactError, match="another one, or none") as error:
        keys_of({ONE.key_id: written})

    assert error.value.code == "BAD_KEY"
