"""Words that several of the publishers' commands understand."""

import argparse
from typing import Final

_MOST_DIGITS: Final = 16  # of a version


def add_settings(parser: argparse.ArgumentParser) -> None:
    """By whose rules a registry is valid."""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=argparse.SUPPRESS,  # it may stand before the command, too
        help="the proxy.yaml whose defaults, secrets and denials hold (none: those of no file)",
    )


def whole(text: str) -> int:
    """A version, or another number from 1; raises `ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)):
        raise argparse.ArgumentTypeError("a whole number from 1 is needed")
    return int(text)
