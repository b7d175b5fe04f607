"""The load command in a process of its own, and what it wrote."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

COMMAND: Final = (sys.executable, "-W", "error", "-m", "benchmarks.load")
ROOT: Final = Path(__file__).parents[3]
WITHIN_S: Final = 30.0


@dataclass(frozen=True)
class Done:
    """How a load ended, and what it said; `figures` is its JSON document, if it wrote one."""

    status: int
    said: str
    complained: str
    figures: Any


Load = Callable[..., Done]


def start_load(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own command, built of constants
        [*COMMAND, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str], path: Path) -> Done:
    said, complained = process.communicate(timeout=WITHIN_S)
    figures = orjson.loads(path.read_bytes()) if path.exists() else None
    return Done(process.returncode, said, complained, figures)


def run_load(path: Path, *arguments: str) -> Done:
    """To its end; the JSON document goes to `path`."""
    return ended(start_load(*arguments, "--json", str(path)), path)
