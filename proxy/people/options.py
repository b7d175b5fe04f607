"""What people can ask for on the command line, and by which words.

Knows words alone: what stands for them is loaded once one of them was said.
"""

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NoReturn

URL: Final = "TOOLPROXYCTL_URL"
API_KEY: Final = "TOOLPROXYCTL_API_KEY"
TOKEN: Final = "TOOLPROXYCTL_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_URL: Final = "http://127.0.0.1:8080"
MOST_LISTED: Final = 10_000
_EPILOG: Final = f"""\
Exit status: 0 done, 1 failed (it said no, or nothing answers), 2 unusable arguments.
A key is never given on the command line, where every user of the machine can read it:
use --api-key-file and --token-file, or {API_KEY} and {TOKEN}.
Variables that begin with TOOLPROXY_ are settings of 'toolproxy run', and mean nothing here.
"""
Commands = Any  # argparse keeps the class of its sub-commands to itself
# A command's name, what it is for, and who adds its words.
Row = tuple[str, str, Callable[[argparse.ArgumentParser], None]]
_WHERE: Final = "on a terminal, JSON in a pipe."
WORDS: Final = f"Words {_WHERE}"


def add_commands(commands: Commands, perform: Callable[[argparse.Namespace], int]) -> None:
    """Add `servers`, `tools`, `call`, `events` and `health`; `perform` does what was `asked`."""
    rows = (
        ("servers", "the servers of a running sidecar, or one of them", _servers),
        ("tools", "the tools of a running sidecar", _tools),
        ("call", "call a tool, and print what it answers", _call),
        ("events", "what happened, or happens (--follow)", _events),
        ("health", "how it is; status 1 when unhealthy, or when nothing answers", _health),
    )
    for sub in add_each(commands, rows, perform, f"Tables {_WHERE}", _EPILOG):
        add_common(sub)


def add_each(
    commands: Commands,
    rows: Iterable[Row],
    perform: Callable[[argparse.Namespace], int],
    looks: str,
    epilog: str,
) -> Iterator[argparse.ArgumentParser]:
    """Add a command for each row, and give it for what it has in common with others."""
    for name, text, add in rows:
        sub: argparse.ArgumentParser = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}. {looks}",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # a script must not break when there is one option more
        )
        add(sub)
        yield sub
        sub.set_defaults(command=perform, asked=name, follow=False)


def _servers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="all that is known of this one")


def _tools(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--server", metavar="NS", help="of this server alone")


def _call(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tool", metavar="NS.TOOL")
    parser.add_argument(
        "body",
        metavar="JSON | @FILE | -",
        nargs="?",
        help="its parameters; as the file has them; as standard input has them",
    )
    parser.add_argument(
        "-H", dest="fields", metavar="'NAME: VALUE'", action="append", default=[], help="repeatable"
    )
    parser.add_argument("--trace", metavar="ID", help="the trace that this call belongs to")
    parser.add_argument("--idempotency-key", metavar="KEY", help="the same call is made once")


def _events(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--type", metavar="A,B", help="of these types")
    parser.add_argument("--server", metavar="NS")
    parser.add_argument("--trace", metavar="ID")
    parser.add_argument("--status", metavar="S", help="success, failure, …")
    parser.add_argument("--since", metavar="SPAN", help="24h, 30m, or an ISO 8601 moment")
    parser.add_argument(
        "--limit", metavar="N", type=_listed, help=f"the newest N, up to {MOST_LISTED} (100)"
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="as they come, until Ctrl-C; with --since or --limit, those of the past first",
    )
    parser.add_argument(
        "--summary", action="store_true", help="what the events of one --trace add up to"
    )


def _health(_: argparse.ArgumentParser) -> None:
    """It has no words of its own."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """Whom to ask, in whose name, and how the answer looks."""
    common = parser.add_argument_group("common")
    common.add_argument("--url", help=f"the sidecar's ({URL}, else {DEFAULT_URL})")
    common.add_argument("--api-key-file", metavar="FILE", help=f"holds the API key ({API_KEY})")
    common.add_argument("--token-file", metavar="FILE", help=f"holds the Bearer token ({TOKEN})")
    common.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, help="for each answer (30; call: the tool's)"
    )
    common.add_argument("--json", action="store_true", help="JSON on a terminal, too")
    common.add_argument("--no-color", action="store_true", help="as NO_COLOR does")
    for flag in ("--api-key", "--token"):
        common.add_argument(flag, action=_Refused, nargs="?", help=argparse.SUPPRESS)


class _Refused(argparse.Action):
    """Says why, and does not say the key again."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[object] | None,
        option_string: str | None = None,
    ) -> NoReturn:
        _ = (namespace, values)
        parser.error(
            f"there is no {option_string}: every user of this machine could read it;"
            f" use {option_string}-file or the environment"
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds > 0):
        raise argparse.ArgumentTypeError("a number of seconds above 0 is needed")
    return seconds


def _listed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LISTED):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_LISTED} is needed")
    return int(text)
