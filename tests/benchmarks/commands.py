"""`python -m benchmarks …` in a process of its own, to its end."""

import subprocess
import sys
from typing import Final

from tests.support.sidecar import ROOT

WITHIN_S: Final = 150.0  # ten times what the longest takes


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
