"""What every part of a conversion looks into, and what a route's level means by its variables.

Knows `set` and `map`. Does not know what becomes of a value.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.conversion.conditions import condition
from proxy.conversion.directives import Directive, Level
from proxy.conversion.matches import ANY, Match
from proxy.conversion.notes import NotCarriedError, Notes
from proxy.conversion.templates import Meanings, only, template
from proxy.conversion.upstreams import Upstreams

_DEFAULT_PORTS: Final = frozenset((80, 443))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One server at its turn, and what all servers share."""

    notes: Notes
    upstreams: Upstreams
    maps: Mapping[str, Directive]
    used_maps: set[str]
    server: Level
    ports: tuple[int, ...]

    def meanings(self, level: Level, captures: Meanings) -> dict[str, str]:
        """Constants that `set` names, this server's name, and captures."""
        found = {"server_name": self.server.word("server_name", "_")}
        for outer in reversed(list(level.outwards())):
            for directive in outer.own("set"):
                try:
                    found[_named(directive)] = template(" ".join(directive.args[1:]), found)
                except NotCarriedError as error:
                    self.notes.leave_out(directive, str(error))
        return found | dict(captures)

    def own_address(self, level: Level) -> str:
        """What a redirect to this server begins with."""
        if level.word("absolute_redirect", "on") == "off":
            return ""
        usual = [port in _DEFAULT_PORTS for port in self.ports]
        if all(usual) or level.word("port_in_redirect", "on") == "off":
            return "$scheme://$host"
        return "$scheme://$http_host" if any(usual) else "$scheme://$host:$server_port"

    def choices(self, name: str, level: Level) -> list[tuple[Match, str]]:
        """What a variable is, and when; the last holds whatever comes."""
        found = list(self._set(name, level)) or list(self._mapped(name))
        if not found or found[-1][0] != ANY:
            raise NotCarriedError(f"what ${name} is was not found; name the upstream itself")
        return found

    def _set(self, name: str, level: Level) -> Iterator[tuple[Match, str]]:
        """Later `if`s stand over earlier ones, and over what is set without any."""
        for outer in level.outwards():
            for block in reversed(outer.own("if")):
                for directive in block.inside:
                    if directive.name == "set" and _named(directive) == name:
                        when, negated = condition(block.args)
                        if negated:
                            raise NotCarriedError("a value that holds unless …: turn it round")
                        yield when, directive.args[-1]
            for directive in reversed(outer.own("set")):
                if _named(directive) == name:
                    yield ANY, directive.args[-1]
                    return

    def _mapped(self, name: str) -> Iterator[tuple[Match, str]]:
        block = self.maps.get(name)
        if block is None:
            return
        self.used_maps.add(name)
        default = ""
        for entry in block.inside:
            value = entry.first
            if entry.name == "default":
                default = value
                continue
            try:
                yield self._entry(block, entry), value
            except NotCarriedError as error:
                self.notes.leave_out(entry, str(error))
        if default:
            yield ANY, default

    def _entry(self, block: Directive, entry: Directive) -> Match:
        if entry.name in {"hostnames", "volatile", "include"}:
            raise NotCarriedError("write the entries of a map one by one")
        folded = entry.name.startswith("~")
        words = (block.first, "~", entry.name[1:]) if folded else (block.first, "=", entry.name)
        when, negated = condition(words)
        if negated:
            raise NotCarriedError(
                "a value that holds when something is missing: make it the default"
            )
        return when


def _named(directive: Directive) -> str:
    return only(directive.first)
