"""YAML events to plain values: what PyYAML's safe_load gives, with nothing silent about it.

Knows YAML's tags, anchors and merge keys. Does not know files, or what a value is for.

The text is untrusted: the stack is explicit, its depth and what aliases unfold to are bounded.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import yaml

MAX_DEPTH: Final = 64
MAX_NODES: Final = 10_000_000

_TAG: Final = "tag:yaml.org,2002:"
_STR: Final = _TAG + "str"
_MERGE_TAG: Final = _TAG + "merge"
# What YAML can say and JSON cannot: kept as `Odd`.
_ODD_SCALARS: Final = {_TAG + "timestamp": "date", _TAG + "binary": "binary value"}
_ODD_COLLECTIONS: Final = {_TAG + kind: kind for kind in ("set", "omap", "pairs")}
# `=` is YAML 1.1's default value and `<<` no value at all: safe_load fails on both.
_TEXT: Final = frozenset({_STR, _TAG + "value", _MERGE_TAG})
_RESOLVERS: Final = yaml.SafeLoader.yaml_implicit_resolvers
_CONSTRUCTOR: Final = yaml.constructor.SafeConstructor()
_READERS: Final[dict[str, Callable[[yaml.ScalarNode], object]]] = {
    _TAG + "null": _CONSTRUCTOR.construct_yaml_null,
    _TAG + "bool": _CONSTRUCTOR.construct_yaml_bool,
    _TAG + "int": _CONSTRUCTOR.construct_yaml_int,
    _TAG + "float": _CONSTRUCTOR.construct_yaml_float,
}
# Beyond, 1:00:00:… (base 60) takes quadratic time. Nobody writes a number that long.
_MAX_NUMBER_CHARS: Final = 400
INT_RANGE: Final = range(-(2**63), 2**64)  # what goes through JSON and msgpack


@dataclass(frozen=True, slots=True)
class Odd:
    """A value that YAML took for something that JSON does not have; no type accepts it."""

    kind: str
    text: str


class Trap(NamedTuple):
    """A place where YAML reads something else than people do."""

    path: tuple[str | int, ...]
    line: int | None
    code: str
    message: str


class RefusedError(Exception):
    """YAML, perhaps, but not of a kind that we read."""

    def __init__(self, code: str, message: str, line: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line


class _Anchored(NamedTuple):
    """What an alias stands for, and what it unfolds to."""

    value: object
    nodes: int
    height: int


class _Key(Enum):
    """What stands where a mapping's key would, when there is none."""

    AWAITED = "awaited"
    MERGE = "merge"
    UNUSABLE = "unusable"


class _Frame:
    """An open sequence or mapping; `start` opened it when `began` nodes had been counted."""

    __slots__ = ("began", "height", "items", "key", "merged", "pairs", "start")

    def __init__(self, start: yaml.CollectionStartEvent, began: int) -> None:
        self.start = start
        self.began = began
        self.height = 0
        self.items: list[object] | None = None if type(start) is yaml.MappingStartEvent else []
        self.pairs: dict[str, object] = {}
        self.merged: list[dict[str, object]] = []
        self.key: str | _Key = _Key.AWAITED

    @property
    def step(self) -> tuple[str | int, ...]:
        """Where in here the next value goes."""
        if self.items is not None:
            return (len(self.items),)
        if self.key is _Key.MERGE:
            return ("<<",)
        return (self.key,) if isinstance(self.key, str) else ()

    def value(self) -> object:
        odd = _ODD_COLLECTIONS.get(self.start.tag or "")
        if odd is not None:
            return Odd(odd, "")
        if self.items is not None:
            return self.items
        if not self.merged:
            return self.pairs
        # What is written out wins, wherever the `<<` stands.
        whole: dict[str, object] = {}
        for mapping in (*self.merged, self.pairs):
            whole.update(mapping)
        return whole


