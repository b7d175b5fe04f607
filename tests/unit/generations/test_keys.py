import os
from pathlib import Path

import orjson
import pytest
from cryptography.hazmat.primitives.serialization import (
    NoEncryption,
)

from proxy.artifact import TrustedKey, public_document
from proxy.generations.keys import KeysError, read_trusted
from tests.support.signatures import NOW_S, private_key

PLAIN = NoEncryption()
ENDS = "2027-01-15T08:00:00Z"  # NOW_S
LATER_S = NOW_S + 3600


def written(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def public(path: Path, seed: int, expires_at: float | None = None) -> str:
    """A public key in a file, and its id."""
    key = TrustedKey(private_key(seed).public_key, expires_at)
    path.write_bytes(orjson.dumps(public_document(key, ENDS)))
    return key.key_id


def test_one_broken_file_takes_no_other_key_away(tmp_path: Path) -> None:
    good = public(tmp_path / "good.pub", 1)
    (tmp_path / "broken.pub").write_text("{")
    (tmp_path / "folder.pub").mkdir()
    (tmp_path / "loop.pub").symlink_to("loop.pub")
    (tmp_path / "gone.pub").symlink_to("nowhere")
    (tmp_path / "large.pub").write_bytes(b" " * 20_000)
    os.mkfifo(tmp_path / "pipe.pub")

    trusted = read_trusted(tmp_path)

    assert trusted.names == {good: "good"}
    named = [Path(trouble.partition(" ")[0]).stem for trouble in trusted.troubles]
    assert named == ["broken", "folder", "gone", "large", "loop", "pipe"]


def test_a_key_under_another_s_id_is_broken(tmp_path: Path) -> None:
    good = public(tmp_path / "good.pub", 1)
    forged = orjson.loads((tmp_path / "good.pub").read_bytes())
    other = TrustedKey(private_key(2).public_key)
    forged["public_key"] = public_document(other, ENDS)["public_key"]
    (tmp_path / "forged.pub").write_bytes(orjson.dumps(forged))

    trusted = read_trusted(tmp_path)

    assert (list(trusted.keys), len(trusted.troubles)) == ([good], 1)


def test_what_does_not_end_in_pub_is_left_alone(tmp_path: Path) -> None:
    good = public(tmp_path / "good.pub", 1)
    public(tmp_path / "good.pub.bak", 2)
    (tmp_path / "README").write_text("words")

    trusted = read_trusted(tmp_path)

    assert (list(trusted.keys), trusted.troubles) == ([good], ())


@pytest.mark.parametrize("ends", [(LATER_S, NOW_S), (NOW_S, LATER_S), (None, NOW_S), (NOW_S, None)])
def test_of_a_key_in_two_files_the_sooner_end_holds(
    tmp_path: Path, ends: tuple[float | None, float | None]
) -> None:
    for name, each in zip("ab", ends, strict=True):
        public(tmp_path / f"{name}.pub", 1, each)

    trusted = read_trusted(tmp_path)

    key_id = private_key(1).key_id
    assert (trusted.keys[key_id].expires_at, trusted.names) == (NOW_S, {key_id: "a"})


def test_two_keys_never_share_an_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.artifact.key_id_of", lambda _: "0" * 16)
    public(tmp_path / "a.pub", 1)
    public(tmp_path / "b.pub", 2, NOW_S)

    trusted = read_trusted(tmp_path)

    assert trusted.keys == {"0" * 16: TrustedKey(private_key(1).public_key)}
    assert (trusted.names, len(trusted.troubles)) == ({"0" * 16: "a"}, 1)


def test_a_mounted_config_map_is_read(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    good = public(tmp_path / "..2026" / "good.pub", 1)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "good.pub").symlink_to("..data/good.pub")

    assert read_trusted(tmp_path) == read_trusted(tmp_path / "..data")
    assert list(read_trusted(str(tmp_path)).keys) == [good]


@pytest.mark.parametrize("folder", ["absent", "file", "nul\x00", "loop"])
def test_a_folder_that_is_none_is_said(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises(KeysError, match="trusted keys cannot be read"):
        read_trusted(tmp_path / folder)


def test_a_folder_without_a_key_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="no file in it ends in"):
        read_trusted(tmp_path)


def test_a_folder_of_broken_keys_says_what_is_wrong_with_some(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"{number}.pub").write_text("{}")

    with pytest.raises(KeysError, match="holds no trusted key") as refused:
        read_trusted(tmp_path)

    assert str(refused.value).count("is no public key") == 3


def test_no_key_of_too_many_is_taken(tmp_path: Path) -> None:
    for number in range(101):
        (tmp_path / f"{number}.pub").write_text("{}")

    with pytest.raises(KeysError, match="more than 100 keys"):
        read_trusted(tmp_path)


def test_a_folder_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.generations.keys._MOST_ENTRIES", 2)
    public(tmp_path / "good.pub", 1)
    for name in "ab":
        (tmp_path / name).write_text("")

    with pytest.raises(KeysError, match="or 2 files"):
        read_trusted(tmp_path)
