"""What was left out, and why: one line for a person each.

Knows places and sentences. Does not know who leaves out what.
"""

from typing import Final, NamedTuple

from proxy.conversion.directives import Directive

_MOST_SHOWN: Final = 60


class LeftOut(NamedTuple):
    """One directive that was not carried over."""

    file: str
    line: int
    directive: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.directive}: {self.why}"


class NotCarriedError(Exception):
    """What nginx is told here has no counterpart; says why, in a sentence."""


class Notes:
    """Collects them; what is said twice counts once."""

    def __init__(self) -> None:
        self._found: dict[LeftOut, None] = {}

    def __repr__(self) -> str:
        return f"<Notes of {len(self._found)}>"

    def leave_out(self, directive: Directive, why: str) -> None:
        shown = directive.name if directive.name.isprintable() else ascii(directive.name)
        self._found[LeftOut(directive.file, directive.line, shown[:_MOST_SHOWN], why)] = None

    def sorted(self) -> list[LeftOut]:
        """By file and line."""
        return sorted(self._found)