class Builder:
    """Builds one document's value; `traps` say where it may surprise."""

    def __init__(self) -> None:
        self.traps: list[Trap] = []
        # Every node and every alias's whole size go in once: this is the unfolded size so far,
        # and the difference of two readings is the size of what lies between.
        self._nodes = 0
        self._anchors: dict[str, _Anchored | None] = {}  # None while the anchor is open
        self._stack: list[_Frame] = []

    def build(self, events: Iterator[yaml.Event]) -> object:
        """The root's value; RefusedError, or PyYAML's own errors."""
        root = _Frame(yaml.SequenceStartEvent(None, None, implicit=True), 0)
        self._stack = [root]
        takers: dict[type, Callable[..., None]] = {
            yaml.DocumentStartEvent: self._take_document,
            yaml.ScalarEvent: self._take_scalar,
            yaml.AliasEvent: self._take_alias,
            yaml.SequenceStartEvent: self._take_start,
            yaml.MappingStartEvent: self._take_start,
            yaml.SequenceEndEvent: self._take_end,
            yaml.MappingEndEvent: self._take_end,
        }
        for event in events:
            take = takers.get(type(event))
            if take is not None:
                take(event)
        if not root.items:
            raise RefusedError("EMPTY_DOCUMENT", "empty", 1)
        return root.items[0]

    def _take_document(self, event: yaml.Event) -> None:
        if self._stack[0].items:
            raise _refused("MANY_DOCUMENTS", "more than one document", event)

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._count(1, event)
        frame = self._stack[-1]
        tag = _tag_of(event)
        value = event.value if tag in _TEXT else _construct(tag, event)
        if frame.items is not None or frame.key is not _Key.AWAITED:
            self._put(value, event)
        elif tag == _MERGE_TAG:
            frame.key = _Key.MERGE
        else:
            frame.key = self._key(event.value, event)
            if tag not in _TEXT:
                hint = f"YAML reads the key {event.value} as no string: quote it"
                self._trap("BAD_TYPE", hint, event)
        if event.anchor:
            self._anchors[event.anchor] = _Anchored(value, 1, 0)

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        name = str(event.anchor)
        anchored = self._anchors.get(name)
        if anchored is None:
            open_or_not = "contains itself" if name in self._anchors else "has no anchor"
            raise _refused("BAD_ALIAS", f"the alias *{name} {open_or_not}", event)
        self._count(anchored.nodes, event)
        self._deepen(anchored.height, event)
        self._put(anchored.value, event)

    def _take_start(self, event: yaml.CollectionStartEvent) -> None:
        own_tag = _TAG + ("map" if type(event) is yaml.MappingStartEvent else "seq")
        if event.tag not in {None, "!", own_tag} and event.tag not in _ODD_COLLECTIONS:
            raise _refused("CUSTOM_TAG", f"the tag {event.tag} is not supported here", event)
        self._count(1, event)
        self._deepen(0, event)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Frame(event, self._nodes - 1))

    def _take_end(self, _event: yaml.CollectionEndEvent) -> None:
        frame = self._stack.pop()
        value, start = frame.value(), frame.start
        parent = self._stack[-1]
        parent.height = max(parent.height, frame.height + 1)
        if start.anchor:
            self._anchors[start.anchor] = _Anchored(
                value, self._nodes - frame.began, frame.height + 1
            )
        self._put(value, start)

    def _count(self, nodes: int, event: yaml.Event) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise _refused("TOO_LARGE", f"aliases unfold past {MAX_NODES:,} nodes", event)

    def _deepen(self, height: int, event: yaml.Event) -> None:
        if len(self._stack) + height > MAX_DEPTH:
            raise _refused("TOO_DEEP", f"nested deeper than {MAX_DEPTH} levels", event)
        self._stack[-1].height = max(self._stack[-1].height, height)

    def _put(self, value: object, event: yaml.Event) -> None:
        frame = self._stack[-1]
        if isinstance(value, Odd) and type(event) is not yaml.AliasEvent:
            hint = f"YAML reads this as a {value.kind}: quote it if it is meant as text"
            self._trap("BAD_TYPE", hint, event)
        if frame.items is not None:
            frame.items.append(value)
            return
        key, frame.key = frame.key, _Key.AWAITED
        if isinstance(key, str):
            frame.pairs[key] = value
        elif key is _Key.AWAITED:  # an alias or a collection in the place of a key
            frame.key = self._key(value, event)
        elif key is _Key.MERGE:
            self._merge(frame, value, event)

    def _key(self, written: object, event: yaml.Event) -> str | _Key:
        if not isinstance(written, str):
            self._trap("BAD_TYPE", "a key must be a string; this entry is left out", event)
            return _Key.UNUSABLE
        frame = self._stack[-1]
        frame.key = written  # so that a trap's path ends with it
        if written in frame.pairs:
            self._trap("DUPLICATE_KEY", "repeated; the last one holds", event)
        return written

    def _merge(self, frame: _Frame, value: object, event: yaml.Event) -> None:
        mappings = value if isinstance(value, list) else [value]
        for mapping in reversed(mappings):  # of a list, the first one wins
            if isinstance(mapping, dict):
                frame.merged.append(mapping)
            else:
                self._trap("BAD_TYPE", "<< takes a mapping or a list of them", event)

    def _trap(self, code: str, message: str, event: yaml.Event) -> None:
        path = tuple(step for frame in self._stack[1:] for step in frame.step)
        self.traps.append(Trap(path, line_of(event), code, message))


def events_of(text: bytes) -> Iterator[yaml.Event]:
    """What libyaml makes of a text, event by event."""
    return yaml.parse(text, Loader=yaml.CSafeLoader)


def line_of(event: yaml.Event) -> int:
    """The line, from 1, on which an event starts."""
    mark = event.start_mark
    return mark.line + 1 if mark else 0


def _refused(code: str, message: str, event: yaml.Event) -> RefusedError:
    return RefusedError(code, message, line_of(event))


def _tag_of(event: yaml.ScalarEvent) -> str:
    """The tag that is written, or else what YAML 1.1 takes a plain scalar for."""
    if event.tag is not None and event.tag != "!":
        return str(event.tag)
    if not event.implicit[0]:
        return _STR
    for tag, pattern in _RESOLVERS.get(event.value[:1], ()):
        if pattern.match(event.value):
            return str(tag)
    return _STR


def _construct(tag: str, event: yaml.ScalarEvent) -> object:
    text: str = event.value
    if tag in _ODD_SCALARS:
        return Odd(_ODD_SCALARS[tag], text)
    read = _READERS.get(tag)
    if read is None:
        raise _refused("CUSTOM_TAG", f"the tag {tag} is not supported here", event)
    if len(text) > _MAX_NUMBER_CHARS:
        return Odd("number of too many digits", text)
    try:
        value = read(yaml.ScalarNode(tag, text))
    except (ValueError, LookupError):  # `!!int x`, `!!bool x`, `!!float ''`
        return Odd(f"broken {tag.removeprefix(_TAG)}", text)
    if isinstance(value, float) and not math.isfinite(value):
        return Odd("number that is not finite", text)
    if type(value) is int and value not in INT_RANGE:
        return Odd("number beyond 64 bits", text)
    return value
