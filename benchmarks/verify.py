"""`python -m benchmarks verify`: every promise with a figure, measured here and judged."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import Measurements
from benchmarks.peers.builds import OURS
from benchmarks.peers.peer import Peer
from benchmarks.peers.toolproxy import COMPILED, TOOLPROXY
from benchmarks.progress import Progress
from benchmarks.promises import PROMISES
from benchmarks.report import Setting, case_tables, facts, not_comparable, where, write
from benchmarks.rounds import measure
from benchmarks.selection import Field, take_the_field
from benchmarks.sources import Evidence
from benchmarks.verdicts import LOADS, Verdict, as_rows, judge, needed, verdict_table

_ROUNDS: Final = 5
_SECONDS: Final = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rounds", type=int, default=_ROUNDS, help=f"interleaved rounds (default {_ROUNDS})"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        help=f"of load for each case and proxy in a round (default {_SECONDS:g})",
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Measure, print, write `verify.json` and `verify.md`; 1 when a promise is missed."""
    beside = {peer for promise in PROMISES for peer in promise.source.beside}
    field = take_the_field({*beside, TOOLPROXY, COMPILED}, LOADS, patient=True)
    builds = [build for build in (COMPILED, TOOLPROXY) if build in field.versions]
    plan = needed(PROMISES, field, builds)
    measured = measure(plan, options.rounds, options.seconds)
    verdicts = _judge_builds(builds, field, measured)
    setting = Setting(field, options.rounds, options.seconds)
    content = facts(setting, plan, measured)
    content["promises"] = [row for build in builds for row in as_rows(build, verdicts[build])]
    lines = (
        *_promises(verdicts),
        "## Where and with what",
        "",
        *where(setting),
        "## Loads",
        "",
        *case_tables(plan, measured),
        *not_comparable(),
    )
    write(options.results, "verify", content, lines)
    return 0 if all(each.kept for each in verdicts[builds[0]]) else 1


def _judge_builds(
    builds: Sequence[Peer], field: Field, measured: Measurements
) -> dict[Peer, list[Verdict]]:
    """The first build on every promise, the others on those that differ between builds."""
    turns = [
        (build, promise)
        for build in builds
        for promise in PROMISES
        if build is builds[0] or promise.source.of_a_build
    ]
    verdicts: dict[Peer, list[Verdict]] = {build: [] for build in builds}
    with Progress(len(turns)) as progress:
        for build, promise in turns:
            progress.at(promise.words)
            verdict = judge(promise, field, Evidence(measured, build, OURS.best_home()))
            verdicts[build].append(verdict)
    return verdicts


def _promises(verdicts: Mapping[Peer, Sequence[Verdict]]) -> Iterator[str]:
    (judged, first), *others = verdicts.items()
    yield from ("# What is promised, and what was measured", "")
    yield f"Written by `python -m benchmarks verify`; judged: {judged.title}."
    yield from verdict_table(first)
    for build, also in others:
        yield f"For information, the other build by the same bars: {build.title}."
        yield from verdict_table(also)
