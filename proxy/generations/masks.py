"""What of a value may be shown? All but secrets, as the registry writes it, up to a length.

Knows where secrets may stand: in injected headers, in queries, in the values of parameters that a
tool calls sensitive, below keys that sound like secrets. Masks first and cuts then.
"""

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Final

import msgspec
from msgspec import Struct

from proxy.artifact import canonical
from proxy.config.units import Rate
from proxy.generations.values import ABSENT, steps
from proxy.registry.address import Address
from proxy.registry.model import Balance

HIDDEN: Final = "***"
_MOST_CHARS: Final = 4096  # of one value
_CUT: Final = f"… (cut: longer than {_MOST_CHARS} characters)"
_SCALAR_CHARS: Final = 8  # of a number, about
_BRACKETS_CHARS: Final = 2  # or quotes
_URLS: Final = frozenset({"health_url", "capabilities_url"})
# What of a parameter, or of its schema, is one of its values.
_VALUES: Final = frozenset({"const", "default", "enum", "example", "examples"})
_EXTENSION: Final = "x-"
_REFERRED: Final = frozenset({"$defs", "definitions"})  # whoever refers to them may be sensitive
_SECRETIVE: Final = re.compile(
    r"auth|bearer|cookie|credential|key|pass|private|pwd|secret|signature|token", re.IGNORECASE
)


class _Place(Enum):
    """Where in a definition a value stands."""

    OPEN = auto()
    NAMED = auto()  # at the name of a sensitive parameter: a definition of it, or a value
    OWNED = auto()  # within its definition
    VALUE = auto()  # within a value, which may hold a sensitive parameter's
    GUARDED = auto()  # below free keys, which may sound like secrets
    QUERIED = auto()  # a URL, whose query is secret
    SECRET = auto()


_ROOTS: Final[Mapping[str, _Place]] = {
    "access_restrictions": _Place.GUARDED,
    "inject_headers": _Place.SECRET,
    **dict.fromkeys(_URLS, _Place.QUERIED),
}


class Mask:
    """What hides secrets of one server, or of one tool with these sensitive parameters."""

    def __init__(self, sensitive: Iterable[str] = ()) -> None:
        self._sensitive = frozenset(map(_bare, sensitive))

    def __repr__(self) -> str:
        return f"<Mask {len(self._sensitive)} sensitive>"

    def shown(self, path: str, value: object) -> object:
        """The value at this path of the definition, as JSON; null where there is none."""
        if value is ABSENT or value is None:
            return None
        root, *below = steps(path)
        place = _ROOTS.get(root, _Place.OPEN)
        for key in below:
            place = self.below(place, key)
        return _Showing(self).all_of(value, place)

    def place_of(self, place: _Place, mapping: Mapping[str, object]) -> _Place:
        """Of what may say its own name, as parameters in a list do."""
        name = mapping.get("name")
        named = place is _Place.OPEN and isinstance(name, str) and self._is_sensitive(name)
        return _Place.OWNED if named else place

    def below(self, place: _Place, key: str) -> _Place:
        match place:
            case _Place.GUARDED:
                return _Place.SECRET if _SECRETIVE.search(key) else place
            case _Place.VALUE:
                return _Place.SECRET if self._is_sensitive(key) else place
            case _Place.NAMED | _Place.OWNED:
                return _Place.SECRET if _holds_values(key) else _Place.OWNED
            case _Place.OPEN if self._sensitive:
                return self._below_open(key)
            case _:
                return place

    def _below_open(self, key: str) -> _Place:
        if self._is_sensitive(key):
            # A parameter that is called `default` cannot be told from a default.
            return _Place.SECRET if _holds_values(key) else _Place.NAMED
        if key in _REFERRED:
            return _Place.OWNED
        return _Place.VALUE if _holds_values(key) else _Place.OPEN

    def _is_sensitive(self, name: str) -> bool:
        return _bare(name) in self._sensitive


class _Showing:
    """One value on its way out, with the room that is left for it."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._room = _MOST_CHARS

    def all_of(self, value: object, place: _Place) -> object:
        plain = self._plain(value, place)
        if self._room >= 0:
            return plain
        return canonical(plain).decode()[:_MOST_CHARS] + _CUT

    def _plain(self, value: object, place: _Place) -> object:
        if place is _Place.SECRET:
            return self._scalar(HIDDEN, place)
        value = _as_written(value)
        self._room -= _BRACKETS_CHARS
        if isinstance(value, dict):
            return self._mapping(value, self._mask.place_of(place, value))
        if isinstance(value, list | tuple):
            return self._list(value, place)
        return self._scalar(value, place)

    def _mapping(self, value: Mapping[str, object], place: _Place) -> dict[str, object]:
        plain: dict[str, object] = {}
        for key, item in value.items():
            if self._room < 0:
                break
            self._room -= len(key)
            plain[key] = self._plain(item, self._mask.below(place, key))
        return plain

    def _list(self, value: Iterable[object], place: _Place) -> list[object]:
        plain: list[object] = []
        for item in value:
            if self._room < 0:
                break
            plain.append(self._plain(item, place))
        return plain

    def _scalar(self, value: object, place: _Place) -> object:
        if not isinstance(value, str):
            self._room -= _SCALAR_CHARS
            lost = isinstance(value, float) and not math.isfinite(value)
            return HIDDEN if place is _Place.NAMED else str(value) if lost else value
        if place is _Place.NAMED:
            value = HIDDEN
        if place is _Place.QUERIED:
            address, mark, _ = value.partition("?")
            value = f"{address}?{HIDDEN}" if mark else address
        shown = value[: max(self._room, 0) + 1]
        self._room -= len(value)
        return shown


def cut(text: str) -> str:
    """No longer than a value may be; what is cut says so."""
    return text if len(text) <= _MOST_CHARS else text[:_MOST_CHARS] + _CUT


def _as_written(value: object) -> object:
    """What the model made something of, as the registry writes it."""
    match value:
        case Address(url=url, weight=1, backup=False):
            return url
        case Address(url=url, weight=weight, backup=backup):
            return {"url": url, "weight": weight} | ({"backup": True} if backup else {})
        case Balance(method=method, key=key):
            return method if key is None else {"hash": key}
        case Rate():
            return str(value)
        case Struct():
            fields = msgspec.structs.fields(value)
            said = ((field.encode_name, getattr(value, field.name)) for field in fields)
            return {key: item for key, item in said if item not in (None, "", (), {})}
        case _:
            return value


def _bare(name: str) -> str:
    """`auth.token` is a property of a property: its last word counts wherever it stands."""
    return name.rpartition(".")[2].casefold()


def _holds_values(key: str) -> bool:
    return key in _VALUES or key.startswith(_EXTENSION)
