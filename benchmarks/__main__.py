"""`python -m benchmarks verify`: promises with a figure, measured on this machine."""

import argparse
import sys
from pathlib import Path

from benchmarks.verify import verify


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("verify", help="measure every promise; exit 1 when one is missed")
    sub.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    sub.add_argument("--seconds", type=float, default=4.0, help="of load per round (default 4)")
    sub.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    options = parser.parse_args()
    return verify(options.rounds, options.seconds, options.results)


if __name__ == "__main__":
    sys.exit(main())
