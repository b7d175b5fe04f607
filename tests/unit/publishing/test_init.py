import stat
from pathlib import Path

import pytest

from proxy.config.settings import load_settings
from tests.support.publishing import Desk

FILES = [
    ".gitignore",
    "keys/ops.key",
    "proxy.yaml",
    "registry.yaml",
    "registry.yaml.sig",
    "trusted_keys/ops.pub",
]


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_everything_is_in_its_place(desk: Desk) -> None:
    folder = desk.folder / "new" / "fleet"

    ended = desk.ask("init", folder, "--name", "ops")

    assert (ended.status, ended.err, files_below(folder)) == (0, "", FILES)
    assert ended.document["private_key"] == str(folder / "keys" / "ops.key")


def test_the_sample_is_signed(desk: Desk) -> None:
    desk.ask("init", desk.folder / "new")

    verified = desk.ask(
        "verify",
        desk.folder / "new" / "registry.yaml",
        *("--trusted", desk.folder / "new" / "trusted_keys"),
    )

    assert (verified.status, verified.document["version"]) == (0, 1)
    assert verified.document["findings"] == []


def test_the_settings_take_what_is_signed_alone(desk: Desk) -> None:
    desk.ask("init", desk.folder / "new")

    registry = load_settings(str(desk.folder / "new" / "proxy.yaml"), {}, {}).registry

    assert (registry.require_signature, registry.trusted_keys) == (True, "trusted_keys")


def test_the_store_is_its_owner_s_alone(desk: Desk) -> None:
    desk.ask("init", desk.folder / "new")

    modes = [
        stat.S_IMODE((desk.folder / "new" / name).stat().st_mode)
        for name in ("keys", "var", "var/registry")
    ]
    assert modes == [0o700, 0o700, 0o700]


@pytest.mark.parametrize(
    "there", [*(name.replace("ops", "publisher") for name in FILES), "var/registry/lock"]
)
def test_nothing_is_overwritten(desk: Desk, there: str) -> None:
    folder = desk.folder / "new"
    (folder / there).parent.mkdir(parents=True, exist_ok=True)
    (folder / there).write_text("as it was")

    ended = desk.ask("init", folder)

    assert (ended.status, ended.out) == (2, "")
    assert (files_below(folder), (folder / there).read_text()) == ([there], "as it was")


def test_a_store_that_cannot_be_made_is_said(desk: Desk) -> None:
    (desk.folder / "new").mkdir()
    (desk.folder / "new" / "var").write_text("")

    ended = desk.ask("init", desk.folder / "new")

    assert (ended.status, "var cannot be made" in ended.err) == (2, True)


def test_where_nothing_can_be_is_said(desk: Desk) -> None:
    (desk.folder / "file").write_text("")

    ended = desk.ask("init", desk.folder / "file" / "new")

    assert (ended.status, ended.err.count("\n")) == (2, 1)
