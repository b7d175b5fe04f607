"""The first thing a newcomer runs: three lines to try, and each of them works."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.sidecar import ROOT, environment

CURL = re.compile(r"\bcurl .*")
WITHIN_S = 20.0


@pytest.fixture
def demo() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "demo"],
        cwd=ROOT,
        env=environment({"HOST": "127.0.0.1", "PORT": "0"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        yield process
        process.kill()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("curl"), reason="it prints curl lines")
def test_three_curl_lines_are_printed_and_work(demo: subprocess.Popen[str]) -> None:
    lines = _curl_lines(demo)

    done = [_run(line) for line in lines]

    assert [(each.returncode, bool(each.stdout)) for each in done] == [(0, True)] * 3, done
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(WITHIN_S) == 0


def _run(line: str) -> subprocess.CompletedProcess[bytes]:
    arguments = [*shlex.split(line), "--silent", "--show-error", "--fail", "--max-time", "10"]
    return subprocess.run(arguments, capture_output=True, check=False)  # noqa: S603 - what we print


def _curl_lines(demo: subprocess.Popen[str]) -> list[str]:
    """The three lines, as they are printed; the process stays alive meanwhile."""
    assert demo.stdout
    found: list[str] = []
    said: list[str] = []
    ends_at = time.monotonic() + WITHIN_S
    while len(found) < 3 and time.monotonic() < ends_at and (line := demo.stdout.readline()):
        said.append(line)
        if matched := CURL.search(line):
            found.append(matched[0].strip())
    assert len(found) == 3, said
    return found
