"""`python -m benchmarks`: compare with other proxies, put under load, verify every promise."""

import argparse
import sys
from importlib import import_module
from typing import Final

from benchmarks.processes import UnusableError

_UNUSABLE: Final = 2
_INTERRUPTED: Final = 130  # as shells say it
# Each has `add_arguments(parser)` and `run(options)`, which gives the exit status.
_COMMANDS: Final = {
    "compare": ("benchmarks.compare", "what a call costs, beside other proxies, in one run"),
    "load": ("benchmarks.load.command", "put any proxy under load and say what came of it"),
    "mechanisms": (
        "benchmarks.mechanisms",
        "what each mechanism of a call's way costs the sidecar",
    ),
    "replicas": ("benchmarks.replicas.command", "one bad replica of three, by proxy"),
    "sse": ("benchmarks.sse.command", "events to many subscribers, beside nginx + Nchan"),
    "verify": ("benchmarks.verify", "measure every promise; exit status 1 when one is missed"),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (module, text) in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if sys.argv[1:2] == [name]:  # what the others import may not be installed
            command = import_module(module)
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    options = parser.parse_args()
    try:
        return int(options.run(options))
    except UnusableError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return _UNUSABLE
    except KeyboardInterrupt:
        return _INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
