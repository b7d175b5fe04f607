"""What can be asked of a running sidecar's registry, or published to a target, and by which words.

Knows words alone: what stands for them is loaded once one of them was said.
"""

import argparse
from collections.abc import Callable
from typing import Final

from proxy.people.options import API_KEY, TOKEN, WORDS, Commands, add_common, add_each
from proxy.publishing.words import add_settings, whole

MOST_LISTED: Final = 1_000
_EPILOG: Final = f"""\
Exit status: 0 done, 1 refused (it said no, nothing answers, callers would break), 2 unusable.
A key is never given on the command line, where every user of the machine can read it:
use --api-key-file and --token-file, or {API_KEY} and {TOKEN}.
"""


def add_online_commands(asked: Commands, perform: Callable[[argparse.Namespace], int]) -> None:
    """Add what follows to the sub-commands of `registry`; `perform` does what was `asked`."""
    rows = (
        ("history", "which generations ran, the newest first", _history),
        ("show", "what runs now, or one generation with its signature", _show),
        ("rollback", "run a generation that is kept, until the source has another one", _named),
        ("unpin", "end a rollback: run what the source says", _nothing),
        ("accept", "run the generation that is held, since it breaks callers", _named),
        ("publish", "validate, compare, sign, and lay it where sidecars look", _publish),
    )
    for sub in add_each(asked, rows, perform, WORDS, _EPILOG):
        add_common(sub)


def _history(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit", metavar="N", type=_listed, default=20, help=f"1 to {MOST_LISTED} of them (20)"
    )
    _add_store(parser)


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "generation", metavar="GEN", nargs="?", help="its name, or the first 8 digits of it or more"
    )
    parser.add_argument("--out", metavar="FILE", help="write the artifact of GEN to FILE")
    _add_store(parser)


def _named(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("generation", metavar="GEN", help="as 'registry history' lists them")


def _nothing(_: argparse.ArgumentParser) -> None:
    """It has no words of its own."""


def _publish(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="a path (an artifact where it ends in .json, else the file with .sig beside it),"
        " https://… (HTTP PUT), or redis://host:port/[database/]key",
    )
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="registry.yaml", help="(registry.yaml)"
    )
    signature = parser.add_mutually_exclusive_group(required=True)
    signature.add_argument("--key", metavar="FILE", help="the private key: NAME.key")
    signature.add_argument(
        "--unsigned", action="store_true", help="without a signature: anybody could have written it"
    )
    parser.add_argument(
        "--profile", help="the deployment it is for (that of a sidecar's URL, else default)"
    )
    parser.add_argument(
        "--version", metavar="N", type=whole, help="(one more than that of the target)"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; in a pipe nobody is asked")
    parser.add_argument("--allow-breaking", action="store_true", help="though it breaks callers")
    add_settings(parser)


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="DIR", help="of this folder, as registry.store names it; nobody is asked"
    )


def _listed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST_LISTED):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_LISTED} is needed")
    return int(text)
