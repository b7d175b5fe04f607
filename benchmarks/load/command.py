"""`load`: what it can be told, and how it ends.

Exit status 0 every gate met, 1 a gate missed, 2 unusable arguments or a target out of reach.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from benchmarks.load.plan import Plan
from benchmarks.load.request import PlanError, UnreachableError

DESCRIPTION: Final = "Load-test a deployment of your own; exit status 1 when a gate is missed."
_UNUSABLE: Final = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m benchmarks.load`, which is `python -m benchmarks load`; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=DESCRIPTION)
    add_arguments(parser)
    return run(parser.parse_args(arguments))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Everything that `run` reads, as it was written; `Plan` makes sense of it."""
    parser.add_argument("url", metavar="URL", help="http://... or https://...")
    _add_load(parser.add_argument_group("load").add_argument)
    _add_request(parser.add_argument_group("request").add_argument)
    _add_gates(parser.add_argument_group("gates").add_argument)
    report = parser.add_argument_group("report")
    report.add_argument("--json", metavar="FILE", help="all figures; - for standard output")
    report.add_argument("--png", metavar="FILE", help="latency over time, and percentiles")


def _add_load(add: Callable[..., object]) -> None:
    add("--rate", metavar="N", help="open loop: N calls/s, whatever comes back")
    add("-c", "--connections", metavar="N", default="32", help="(32); each waits for its answer")
    add("-d", "--duration", metavar="TIME", default="10s", help="of the measured part (10s)")
    add("--ramp", metavar="TIME", default="0", help="to rise to the full rate or connections")
    add("--warmup", metavar="TIME", default="0", help="first, and not measured")
    add("--timeout", metavar="TIME", default="10s", help="for an answer, or to connect (10s)")


def _add_request(add: Callable[..., object]) -> None:
    add("--method", metavar="NAME", help="(POST with a body, else GET)")
    add("--body", metavar="TEXT|@FILE", default="", help="sent with every call")
    add(
        "--header",
        metavar="LINE|@FILE",
        dest="headers",
        action="append",
        default=[],
        help="'Name: value'; of a file, each line; may be repeated",
    )
    add("--unix", metavar="PATH", help="a Unix socket to connect to instead of the URL's host")
    add("--insecure", action="store_true", help="take any certificate")
    add("--cacert", metavar="FILE", help="authorities to trust instead of the system's")


def _add_gates(add: Callable[..., object]) -> None:
    for name in ("p50", "p90", "p99", "p999"):
        add(f"--{name}", metavar="TIME", help="at most so much, as in 20ms")
    add("--errors", metavar="PERCENT", help="at most so many of the calls, as in 0.1%%")
    add("--min-rate", metavar="N", help="at least so many calls/s without an error")


def run(options: argparse.Namespace) -> int:
    """Carry the load out, say what was measured; the exit status."""
    try:
        plan = Plan.of(options)
        _check_extras(options.png)
        _check_writable(options.json, options.png)
        # Imported here: `--help` needs neither event loop nor histograms.
        from benchmarks.load.session import session  # noqa: PLC0415

        return session(plan, options.json, options.png)
    except (PlanError, UnreachableError) as error:
        reason = str(error)
    except KeyboardInterrupt:
        reason = "interrupted before the first call"
    print(f"load: {reason}", file=sys.stderr)
    return _UNUSABLE


def _check_extras(png: str | None) -> None:
    wanted = {"hdrh": "hdrhistogram"} | ({"matplotlib": "matplotlib"} if png else {})
    missing = [package for module, package in wanted.items() if find_spec(module) is None]
    if missing:
        named = " and ".join(missing)
        raise PlanError(f"this needs {named}: pip install 'toolproxy[bench]'")


def _check_writable(*names: str | None) -> None:
    """Better now than after the load."""
    for name in names:
        if name is None:
            continue
        folder = Path(name).parent
        if not os.access(folder, os.W_OK) or Path(name).is_dir():
            raise PlanError(f"{name}: no file can be written there")
