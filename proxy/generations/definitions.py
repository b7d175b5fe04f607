"""What differs between two definitions of one server, or of one tool, key by key?

Knows the model's structs, and what in them has an order that means nothing. Does not know which
change breaks somebody, nor of other servers.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from proxy.generations.schemas import schema_changes
from proxy.generations.severity import Change, Definition, class_of, judged, moved, worst
from proxy.generations.values import paired, same, step
from proxy.registry.address import Address
from proxy.registry.model import Balance, Parameter, Server, Tool

Found = Iterator[Change | None]  # None: nothing here, and others may have their turn

_ENCODER: Final = msgspec.json.Encoder()
_WHOLE: Final = (
    Balance,
)  # a word, or a mapping of its own kind: not a struct to whoever writes it


def are_alike(old: Tool, new: Tool) -> bool:
    """Is nothing different at all? A quick look: no may also mean another order."""
    try:
        # Python takes true for 1; written down they differ.
        return old == new and _ENCODER.encode(old) == _ENCODER.encode(new)
    except ValueError:  # half a character has no encoding
        return False


def server_changes(old: Server, new: Server) -> Found:
    """Of a server without its tools."""
    address_breaks = moved(old.endpoints, new.endpoints)
    for change in _keys(Server, old, new):
        if change and address_breaks and change.path in {"name", "port"} and _makes(old, new):
            yield change._replace(change_class=judged(breaks=True))
        else:
            yield change


def tool_changes(old: Tool, new: Tool) -> Found:
    return _keys(Tool, old, new)


def _makes(old: Server, new: Server) -> bool:
    """Do name and port make the address, before or now?"""
    return any(
        server.port is not None
        and [each.url for each in server.endpoints]
        == [f"http://{server.name}:{server.port}".lower()]
        for server in (old, new)
    )


def _keys(kind: type[Definition], old: Struct, new: Struct, above: str = "") -> Found:
    for attribute, key in _fields(type(old)):
        before, now = getattr(old, attribute), getattr(new, attribute)
        path = above + key
        special = _SPECIAL.get(path)
        if special is not None:
            yield from special(path, before, now)
        elif before == now:
            continue
        elif _are_structs(before, now):
            yield from _keys(kind, before, now, f"{path}.")
        else:
            yield Change(path, before, now, class_of(kind, path, before, now))


def _are_structs(old: object, new: object) -> bool:
    return type(old) is type(new) and isinstance(old, Struct) and not isinstance(old, _WHOLE)


@cache
def _fields(kind: type[Struct]) -> tuple[tuple[str, str], ...]:
    """Attributes, and the registry's words for them."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(kind))


def _endpoints(path: str, old: tuple[Address, ...], new: tuple[Address, ...]) -> Found:
    if old != new and _placed(old) != _placed(new):
        yield Change(path, old, new, class_of(Server, path, old, new))


def _placed(endpoints: tuple[Address, ...]) -> list[tuple[str, int, bool]]:
    return sorted((address.url, address.weight, address.backup) for address in endpoints)


def _mapping(path: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Found:
    for key, before, now in paired(old, new):
        if not same(before, now):
            yield Change(step(path, key), before, now, judged(breaks=False))


def _parameters(path: str, old: tuple[Parameter, ...], new: tuple[Parameter, ...]) -> Found:
    before, now = _by_name(old), _by_name(new)
    changes = _by_parameter(path, before, now)
    if len(before) == len(old) and len(now) == len(new):
        yield from changes
    elif old != new:  # a name that comes twice cannot say which of the two has changed
        found = (change.change_class for change in changes if change)
        yield Change(path, old, new, worst(found))


def _by_name(parameters: tuple[Parameter, ...]) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in parameters}


def _by_parameter(path: str, old: dict[str, Parameter], new: dict[str, Parameter]) -> Found:
    for name, before, now in paired(old, new):
        place = step(path, name)
        if isinstance(before, Parameter) and isinstance(now, Parameter):
            yield from _of_parameter(place, before, now)
        else:
            wanted = isinstance(now, Parameter) and now.required
            yield Change(place, before, now, judged(breaks=wanted))


def _of_parameter(path: str, old: Parameter, new: Parameter) -> Found:
    for attribute, key in _fields(Parameter):
        before, now = getattr(old, attribute), getattr(new, attribute)
        if not same(before, now):
            yield Change(step(path, key), before, now, class_of(Parameter, key, before, now))
    yield None


def _nothing(path: str, old: object, new: object) -> Found:
    """The tools of a server have comparisons of their own."""
    _ = (path, old, new)
    return iter(())


_SPECIAL: Final[Mapping[str, Callable[[str, Any, Any], Found]]] = {
    "access_restrictions": _mapping,
    "endpoints": _endpoints,
    "inject_headers": _mapping,
    "input_schema": schema_changes,
    "parameters": _parameters,
    "tools": _nothing,
}
