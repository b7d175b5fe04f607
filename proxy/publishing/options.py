"""What publishers can ask for on the command line, and by which words.

Knows words alone: what stands for them is loaded once one of them was said.
"""

import argparse
from collections.abc import Callable
from typing import Final

from proxy.people.options import WORDS, Commands, add_each
from proxy.publishing.online_options import add_online_commands
from proxy.publishing.words import add_settings, whole

_EPILOG: Final = """\
Exit status: 0 the same or valid, 1 different or invalid, 2 unusable: arguments, files that cannot
be read, private keys that others can read.
"""


def add_registry_commands(commands: Commands, perform: Callable[[argparse.Namespace], int]) -> None:
    """Add `registry` and what it can be asked; `perform` does what was `asked`."""
    text = "keys, signatures and generations of registries"
    registry = commands.add_parser("registry", help=text, description=f"{text.capitalize()}.")
    asked = registry.add_subparsers(title="commands", metavar="COMMAND", required=True)
    rows = (
        ("init", "a folder to begin with: keys, a sample registry, settings, a store", _init),
        ("keygen", "a pair of keys: one that signs, one that sidecars trust", _keygen),
        ("sign", "validate a registry and sign it", _sign),
        ("verify", "is this registry valid, and signed by a trusted key?", _verify),
        ("diff", "what would change if NEW ran in the place of OLD?", _diff),
    )
    for sub in add_each(asked, rows, perform, WORDS, _EPILOG):
        _add_common(sub)
    add_online_commands(asked, perform)


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", nargs="?", default=".", help="the folder (.)")
    parser.add_argument("--name", default="publisher", help="of the keys (publisher)")


def _keygen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="of the two files: NAME.key and NAME.pub")
    parser.add_argument("--dir", default="keys", help="the folder that they go to (keys)")
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        help="365d, 12h or 2027-01-31T12:00:00Z: nothing new is accepted from then on (never)",
    )


def _sign(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="registry.yaml")
    parser.add_argument("--key", metavar="FILE", required=True, help="the private key: NAME.key")
    parser.add_argument("--profile", default="default", help="the deployment it is for (default)")
    parser.add_argument(
        "--version", metavar="N", type=whole, help="(one more than that of the last signature)"
    )
    parser.add_argument(
        "--artifact", metavar="OUT", help="write registry and signature to OUT, not FILE.sig"
    )
    add_settings(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a registry with its .sig, or an artifact")
    parser.add_argument(
        "--trusted", metavar="DIR", help="trusted keys; without them no signature is looked at"
    )
    parser.add_argument("--profile", help="the deployment it must be for (default)")
    parser.add_argument(
        "--min-version", metavar="N", type=whole, help="the oldest version that will do"
    )
    parser.add_argument("--sig", metavar="FILE", help="the signature, if it is not in FILE.sig")
    add_settings(parser)


def _diff(parser: argparse.ArgumentParser) -> None:
    for name in ("old", "new"):
        parser.add_argument(name, metavar=name.upper(), help="a registry, or an artifact")
    add_settings(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    common = parser.add_argument_group("common")
    common.add_argument("--json", action="store_true", help="JSON on a terminal, too")
    common.add_argument("--no-color", action="store_true", help="as NO_COLOR does")
