import os
import stat
from pathlib import Path
from typing import IO, Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from proxy.artifact import TrustedKey, public_document
from proxy.generations.keys import KeysError, make_keys, read_private, read_trusted
from tests.support.signatures import NOW_S, private_key

PLAIN = NoEncryption()
ENDS = "2027-01-15T08:00:00Z"  # NOW_S
LATER_S = NOW_S + 3600


def pem(encryption: KeySerializationEncryption = PLAIN, *, curve: bool = False) -> bytes:
    key = generate_private_key(SECP256R1()) if curve else Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def written(path: Path, octets: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(octets)
    path.chmod(mode)
    return path


def public(path: Path, seed: int, expires_at: float | None = None) -> str:
    """A public key in a file, and its id."""
    key = TrustedKey(private_key(seed).public_key, expires_at)
    path.write_bytes(orjson.dumps(public_document(key, ENDS)))
    return key.key_id


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_made_signs_and_is_trusted(tmp_path: Path) -> None:
    made = make_keys("fleet", tmp_path / "new", now=NOW_S, expires_at=LATER_S)

    private, trusted = read_private(made.private), read_trusted(tmp_path / "new")
    assert trusted.keys == {private.key_id: TrustedKey(private.public_key, LATER_S)}
    assert (trusted.names, trusted.troubles) == ({private.key_id: "fleet"}, ())


def test_only_the_owner_can_open_a_private_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_keys("fleet", tmp_path / "keys", now=NOW_S, public_folder=tmp_path / "trusted")
    finally:
        os.umask(before)

    paths = (made.private, made.private.parent, made.public, made.public.parent)
    assert [oct(mode_of(path)) for path in paths] == ["0o600", "0o700", "0o644", "0o755"]


def test_a_private_key_is_never_open_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    write = os.fdopen

    def looking(handle: int, mode: str) -> IO[Any]:
        seen.append(oct(stat.S_IMODE(os.fstat(handle).st_mode)))
        return write(handle, mode)

    before = os.umask(0)
    monkeypatch.setattr(os, "fdopen", looking)
    try:
        make_keys("fleet", tmp_path, now=NOW_S)
    finally:
        os.umask(before)

    assert seen == ["0o600", "0o600"]


@pytest.mark.parametrize("there", ["fleet.key", "fleet.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("as it was")

    with pytest.raises(KeysError, match=rf"{there} is there already"):
        make_keys("fleet", tmp_path, now=NOW_S)

    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {there: "as it was"}


def test_a_link_is_not_followed_to_where_a_key_would_be_written(tmp_path: Path) -> None:
    (tmp_path / "fleet.key").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(KeysError, match="is there already"):
        make_keys("fleet", tmp_path, now=NOW_S)

    assert not (tmp_path / "elsewhere").exists()


def test_a_key_that_finds_no_room_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(KeysError, match="cannot be written: No space left"):
        make_keys("fleet", tmp_path, now=NOW_S)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../a", "-a", "a\x00", "é", "a" * 65, "a\n"]
)
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(KeysError, match="name of a key"):
        make_keys(name, tmp_path, now=NOW_S)


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(KeysError, match="cannot be written: Not a directory"):
        make_keys("fleet", tmp_path / "file" / "keys", now=NOW_S)
    with pytest.raises(KeysError, match="file is there already"):
        make_keys("fleet", tmp_path / "file", now=NOW_S)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666, 0o777], ids=oct)
def test_a_private_key_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = written(tmp_path / "a.key", pem(), mode)

    with pytest.raises(KeysError, match="can be used by others"):
        read_private(path)


@pytest.mark.parametrize("mode", [0o600, 0o400], ids=oct)
def test_a_private_key_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path / "a.key", pem(), mode))

    assert len(read_private(tmp_path / "link").sign(b"")) == 64


def test_a_private_key_is_not_shown(tmp_path: Path) -> None:
    octets = pem()
    private = read_private(written(tmp_path / "a.key", octets))

    assert repr(private) == f"<PrivateKey {private.key_id}>"


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        pytest.param(b"", "no private key", id="empty"),
        pytest.param(b"\x00\xff", "no private key", id="binary"),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "no private key", id="cut"),
        pytest.param(pem(BestAvailableEncryption(b"word")), "is encrypted", id="encrypted"),
        pytest.param(pem(curve=True), "no Ed25519 key", id="other-curve"),
        pytest.param(pem() * 200, "longer than", id="too-long"),
    ],
)
def test_what_is_no_private_key_is_refused(tmp_path: Path, octets: bytes, why: str) -> None:
    path = written(tmp_path / "a.key", octets)

    with pytest.raises(KeysError, match=why) as refused:
        read_private(path)

    assert (str(refused.value).startswith(str(path)), "\n" in str(refused.value)) == (True, False)


def test_what_is_no_regular_file_is_no_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()

    for name in ("pipe", "loop", "folder", "absent", "nul\x00"):
        with pytest.raises(KeysError, match="cannot be read"):
            read_private(tmp_path / name)


def test_a_file_that_fails_while_it_is_read_is_no_key() -> None:
    with pytest.raises(KeysError, match="cannot be read: Input/output error"):
        read_private(Path("/proc/self/mem"))  # regular, its owner's alone, and nothing at 0


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
