"""`python -m benchmarks replicas`: one of three replicas goes bad, behind each of the proxies."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.figures import Measurements, Window
from benchmarks.replicas.cases import CASES, RATE_PER_S, cases
from benchmarks.replicas.course import OVERSLEPT, TRAIL, WINDOW_S, typical
from benchmarks.replicas.peers import PEERS
from benchmarks.report import Setting, case_tables, facts, not_comparable, where, write
from benchmarks.rounds import Plan, measure
from benchmarks.selection import named, take_the_field

_ROUNDS: Final = 3
_SECONDS: Final = 4.0
_QUICK_ROUNDS: Final = 1
_QUICK_SECONDS: Final = 1.0
_NOT_COMPARABLE: Final = """\
- p99 is that of calls answered without an error, and counts from when a call was due, whatever the
  calls before it waited for. Failed calls are counted beside it: refusing quickly is not fast.
  Where none was answered well, it is 5 000 ms: as long as a caller waits. A call that was due and
  found no free connection until the end has failed.
- Only balancing notices slowness here: ejection, breakers and health checks act on errors.
- Whoever compares calls in flight gives the slow replica one call at a time at least, so 5 in a
  second. That is more than 1 % of fewer than 500 calls/s, and p99 shows it: hence the rate. At
  lower ones only balancing by latency keeps p99 low (`peak_ewma`; and the sidecar's
  `least_request`, which leaves an equal alone that is far behind). The share of calls that took
  100 ms or more tells how near p99 is to that, and a machine that others use brings it nearer:
  calls that were held up leave together, and some of them for the slow replica.
- Calls due within the same millisecond are sent together.
- nginx does not count a 503 as a failure unless `proxy_next_upstream` says so, and never finds one
  that fails fast; its `least_conn`, like any balancing by calls in flight, is drawn to it.
- Proxy, replicas and load share all cores: this compares time, not cost.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    scenes, peers = (",".join(each.key for each in known) for known in (CASES, PEERS))
    parser.add_argument("--case", metavar="A,B", help=f"only these of {scenes}")
    parser.add_argument("--peer", metavar="A,B", help=f"only these of {peers}")
    parser.add_argument(
        "--quick", action="store_true", help="one short round of the slow one: under a minute"
    )
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {_ROUNDS})")
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"of load from 1 s after the change on, in each case (default {_SECONDS:g})",
    )
    parser.add_argument(
        "--rate",
        type=float,
        default=RATE_PER_S,
        metavar="N",
        help=f"calls/s (default {RATE_PER_S:g})",
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Measure, write `replicas.json`, `replicas.md` and a chart."""
    chosen = named("case", cases(options.rate), options.case)
    if options.quick and options.case is None:
        chosen = [case for case in chosen if case.quick]
    field = take_the_field(named("peer", PEERS, options.peer), chosen, patient=not options.quick)
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    seconds = options.seconds or (_QUICK_SECONDS if options.quick else _SECONDS)
    plan = field.plan(chosen)
    measured = measure(plan, rounds, seconds)
    setting = Setting(field, rounds, seconds, pinned=False)
    content = facts(setting, plan, measured, _NOT_COMPARABLE)
    content["window_s"] = WINDOW_S
    content["courses"] = [*_courses(plan, measured)]
    note = f"medians of {rounds} rounds" if rounds > 1 else "one round"
    chart = _chart(options.results, f"of the last {TRAIL * WINDOW_S:g} s, {note}", plan, measured)
    write(options.results, "replicas", content, _lines(setting, plan, measured, chart))
    return 0


def _lines(
    setting: Setting, plan: Plan, measured: Measurements, chart: Sequence[str]
) -> Iterator[str]:
    yield from ("# One bad replica of three", "", "Written by `python -m benchmarks replicas`.", "")
    yield from where(setting)
    yield from (f"![]({name})" for name in chart)
    yield ""
    yield from case_tables(plan, measured)
    late = max(
        percent
        for case, peers in plan
        for peer in peers
        for percent in measured.values(case.key, peer.key, OVERSLEPT)
    )
    yield f"Of a round's calls, the load itself sent at most {late:.2g} % late (by 2 ms or more)."
    yield ""
    yield from not_comparable(_NOT_COMPARABLE)


def _courses(plan: Plan, measured: Measurements) -> Iterator[dict[str, object]]:
    """The median of the rounds for each window, in columns."""
    for case, peers in plan:
        for peer in peers:
            windows = typical(measured.courses(case.key, peer.key))
            yield {
                "case": case.key,
                "peer": peer.key,
                **{name: [getattr(each, name) for each in windows] for name in Window._fields},
            }


def _chart(folder: Path, note: str, plan: Plan, measured: Measurements) -> Sequence[str]:
    if find_spec("matplotlib") is None:
        print("the chart is left out: pip install matplotlib", file=sys.stderr)
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    from benchmarks.replicas.chart import draw  # noqa: PLC0415 - the table goes without

    return [draw(folder, note, plan, measured).name]
