import os
import stat
from pathlib import Path
from typing import IO, Any

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

from proxy.artifact import TrustedKey
from proxy.generations.keys import KeysError, read_trusted
from proxy.publishing.private_keys import make_keys, read_private
from tests.support.signatures import NOW_S

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
