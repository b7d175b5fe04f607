"""Which change breaks somebody? What callers rely on, key by key.

Knows the keys of servers, tools and parameters. Knows nothing of JSON Schema, nor of tables.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from proxy.generations.values import lacks
from proxy.registry.address import Address
from proxy.registry.model import Dependencies, Parameter, Server, Tool

Definition = Server | Tool | Parameter
Breaks = Callable[[Any, Any], bool]


class ChangeClass(Enum):
    """How much a change matters, in the contract's words; the worse is the greater."""

    COSMETIC = "cosmetic"
    COMPATIBLE = "compatible"
    BREAKING = "breaking"

    def __lt__(self, other: "ChangeClass") -> bool:
        return _RANKS[self.value] < _RANKS[other.value]


_RANKS: Final = {word: rank for rank, word in enumerate(each.value for each in ChangeClass)}


class Change(NamedTuple):
    """What one key was and is: typed, as the model has it; `ABSENT` where there is nothing."""

    path: str  # the registry's own keys: `circuit.failures`, `parameters.filter.required`
    old: object
    new: object
    change_class: ChangeClass


def judged(*, breaks: bool) -> ChangeClass:
    return ChangeClass.BREAKING if breaks else ChangeClass.COMPATIBLE


def worst(classes: Iterable[ChangeClass]) -> ChangeClass:
    """Of several changes; nothing is as good as compatible."""
    return max(classes, default=ChangeClass.COMPATIBLE)


def class_of(kind: type[Definition], path: str, old: object, new: object) -> ChangeClass:
    """Of one key of a server, a tool or a parameter."""
    breaks = _RULES[kind].get(path)
    return judged(breaks=breaks is not None and breaks(old, new))


def moved(old: tuple[Address, ...], new: tuple[Address, ...]) -> bool:
    """Does no address stay? Connections, health and what is known of the server go with it."""
    return {address.url for address in old}.isdisjoint(address.url for address in new)


def narrowed(old: object, new: object) -> bool:
    """Of allowed values, where an empty list allows all: is one of them allowed no more?"""
    return bool(new) and (not old or lacks(old, new))


def gained(old: object, new: object) -> bool:
    return lacks(new, old)


def _always(old: object, new: object) -> bool:
    _ = (old, new)
    return True


def _made_true(old: object, new: object) -> bool:
    _ = old
    return new is True


def _closed(old: bool | tuple[str, ...], new: bool | tuple[str, ...]) -> bool:  # noqa: FBT001 - a value
    """Is a path closed that was open?"""
    kept = _prefixes(new)
    below = tuple(prefix if prefix.endswith("/") else prefix + "/" for prefix in kept)
    return not all(prefix in kept or prefix.startswith(below) for prefix in _prefixes(old))


def _prefixes(opened: bool | tuple[str, ...]) -> tuple[str, ...]:  # noqa: FBT001 - a value
    if isinstance(opened, bool):
        return ("/",) if opened else ()
    return opened


def _needs_more(old: Dependencies | None, new: Dependencies | None) -> bool:
    return gained(_credentials(old), _credentials(new))


def _credentials(dependencies: Dependencies | None) -> tuple[str, ...]:
    return dependencies.credentials_required if dependencies else ()


_RULES: Final[Mapping[type[Definition], Mapping[str, Breaks]]] = {
    Server: {
        "endpoints": moved,
        "forward_headers": lacks,
        "passthrough": _closed,
        # An empty list is everybody: one team more is only good news where there were some.
        "authorized_teams": narrowed,
        "upstream_dependencies.credentials_required": gained,
    },
    Tool: {
        "method": _always,
        "path": _always,
        "required_capabilities": gained,
        "upstream_dependencies": _needs_more,
        "upstream_dependencies.credentials_required": gained,
    },
    Parameter: {"type": _always, "required": _made_true, "enum": narrowed},
}
