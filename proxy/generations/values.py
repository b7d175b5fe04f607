"""Two JSON values side by side: are they the same, and what has one that the other lacks?

Knows JSON. Does not know what a value is for.
"""

import json  # noqa: TID251 - a key may hold half a surrogate pair, and orjson reads none
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

from proxy.artifact import canonical

_WORD: Final = re.compile(r"[A-Za-z0-9_$-]+")
_STEP: Final = re.compile(r'\["(?:[^"\\]|\\.)*"\]|[^.\[\]]+')


class Absent(Enum):
    """What stands for a value where there is none; a null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


def same(old: object, new: object) -> bool:
    """As JSON has it: `1` is `1.0`, and `true` is not `1`, though Python says so."""
    if isinstance(old, bool) or isinstance(new, bool):
        return old is new
    if isinstance(old, dict) and isinstance(new, dict):
        return len(old) == len(new) and all(
            key in new and same(value, new[key]) for key, value in old.items()
        )
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(same, old, new))
    return old == new


def lacks(old: object, new: object) -> bool:
    """Has the new list lost something that the old one has? What is no list has nothing."""
    kept = set(map(_hashable, _items(new)))
    return any(_hashable(value) not in kept for value in _items(old))


def paired(old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[tuple[str, Any, Any]]:
    """Key by key, `ABSENT` where one has it not; what only the new one has comes last."""
    for key, value in old.items():
        yield key, value, new.get(key, ABSENT)
    for key, value in new.items():
        if key not in old:
            yield key, ABSENT, value


def step(path: str, key: str) -> str:
    """`path.key`, or `path["a key"]` where a dot could not be told from one of the key's own."""
    return f"{path}.{key}" if _WORD.fullmatch(key) else f"{path}[{canonical(key).decode()}]"


def steps(path: str) -> list[str]:
    """The keys that `step` made a path of."""
    return [_key_of(found[0]) for found in _STEP.finditer(path)]


def _key_of(shown: str) -> str:
    return str(json.loads(shown[1:-1])) if shown.startswith("[") else shown


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()


def _hashable(value: object) -> Hashable:
    """Equal just where the values are the `same`."""
    match value:
        case bool():
            return "truth", value
        case dict():
            return "mapping", frozenset((key, _hashable(item)) for key, item in value.items())
        case list() | tuple():
            return "list", tuple(map(_hashable, value))
        case Hashable():
            return value
        case _:
            raise TypeError(f"no JSON value: {type(value).__name__}")
