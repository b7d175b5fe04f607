"""nginx's directives as values, and what holds at a level: its own, or inherited?

Knows nginx's rule of inheritance. Does not know what any directive means.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Directive:
    """One directive with where it stands; a block has a `block`, which may be empty."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: "tuple[Directive, ...] | None" = None

    def __repr__(self) -> str:
        return f"<{self.place} {self.name}>"

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    @property
    def first(self) -> str:
        """Its first argument, if it has one."""
        return self.args[0] if self.args else ""

    @property
    def inside(self) -> "tuple[Directive, ...]":
        return self.block or ()


class Level:
    """A block within others: what is said there, and what is said around it."""

    def __init__(self, block: Sequence[Directive], above: "Level | None" = None) -> None:
        self.block = block
        self.above = above

    def __repr__(self) -> str:
        return f"<Level of {len(self.block)}>"

    def own(self, name: str) -> list[Directive]:
        return [each for each in self.block if each.name == name]

    def outwards(self) -> "Iterator[Level]":
        level: Level | None = self
        while level is not None:
            yield level
            level = level.above

    def nearest(self, name: str) -> list[Directive]:
        """All of this name at the innermost level that has any: nginx inherits all or nothing."""
        return next((found for level in self.outwards() if (found := level.own(name))), [])

    def said(self, name: str) -> Directive | None:
        """The one that holds."""
        found = self.nearest(name)
        return found[-1] if found else None

    def word(self, name: str, otherwise: str = "") -> str:
        """The first argument of the one that holds."""
        found = self.said(name)
        return found.first if found else otherwise
