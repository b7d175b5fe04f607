"""Keys, signatures and a folder to begin with, by the command; and a sidecar that believes them."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.support.sidecar import READY, ROOT, START_WITHIN_S, environment, run_command


def registry_command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    done = run_command("registry", *map(str, arguments))
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `init` makes."""
    done = registry_command("init", tmp_path / "fleet", "--name", "ops")
    assert done.returncode == 0, done.stderr
    return tmp_path / "fleet"


def verified(folder: Path) -> tuple[int, list[str]]:
    trusted = folder / "trusted_keys"
    done = registry_command("verify", folder / "registry.yaml", "--trusted", trusted)
    findings = orjson.loads(done.stdout)["findings"] if done.stdout else []
    return done.returncode, [finding["code"] for finding in findings]


def started(folder: Path) -> tuple[int, str]:
    """How a sidecar ends that was started in the folder and interrupted once it listens."""
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "run", "-c", "proxy.yaml", "--listen", "127.0.0.1:0"],
        cwd=folder,
        env=environment({"PYTHONPATH": str(ROOT)}),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = ""
        for line in process.stderr or ():
            said += line
            if READY.search(line):
                process.send_signal(signal.SIGINT)
        return process.wait(START_WITHIN_S), said


def shown(*arguments: object) -> str:
    """What a command says to a terminal; both streams lead there."""
    screen, terminal = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "proxy", "registry", *map(str, arguments)],
        cwd=ROOT,
        env=environment({"TERM": "xterm"}),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    ):
        os.close(terminal)
        octets = b""
        with contextlib.suppress(OSError):  # Linux says so when the other side is closed
            while read := os.read(screen, 1 << 16):
                octets += read
    os.close(screen)
    return octets.decode()


def test_a_sidecar_starts_with_what_init_makes(folder: Path) -> None:
    status, said = started(folder)

    assert (status, READY.search(said) is not None) == (0, True), said


def test_a_sidecar_does_not_start_with_what_was_tampered_with(folder: Path) -> None:
    registry = folder / "registry.yaml"
    registry.write_text(registry.read_text().replace("9001", "9002"))

    status, said = started(folder)

    assert (status, READY.search(said)) == (2, None)
    assert "not the one that was signed" in said


def test_what_was_edited_is_signed_anew(folder: Path) -> None:
    registry = folder / "registry.yaml"
    registry.write_text(registry.read_text().replace("9001", "9002"))
    before = verified(folder)

    signed = registry_command("sign", registry, "--key", folder / "keys" / "ops.key")

    assert (signed.returncode, orjson.loads(signed.stdout)["version"]) == (0, 2)
    assert (before, verified(folder)) == ((1, ["TAMPERED"]), (0, []))


def test_keys_follow_one_another(folder: Path, tmp_path: Path) -> None:
    keys, trusted = tmp_path / "keys", folder / "trusted_keys"
    registry = folder / "registry.yaml"

    made = registry_command("keygen", "next", "--dir", keys, "--expires", "365d")
    registry_command("sign", registry, "--key", keys / "next.key")
    too_soon = verified(folder)
    (keys / "next.pub").rename(trusted / "next.pub")
    (trusted / "ops.pub").unlink()

    assert made.returncode == 0
    assert (too_soon, verified(folder)) == ((1, ["UNKNOWN_KEY"]), (0, []))


def test_no_key_is_shown(folder: Path) -> None:
    key = folder / "keys" / "ops.key"
    secret = key.read_text().splitlines()[1]

    said = "".join(
        [
            *(shown("sign", folder / "registry.yaml", "--key", key), shown("init", folder)),
            shown("keygen", "ops", "--dir", folder / "keys"),
        ]
    )

    assert (secret in said, "PRIVATE" in said) == (False, False)


def test_a_key_that_others_can_read_is_refused(folder: Path) -> None:
    key = folder / "keys" / "ops.key"
    key.chmod(0o640)

    done = registry_command("sign", folder / "registry.yaml", "--key", key)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)


def test_words_are_for_a_terminal(folder: Path, tmp_path: Path) -> None:
    registry, key = folder / "registry.yaml", folder / "keys" / "ops.key"

    begun = shown("init", tmp_path / "other")
    made = shown("keygen", "next", "--dir", tmp_path / "keys")
    signed = shown("sign", registry, "--key", key)
    judged = shown("verify", registry, "--trusted", folder / "trusted_keys", "--no-color")

    assert "Keep it where you publish, and never on a sidecar" in begun
    assert "Copy" in made
    assert "expires_at   -\r\n" in made
    assert "version     2\r\n" in signed
    assert "valid       yes\r\n" in judged
    assert "signed_by   ops\r\n" in judged


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["sign"], ["keygen", "../a"], ["keygen", "a", "--expires", "soon"]],
    ids=["nothing", "unknown", "no-file", "path", "expiry"],
)
def test_unusable_arguments_end_with_2(tmp_path: Path, arguments: list[str]) -> None:
    more = ["--dir", str(tmp_path)] if "keygen" in arguments else []

    done = registry_command(*arguments, *more)

    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
