"""What a route asks of a request, and what two of them ask together.

Knows the `match` of our settings. Does not know where a condition came from.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Final

from proxy.config.expressions import expression
from proxy.config.routes import route_path
from proxy.conversion.directives import Directive
from proxy.conversion.notes import NotCarriedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All that is said must hold; what is empty holds for any request."""

    hosts: tuple[str, ...] = ()
    kind: str = ""  # exact, prefix or regex
    path: str = ""
    under: str = ""  # what a path must begin with besides, where it is matched by an expression
    methods: tuple[str, ...] = ()
    scheme: str = ""
    port: int = 0
    headers: tuple[tuple[str, str], ...] = ()

    def and_(self, other: "Match") -> "Match | None":
        """Both together; None when no request can be both."""
        hosts = _hosts(self.hosts, other.hosts)
        path = _paths(self, other)
        methods = _common(self.methods, other.methods)
        headers = dict(self.headers)
        clash = any(headers.get(name, value) != value for name, value in other.headers)
        one = _one(self.scheme, other.scheme) and _one(self.port, other.port)
        if hosts is None or path is None or methods is None or clash or not one:
            return None
        return Match(
            hosts=hosts,
            kind=path.kind,
            path=path.path,
            under=path.under,
            methods=methods,
            scheme=self.scheme or other.scheme,
            port=self.port or other.port,
            headers=tuple((headers | dict(other.headers)).items()),
        )

    def written(self) -> dict[str, Any]:
        """As the settings have it."""
        found: dict[str, Any] = {}
        if self.hosts:
            found["host"] = self.hosts[0] if len(self.hosts) == 1 else list(self.hosts)
        if self.kind and (self.kind, self.path) != ("prefix", "/"):
            found[self.kind] = self.path
        if self.under:
            found["prefix"] = self.under
        if self.methods:
            found["methods"] = list(self.methods)
        if self.scheme:
            found["scheme"] = self.scheme
        if self.port:
            found["port"] = self.port
        if self.headers:
            found["headers"] = dict(self.headers)
        return found


ANY: Final = Match()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A route: what it asks for, what is done, and which directive says so."""

    match: Match
    action: dict[str, Any]
    origin: Directive
    remark: str = ""

    def under(self, condition: Match) -> "Draft | None":
        """Only where this holds too."""
        match = condition.and_(self.match)
        return None if match is None else replace(self, match=match)


def path_as_sent(text: str) -> str:
    """A path that nginx knows decoded, as it comes over the wire."""
    sent = "".join(
        character
        if "!" <= character <= "~" and character not in '"<>^`{|}%#?'
        else _escape(character)
        for character in text
    )
    try:
        return route_path(sent)
    except ValueError as error:
        raise NotCarriedError(str(error)) from None


def is_under(host: str, wildcard: str) -> bool:
    """Does `*.suffix` hold for this name, or for all names of this other wildcard?"""
    return wildcard.startswith("*.") and host != wildcard and host.endswith(wildcard[1:])


def _escape(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode(errors="surrogateescape"))


def _one(one: object, other: object) -> bool:
    return not one or not other or one == other


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    if not one or not other:
        return one or other
    return tuple(each for each in one if each in other) or None


def _hosts(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...] | None:
    if not one or not other:
        return one or other
    kept = [host for host in one if host in other or any(is_under(host, w) for w in other)]
    kept += [host for host in other if any(is_under(host, w) for w in one)]
    return tuple(dict.fromkeys(kept)) or None


def _paths(one: Match, other: Match) -> Match | None:
    """The match that has the path of both."""
    if not one.kind or not other.kind:
        return one if one.kind else other
    kinds = {one.kind: one.path, other.kind: other.path}
    under = _longest(one.under, other.under, kinds.get("prefix", "") if "regex" in kinds else "")
    if under is None:
        return None
    if (one.kind, one.path) == (other.kind, other.path):
        return replace(one, under=under)
    if set(kinds) == {"prefix", "regex"}:
        return Match(kind="regex", path=kinds["regex"], under=_needed(under, kinds["regex"]))
    if "regex" in kinds and "exact" in kinds:
        fits = kinds["exact"].startswith(under) and _found(kinds)
        return Match(kind="exact", path=kinds["exact"]) if fits else None
    if "regex" in kinds:
        raise NotCarriedError("a route matches one expression; join the two by hand")
    longer, shorter = sorted((one, other), key=lambda match: len(match.path), reverse=True)
    fits = longer.path.startswith(shorter.path) and shorter.kind == "prefix"
    return longer if fits else None


def _longest(*prefixes: str) -> str | None:
    """The one that begins with all others; None when there is none."""
    longest = max(prefixes, key=len)
    return longest if all(longest.startswith(each) for each in prefixes) else None


def _needed(prefix: str, regex: str) -> str:
    """The prefix, unless the expression says as much."""
    said = regex.startswith("^" + re.escape(prefix)) and "|" not in regex
    return "" if said or prefix == "/" else prefix


def _found(kinds: dict[str, str]) -> bool:
    return expression(kinds["regex"]).search(kinds["exact"].encode()) is not None
