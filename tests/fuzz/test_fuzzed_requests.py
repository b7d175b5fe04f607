"""Odd requests through a real sidecar: nothing odd is forwarded, and nothing is left of them."""

import sys
from pathlib import Path

import pytest

from tests.support.fuzz_run import fuzz_requests

MESSAGES = 50_000


pytestmark = [
    pytest.mark.sockets,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="each caller has an address of its own"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_only_strict_requests_of_their_callers_are_forwarded(tmp_path: Path, seed: int) -> None:
    figures = fuzz_requests(tmp_path, seed, MESSAGES)

    print(figures)  # noqa: T201 - what was done in so many messages
    assert figures.messages >= MESSAGES
