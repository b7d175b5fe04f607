"""`python -m benchmarks mechanisms`: what each mechanism of a call's way costs the sidecar.

One sidecar for each, which differs from the first in one thing; and one of other sources, if asked.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import wrk
from benchmarks.cases import MANY, OF_CALLS, SMALL, Case, load_small
from benchmarks.figures import CPU, Measurements
from benchmarks.peers.builds import CHECKOUT, Build, Compiled, Plain
from benchmarks.peers.peer import Peer
from benchmarks.peers.toolproxy import Setup
from benchmarks.processes import UnusableError
from benchmarks.report import Setting, case_tables, facts, not_comparable, where, write
from benchmarks.rounds import Plan, measure
from benchmarks.selection import named, take_the_field

_ROUNDS: Final = 15  # short and many: neighbours in a round share the machine's mood
_SECONDS: Final = 0.7
_QUICK_ROUNDS: Final = 3
_QUICK_SECONDS: Final = 0.3
_BESIDE: Final = "beside"
_NOT_COMPARABLE: Final = """\
- All addresses are those of one process, so that no way of balancing can find a better endpoint:
  only what the choice costs is seen. The header that `hash` looks at is in every call of this run.
- The last column is the median of the differences within each round, with the lowest and the
  highest. Where these lie on both sides of zero, do not call it a cost.
"""


class _Mechanism(NamedTuple):
    """What a sidecar's registry says besides the tools."""

    key: str
    title: str
    endpoints: int | None
    server_keys: Sequence[str] = ()
    tool_keys: str = ""


_MECHANISMS: Final = (
    _Mechanism("one", "one endpoint", 1),
    _Mechanism("single", "one endpoint, `attempts: 1`", 1, ("retry: {attempts: 1}",)),
    _Mechanism("idempotent", "one endpoint, `idempotent: true`", 1, tool_keys=", idempotent: true"),
    _Mechanism("round_robin", "three, `round_robin`", None, ("balance: round_robin",)),
    _Mechanism("least_request", "three, `least_request`", None, ("balance: least_request",)),
    _Mechanism("peak_ewma", "three, `peak_ewma`", None, ("balance: peak_ewma",)),
    _Mechanism("hash", "three, `hash`", None, ("balance: {hash: {header: X-Session}}",)),
)
KEYS: Final = tuple(each.key for each in _MECHANISMS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--peer", metavar="A,B", help=f"only these of {','.join(KEYS)}")
    parser.add_argument(
        "--beside",
        type=Path,
        metavar="DIR",
        help="another checkout of the sources, with one endpoint, in the same rounds: what the"
        " others are compared with",
    )
    parser.add_argument(
        "--compiled", action="store_true", help="all of them compiled (a minute for each checkout)"
    )
    parser.add_argument("--quick", action="store_true", help="a few short rounds, and as rough")
    parser.add_argument("--rounds", type=int, help=f"interleaved rounds (default {_ROUNDS})")
    parser.add_argument(
        "--seconds", type=float, help=f"of load for each in a round (default {_SECONDS:g})"
    )
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"), metavar="DIR")


def run(options: argparse.Namespace) -> int:
    """Measure, write `mechanisms.json` and `mechanisms.md`; 1 when calls have failed."""
    build: Callable[[Path], Build] = Compiled if options.compiled else Plain
    peers = [
        *named("peer", [_sidecar(each, build(CHECKOUT)) for each in _MECHANISMS], options.peer)
    ]
    if options.beside is not None:
        peers.insert(0, _other(options.beside.resolve(), build))
    case = _case(peers)
    field = take_the_field(peers, [case], patient=True)
    if field.left_out:
        raise UnusableError("; ".join(f"{title}: {why}" for title, why in field.left_out.items()))
    rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    seconds = options.seconds or (_QUICK_SECONDS if options.quick else _SECONDS)
    plan = field.plan([case])
    measured = measure(plan, rounds, seconds)
    setting = Setting(field, rounds, seconds)
    content = facts(setting, plan, measured, _NOT_COMPARABLE)
    write(options.results, "mechanisms", content, _lines(setting, plan, measured))
    return 1 if measured.failed() else 0


def _lines(setting: Setting, plan: Plan, measured: Measurements) -> Iterator[str]:
    yield from ("# What each mechanism costs", "")
    yield from ("Written by `python -m benchmarks mechanisms`.", "")
    yield from where(setting)
    yield from case_tables(plan, measured)
    yield from not_comparable(_NOT_COMPARABLE)


def _case(peers: Sequence[Peer]) -> Case:
    return Case(
        key="call",
        title="Small call",
        how=f"{SMALL}, {MANY} connections; every head says the same",
        figures=OF_CALLS,
        ratio=CPU,
        more=CPU,
        base=peers[0].key,
        measure=partial(load_small, wrk.SESSION),
        peers=tuple(peers),
    )


def _sidecar(mechanism: _Mechanism, build: Build) -> Peer:
    setup = Setup(
        home=lambda: build.home,
        endpoints=mechanism.endpoints,
        server_keys=mechanism.server_keys,
        tool_keys=mechanism.tool_keys,
    )
    keys = [f"`{each}`" for each in (*mechanism.server_keys, mechanism.tool_keys[2:]) if each]
    return Peer(
        key=mechanism.key,
        title=mechanism.title,
        colour="#2f5fc4",
        apart="; ".join([build.kind, *keys]),
        prepare=build.prepare,
        missing=build.missing,
        version=setup.version,
        launch=setup.launch,
    )


def _other(checkout: Path, build: Callable[[Path], Build]) -> Peer:
    """The first of the mechanisms by the code of another checkout."""
    if why := Plain(checkout).missing():
        raise UnusableError(f"--beside: {why}")
    first = _sidecar(_MECHANISMS[0], build(checkout))
    return replace(first, key=_BESIDE, title=f"{first.title}, the other checkout's")
