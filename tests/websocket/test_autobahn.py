"""Autobahn's fuzzing cases give the same verdict through the sidecar as without it.

`AUTOBAHN=all` plays the slow ones too: limits (9.*) and compression (12.*, 13.*), some minutes.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.loop_thread import LoopThread
from tests.support.sidecar import server
from tests.support.starters import StartSidecar
from tests.support.websocket_echo import EchoServer
from tests.websocket import suite

ALL: Final = os.environ.get("AUTOBAHN") == "all"
QUICK: Final = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
SLOW: Final = ["9.*", "12.*", "13.*"]
QUICK_CASES: Final = 247
WITHIN_S: Final = 1800 if ALL else 150
AGAIN: Final = 3
Verdicts = dict[str, list[str]]
FUZZER: Final = Path(__file__).with_name("fuzzer.py")


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    try:
        return suite.install(tmp_path / "autobahn")
    except suite.UnreachableError as error:
        pytest.skip(f"Autobahn's cases can't be fetched: {error}")


@pytest.fixture
def echo_server(loop_thread: LoopThread) -> Iterator[EchoServer]:
    started = EchoServer()
    loop_thread.run(started.start())
    yield started
    loop_thread.run(started.stop())


class Play:
    """Plays cases against the echo server, and against it through the sidecar."""

    def __init__(self, cases: Path, direct: str, through: str) -> None:
        self._cases = cases
        self._urls = (direct, through)

    def verdicts(self, patterns: list[str]) -> tuple[Verdicts, Verdicts]:
        """Of both, by case: how it went, and how the connection ended."""
        done = subprocess.run(  # noqa: S603 - our own program, with constants
            [sys.executable, str(FUZZER), str(self._cases), orjson.dumps(patterns), *self._urls],
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        found = orjson.loads(done.stdout)
        direct, through = (found[url] for url in self._urls)
        return direct, through


@pytest.mark.timeout(WITHIN_S + 60)
def test_verdicts_are_the_same_through_the_sidecar(
    cases: Path, echo_server: EchoServer, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("e", echo_server.url, passthrough=True))
    play = Play(
        cases,
        f"ws://127.0.0.1:{echo_server.port}/echo",
        f"ws://127.0.0.1:{sidecar.port}/servers/e/echo",
    )

    direct, through = play.verdicts(QUICK + SLOW * ALL)

    assert len(direct) >= QUICK_CASES
    assert sum(behavior == "OK" for behavior, _ in direct.values()) > QUICK_CASES * 0.9
    # Whether an end was clean is a matter of milliseconds, on either way: what differs plays again.
    for _ in range(AGAIN):
        differing = [case for case in direct if direct[case] != through[case]]
        if differing:
            once_more = play.verdicts(differing)
            direct |= once_more[0]
            through |= once_more[1]
    assert through == direct
