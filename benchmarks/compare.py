"""`python -m benchmarks compare`: what a call costs here and through other proxies, in one run."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.cases import CASES as TOOL_CASES
from benchmarks.dropin.cases import CASES as DROP_IN_CASES
from benchmarks.figures import Measurements
from benchmarks.peers.table import PEERS, SIZES
from benchmarks.peers.toolproxy import COMPILED, JOURNAL, KEYED, MANY_ROUTES, TOOLPROXY
from benchmarks.report import Setting, case_tables, facts, not_comparable, where, write
from benchmarks.rounds import Plan, measure
from benchmarks.selection import named, take_the_field

_ROUNDS: Final = 5
_SECONDS: Final = 1.5
_QUICK_ROUNDS: Final = 1
_QUICK_SECONDS: Final = 0.5
_CASES: Final = (*TOOL_CASES, *DROP_IN_CASES)
_OURS: Final = {each.key for each in (TOOLPROXY, COMPILED, JOURNAL, KEYED, MANY_ROUTES, *SIZES)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cases, peers = (",".join(each.key for each in known) for known in (_CASES, PEERS))
    parser.add_argument("--case", metavar="A,B", help=f"only these of {cases}")
    parser.add_argument("--peer", metavar="A,B", help=f"only these of {peers}")
    parser.add_argument("--quick", action="store_true", help="under a minute, and as rough")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {_ROUNDS})")
    parser.add_argument(
        "--seconds", type=float, help=f"of load for each case and peer (default {_SECONDS:g})"
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Measure, write `compare.json`, `compare.md` and charts; 1 when calls of ours have failed."""
    cases = named("case", _CASES, options.case)
    if options.quick and options.case is None:
        cases = [case for case in cases if case.quick]
    field = take_the_field(named("peer", PEERS, options.peer), cases, patient=not options.quick)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    seconds = options.seconds or (_QUICK_SECONDS if options.quick else _SECONDS)
    plan = field.plan(cases)
    measured = measure(plan, rounds, seconds)
    setting = Setting(field, rounds, seconds)
    charts = _charts(options.results, setting.load, plan, measured)
    lines = _lines(setting, plan, measured, charts)
    write(options.results, "compare", facts(setting, plan, measured), lines)
    return 1 if any(peer in _OURS for _, peer in measured.failed()) else 0


def _lines(
    setting: Setting, plan: Plan, measured: Measurements, charts: Iterable[str]
) -> Iterator[str]:
    yield from ("# What a call costs", "", "Written by `python -m benchmarks compare`.", "")
    yield from where(setting)
    yield from (f"![]({name})" for name in charts)
    yield ""
    yield from case_tables(plan, measured)
    yield from not_comparable()


def _charts(folder: Path, note: str, plan: Plan, measured: Measurements) -> list[str]:
    if find_spec("matplotlib") is None:
        print("charts are left out: pip install matplotlib", file=sys.stderr)
        return []
    folder.mkdir(parents=True, exist_ok=True)
    from benchmarks.charts import draw  # noqa: PLC0415 - a comparison goes without

    return [path.name for path in draw(folder, note, plan, measured)]
