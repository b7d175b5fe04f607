"""Is the command of other tests, which is a fork, the command? It says, holds and ends alike."""

import contextlib
import re
import signal
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.support import forks
from tests.support.hardening_holdings import settled
from tests.support.sidecar import Sidecar, environment, registry, run_command, server

TEXT = registry(server("o", "http://127.0.0.1:9"))
NUMBER = re.compile(r"\d+")


def held(sidecar: Sidecar) -> Counter[str]:
    """The kinds of its descriptors."""
    kinds: Counter[str] = Counter()
    for each in Path(f"/proc/{sidecar.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            kinds[NUMBER.sub("N", each.readlink().name)] += 1
    return kinds


@pytest.mark.parametrize("arguments", [["--version"], ["fly"], ["check", "-c", "/absent"]])
def test_a_fork_says_and_ends_as_an_interpreter_of_its_own(arguments: list[str]) -> None:
    fork, own = (run_command(*arguments, forked=forked) for forked in (True, False))

    assert (fork.returncode, fork.stdout, fork.stderr) == (own.returncode, own.stdout, own.stderr)


def test_a_fork_holds_what_an_interpreter_of_its_own_holds(tmp_path: Path) -> None:
    found = []
    for forked in (True, False):
        sidecar = Sidecar(tmp_path, TEXT, forked=forked)
        found.append(settled(partial(held, sidecar)))
        sidecar.close()

    assert found[0] == found[1]


def test_how_a_fork_was_killed_is_known() -> None:
    piped = forks.start_piped(["demo"], environment({"PORT": "0"}))
    piped.stdout.read(1)  # it runs
    piped.process.send_signal(signal.SIGKILL)

    assert piped.process.wait(10) == -signal.SIGKILL
    piped.close()
