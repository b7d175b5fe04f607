"""`python -m benchmarks sse`: events to hundreds and thousands of subscribers, beside Nchan."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.figures import Measurements
from benchmarks.peers import nginx
from benchmarks.processes import UnusableError
from benchmarks.report import Setting, case_tables, facts, not_comparable, where, write
from benchmarks.rounds import Plan, measure
from benchmarks.selection import named, take_the_field
from benchmarks.sse.cases import CASES
from benchmarks.sse.hall import WITNESSES
from benchmarks.sse.peers import PEERS

_ROUNDS: Final = 3
_SECONDS: Final = 10.0
_QUICK_ROUNDS: Final = 1
_QUICK_SECONDS: Final = 1.0
_NOT_COMPARABLE: Final = f"""\
- A delay is from the moment at which a call (to Nchan: a publish) was sent to that at which a
  subscriber has read its event, nothing subtracted: the call to the upstream is in the sidecar's.
  {WITNESSES} subscribers, spread evenly among all, take the time and check that each event came
  once and in the same order; the others count.
- CPU time is that of all threads and children of the server, from the first call to the last
  delivery, divided by the deliveries. The calls are in it: the sidecar carries each to an upstream
  and back, Nchan only takes it. "Without the calls'" subtracts what the same calls cost for as
  long without subscribers.
- Loopback: the kernel's work of receiving is in part the sender's time, for all alike. The
  subscribers that count look every 10 ms, so that nobody pays for waking them up.
- The sidecar gathers events for up to 20 ms and writes them together; Nchan writes each at once.
- Memory of a subscriber is resident memory with all of them subscribed and no event yet, less that
  before them, divided by them; of all the server's processes added up. What the kernel holds for
  their sockets counts for nobody.
- The one who reads nothing has small buffers in the kernel. Memory is the peak beside him, less
  what was resident before; by then more events were made than are kept for those who come back.
- Load, subscribers and upstream share the other core. Where it is busy, delays and the calls' p99
  are theirs as well.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cases, peers = (",".join(each.key for each in known) for known in (CASES, PEERS))
    parser.add_argument("--case", metavar="A,B", help=f"only these of {cases}")
    parser.add_argument("--peer", metavar="A,B", help=f"only these of {peers}")
    parser.add_argument(
        "--quick", action="store_true", help="one short round of the first: under a minute"
    )
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {_ROUNDS})")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"of calls with subscribers, and as long without (default {_SECONDS:g})",
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Measure, write `sse.json`, `sse.md` and charts."""
    if why := nginx.missing():
        raise UnusableError(f"nginx is the upstream here: {why}")
    cases = named("case", CASES, options.case)
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
    write(options.results, "sse", facts(setting, plan, measured, _NOT_COMPARABLE), lines)
    return 0


def _lines(
    setting: Setting, plan: Plan, measured: Measurements, charts: Iterable[str]
) -> Iterator[str]:
    yield from ("# Events to many subscribers", "", "Written by `python -m benchmarks sse`.", "")
    yield from where(setting)
    yield from (f"![]({name})" for name in charts)
    yield ""
    yield from case_tables(plan, measured)
    yield from not_comparable(_NOT_COMPARABLE)


def _charts(folder: Path, note: str, plan: Plan, measured: Measurements) -> list[str]:
    if find_spec("matplotlib") is None:
        print("charts are left out: pip install matplotlib", file=sys.stderr)
        return []
    folder.mkdir(parents=True, exist_ok=True)
    from benchmarks.sse.chart import draw_charts  # noqa: PLC0415 - the tables go without

    return [path.name for path in draw_charts(folder, note, plan, measured)]
