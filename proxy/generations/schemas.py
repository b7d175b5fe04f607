"""Two JSON schemas of what a tool takes: does the new one refuse what the old one let pass?

Knows the keywords of JSON Schema that matter to a caller. Judges by keyword and never compares
what two schemas mean: what it does not know, and what it cannot tell, is breaking.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from proxy.generations.severity import Change, gained, judged
from proxy.generations.values import ABSENT, lacks, paired, same, step

Schema = Mapping[str, Any]
Found = Iterator[Change | None]  # None: nothing here, and others may have their turn
Breaks = Callable[[object, object], bool]

_DEEPEST: Final = 32  # below it values are compared whole
_SAYS_NOTHING: Final = frozenset(
    {
        "$comment",
        "$schema",
        "default",
        "deprecated",
        "description",
        "examples",
        "readOnly",
        "title",
        "writeOnly",
    }
)
_EXTENSION: Final = "x-"


def schema_changes(path: str, old: Schema, new: Schema) -> Found:
    """Keyword by keyword, of the whole schema of what a tool takes."""
    for change in _keywords(path, old, new, _DEEPEST):
        if change and change.path == f"{path}.type" and _is_object(change):
            yield change._replace(change_class=judged(breaks=False))
        else:
            yield change


def _is_object(change: Change) -> bool:
    """It says that parameters are an object, which they are without a word."""
    return change.old is ABSENT and _types(change.new) == {"object"}


def _keywords(path: str, old: Schema, new: Schema, depth: int) -> Found:
    for word, before, now in paired(old, new):
        if same(before, now):
            yield None
            continue
        place = step(path, word)
        if depth and word in _NAMED and _are_mappings(before, now):
            yield from _named(place, (word, old, new), depth - 1)
        elif depth and word in _ONE and _are_mappings(before, now):
            yield from _keywords(place, before, now, depth - 1)
        elif depth and word in _SEVERAL and _are_as_many(before, now):
            yield from _several(place, before, now, depth - 1)
        else:
            yield _changed(place, before, now, breaks=_breaks(word, before, now, new))


def _named(path: str, of: tuple[str, Schema, Schema], depth: int) -> Found:
    """Schemas by name, as `properties` has them."""
    word, old, new = of
    for name, before, now in paired(old[word], new[word]):
        place = step(path, name)
        if same(before, now):
            yield None
        elif _are_mappings(before, now):
            yield from _keywords(place, before, now, depth)
        elif before is ABSENT:
            wanted = _wanted(name, new) if word == "properties" else word not in _BY_REFERENCE
            yield _changed(place, before, now, breaks=wanted)
        elif now is ABSENT:
            yield _changed(place, before, now, breaks=word == "properties" and _is_closed(new))
        else:
            yield _changed(place, before, now, breaks=_tightened(before, now))


def _several(path: str, old: list[Any], new: list[Any], depth: int) -> Found:
    for at, (before, now) in enumerate(zip(old, new, strict=True)):
        place = step(path, str(at))
        if same(before, now):
            yield None
        elif _are_mappings(before, now):
            yield from _keywords(place, before, now, depth)
        else:
            yield _changed(place, before, now, breaks=_tightened(before, now))


def _changed(path: str, old: object, new: object, *, breaks: bool) -> Change:
    return Change(path, old, new, judged(breaks=breaks))


def _breaks(word: str, before: object, now: object, new: Schema) -> bool:
    """Does this keyword, changed as a whole, refuse more than before?"""
    if word in _SAYS_NOTHING or word.startswith(_EXTENSION):
        return False
    if word == "properties":
        return now is ABSENT and _is_closed(new)
    if word in _RULES:
        return _RULES[word](before, now)
    return now is not ABSENT


def _tightened(before: object, now: object) -> bool:
    """Of a schema: the loosest is true or `{}` or none at all, the tightest is false."""
    return before is not False and now is not ABSENT and now is not True and now != {}


def _retyped(before: object, now: object) -> bool:
    return now is not ABSENT and _types(before) != _types(now)


def _types(value: object) -> set[str]:
    return {str(each) for each in value} if isinstance(value, list) else {str(value)}


def _fewer(before: object, now: object) -> bool:
    """Of alternatives, one of which must fit."""
    return now is not ABSENT and (before is ABSENT or lacks(before, now))


def _wanted(name: str, schema: Schema) -> bool:
    required = schema.get("required")
    return isinstance(required, list) and name in required


def _is_closed(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False


def _are_mappings(old: object, new: object) -> bool:
    return isinstance(old, dict) and isinstance(new, dict)


def _are_as_many(old: object, new: object) -> bool:
    return isinstance(old, list) and isinstance(new, list) and len(old) == len(new)


def _never(before: object, now: object) -> bool:
    _ = (before, now)
    return False


_BY_REFERENCE: Final = frozenset({"$defs", "definitions"})  # nothing by themselves
_NAMED: Final = _BY_REFERENCE | {"dependentSchemas", "patternProperties", "properties"}
_ONE: Final = frozenset(
    {"additionalProperties", "contains", "items", "propertyNames", "unevaluatedProperties"}
)
_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_RULES: Final[Mapping[str, Breaks]] = {
    **dict.fromkeys(_BY_REFERENCE, _never),
    **dict.fromkeys(_ONE, _tightened),
    "allOf": gained,
    "anyOf": _fewer,
    "enum": _fewer,
    "required": gained,
    "type": _retyped,
}
