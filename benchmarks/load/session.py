"""One load from plan to exit status: made, told, judged."""

import asyncio
import resource
import sys
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.load.document import document
from benchmarks.load.figures import Figures
from benchmarks.load.generator import generate
from benchmarks.load.plan import Plan
from benchmarks.load.report import Progress, report
from benchmarks.load.verdict import judged

_MISSED: Final = 1
_STDOUT: Final = "-"
_OTHER_DESCRIPTORS: Final = 64


def session(plan: Plan, json: str | None, png: str | None) -> int:
    """Make the load and say what was measured, here and in these files; the exit status."""
    _allow_descriptors(plan.connections + _OTHER_DESCRIPTORS)
    progress = Progress(sys.stderr)
    progress.begin(plan)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(generate(plan, progress.row))
    finally:
        progress.end()
    _tell(plan, figures, json)
    if png is not None:
        from benchmarks.load.chart import draw  # noqa: PLC0415 - matplotlib takes a second

        draw(plan, figures, Path(png))
    return 0 if all(each.met for each in judged(plan.gates, figures)) else _MISSED


def _tell(plan: Plan, figures: Figures, json: str | None) -> None:
    print(report(plan, figures), file=sys.stderr if json == _STDOUT else sys.stdout)
    if json == _STDOUT:
        sys.stdout.buffer.write(document(plan, figures))
    elif json is not None:
        Path(json).write_bytes(document(plan, figures))


def _allow_descriptors(wanted: int) -> None:
    """Most systems start a process with 1024, and let it have more if it asks."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, most), most))
