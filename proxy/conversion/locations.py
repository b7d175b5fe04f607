"""nginx's choice among `location`s, in an order where the first match wins.

Knows exact, prefix, `^~` and regular expressions, and locations within locations. Does not know
what any of them does.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from proxy.conversion.directives import Directive, Level
from proxy.conversion.matches import ANY, Match, path_as_sent
from proxy.conversion.notes import NotCarriedError, Notes
from proxy.conversion.patterns import pattern

_MODIFIERS: Final = ("=", "^~", "~", "~*")


class Location(NamedTuple):
    """One location: when it is meant, its level, and what its captures are called."""

    match: Match
    exclusive: bool
    level: Level
    directive: Directive
    captures: dict[str, str]
    root: str = ""  # the prefix that it lies in

    @property
    def path(self) -> str:
        return self.match.path


def in_order(server: Level, notes: Notes) -> list[Location]:
    """All of a server, the first that matches is nginx's choice."""
    found = list(_all(server, "", notes))
    exact = [each for each in found if each.match.kind == "exact"]
    expressions = [each for each in found if each.match.kind == "regex"]
    nested = [each for each in expressions if each.root]
    outer = [each for each in expressions if not each.root]
    prefixes = sorted(
        (each for each in found if each.match.kind == "prefix"),
        key=lambda each: len(each.path),
        reverse=True,
    )
    _warn_of_siblings(nested, prefixes, notes)
    early, late = _by_precedence(prefixes, nested + outer)
    return [*exact, *early, *nested, *outer, *late]


def named(server: Level) -> dict[str, Directive]:
    """The locations that only others lead to: `@app`."""
    return {each.first: each for each in server.own("location") if each.first.startswith("@")}


def _all(level: Level, root: str, notes: Notes) -> Iterator[Location]:
    for directive in level.own("location"):
        if directive.first.startswith("@"):
            continue
        try:
            location = _one(directive, level, root)
        except NotCarriedError as error:
            notes.leave_out(directive, str(error))
            continue
        yield location
        inner = location.path if location.match.kind == "prefix" else ""
        if inner:
            yield from _all(location.level, inner, notes)
        else:
            for inside in location.level.own("location"):
                notes.leave_out(inside, "it lies in one that has nothing below; put it beside")


def _one(directive: Directive, above: Level, root: str) -> Location:
    modifier, text = _words(directive)
    level = Level(directive.inside, above)
    if modifier in {"~", "~*"}:
        expression = pattern(text, folded=modifier == "~*")
        match: Match | None = Match(kind="regex", path=expression.text)
        if root:
            match = Match(kind="prefix", path=root).and_(match or ANY)
        return Location(match or ANY, False, level, directive, expression.captures, root)  # noqa: FBT003 - a field
    kind = "exact" if modifier == "=" else "prefix"
    path = path_as_sent(text)
    return Location(Match(kind=kind, path=path), modifier == "^~", level, directive, {}, root)


def _words(directive: Directive) -> tuple[str, str]:
    """The modifier and what it holds for; nginx takes `=/x` for `= /x`."""
    if len(directive.args) > 1:
        return directive.args[0], directive.args[1]
    for modifier in ("=", "^~", "~*", "~"):
        if directive.first.startswith(modifier):
            return modifier, directive.first.removeprefix(modifier)
    return "", directive.first


def _by_precedence(
    prefixes: Sequence[Location], expressions: Sequence[Location]
) -> tuple[list[Location], list[Location]]:
    """Prefixes that stand over expressions, and those that do not.

    A plain prefix within one with `^~` has the expressions before itself, for its own paths alone.
    """
    early: list[Location] = []
    late: list[Location] = []
    for location in prefixes:
        if location.exclusive:
            early.append(location)
        elif any(location.path.startswith(each.path) for each in prefixes if each.exclusive):
            for each in expressions:
                match = location.match.and_(each.match)
                early += [each._replace(match=match)] if match else []
            early.append(location)
        else:
            late.append(location)
    return early, late


def _warn_of_siblings(
    nested: Sequence[Location], prefixes: Sequence[Location], notes: Notes
) -> None:
    for each in nested:
        for prefix in prefixes:
            if prefix.path.startswith(each.root) and len(prefix.path) > len(each.root):
                if prefix.root != each.root:
                    why = (
                        f"it stands over {prefix.path} too, which nginx keeps from it; write it so"
                    )
                    notes.leave_out(each.directive, why)
                break
