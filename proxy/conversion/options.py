"""What `convert` can be told on the command line, and by which words.

Knows words alone: what stands for them is loaded once the command was said.
"""

import argparse
from collections.abc import Callable
from typing import Final

from proxy.people.options import Commands, add_each

_LOOKS: Final = "A line for each directive that was left out."
_EPILOG: Final = """\
Exit status: 0 all of it was carried over, 1 something was left out, 2 unusable: arguments, a file
that cannot be read or is no configuration of nginx, files that are there already.
"""


def add_convert_command(commands: Commands, perform: Callable[[argparse.Namespace], int]) -> None:
    """Add `convert`; `perform` does it."""
    text = "settings and a registry that do what an nginx.conf does"
    for sub in add_each(commands, (("convert", text, _convert),), perform, _LOOKS, _EPILOG):
        sub.add_argument(
            "--json", action="store_true", help="what was written and left out, as JSON"
        )
        sub.add_argument("--no-color", action="store_true", help="as NO_COLOR does")


def _convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="nginx.conf; what it includes comes with it")
    parser.add_argument(
        "--output", metavar="DIR", default=".", help="where proxy.yaml and registry.yaml go (.)"
    )
    parser.add_argument("--force", action="store_true", help="write over files that are there")
