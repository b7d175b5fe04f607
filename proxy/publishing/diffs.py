"""How a comparison looks on a terminal: what comes, what goes, what changes, and how bad is that?

Reads the JSON of a comparison, which may be a sidecar's answer: nothing in it is trusted. Colour
says nothing that a word or a sign does not say, too.
"""

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from proxy.client.codec import mapping
from proxy.people.documents import written
from proxy.people.tables import Sheet, cell
from proxy.people.visible import columns, cut, safe_line

_ADDED, _REMOVED, _MODIFIED = "+", "-", "~"
_COLOURS: Final = {_ADDED: "32", _REMOVED: "31", _MODIFIED: "33"}
_SIGNS: Final = {"removed": _REMOVED, "added": _ADDED, "modified": _MODIFIED}
_BREAKING: Final = "breaking"
_CLASS_COLUMNS: Final = 12  # `compatible`, and what keeps it apart
_INDENT: Final = "    "
_ARROW: Final = " → "
_LEAST_COLUMNS: Final = 20  # of a line; a narrower terminal breaks it
_LONGEST_CHARS: Final = 1000  # of a sentence; no terminal is wider than a cell may be, either


class _Block(NamedTuple):
    """A server or a tool that is not what it was."""

    server: str
    tool: str
    sign: str
    change_class: str
    changes: list[dict[str, Any]]


def lines(document: Mapping[str, object], sheet: Sheet) -> Iterator[str]:
    """What differs, by server and tool, then the sum of it; all safe to be shown."""
    sheet = sheet._replace(width=max(sheet.width, _LEAST_COLUMNS))
    for block in sorted(_blocks(document), key=lambda block: block[:2]):
        yield _title(block, sheet)
        for change in block.changes:
            yield _line(change, sheet)
    yield from _sum(document, sheet)


def _blocks(document: Mapping[str, object]) -> Iterator[_Block]:
    for kind, sign in _SIGNS.items():
        for row in _rows(document, kind):
            server, tool, change_class = (_word(row, key) for key in ("server", "tool", "class"))
            yield _Block(server, tool, sign, change_class, _rows(row, "changes"))


def _title(block: _Block, sheet: Sheet) -> str:
    name = f"{block.server}.{block.tool}" if block.tool else block.server
    said = "  breaking" if block.change_class == _BREAKING else ""
    text = f"{block.sign} {cut(name, sheet.width - len(block.sign) - 1 - len(said))}{said}"
    return _coloured(text, _COLOURS[block.sign], sheet)


def _line(change: dict[str, Any], sheet: Sheet) -> str:
    change_class = _word(change, "class")
    begun = _INDENT + cut(change_class, _CLASS_COLUMNS - 2).ljust(_CLASS_COLUMNS)
    room = sheet.width - len(begun)
    path = cut(f"{_word(change, 'path')}: ", max(room // 2, 1))
    old, new = (_value(change.get(key)) for key in ("old", "new"))
    said = path + _both(old, new, room - columns(path))
    return _coloured(begun, _COLOURS[_REMOVED], sheet, only=change_class == _BREAKING) + said


def _both(old: str, new: str, room: int) -> str:
    """Cut where they must be; what the shorter one leaves is the other's."""
    room -= len(_ARROW)
    half = room // 2
    for_old = max(half, room - columns(new))
    shown = cut(old, for_old)
    return f"{shown}{_ARROW}{cut(new, room - columns(shown))}"


def _sum(document: Mapping[str, object], sheet: Sheet) -> Iterator[str]:
    counts = ", ".join(f"{len(_listed(document, kind))} {kind}" for kind in (*_SIGNS, "unchanged"))
    said = f"{counts}. {_word(document, 'status')}, {_word(document, 'change_class')}."
    advice = _word(document, "recommendation")
    for line in textwrap.wrap(f"{said} {advice}", sheet.width):
        yield cut(line, sheet.width)


def _value(value: object) -> str:
    return "nothing" if value is None else cell(written(value))


def _word(row: Mapping[str, object], key: str) -> str:
    value = row.get(key)
    return safe_line(value[:_LONGEST_CHARS]) if isinstance(value, str) else ""


def _rows(document: Mapping[str, object], key: str) -> list[dict[str, Any]]:
    return [mapping(row) for row in _listed(document, key)]


def _listed(document: Mapping[str, object], key: str) -> list[object]:
    value = document.get(key)
    return value if isinstance(value, list) else []


def _coloured(text: str, colour: str, sheet: Sheet, *, only: bool = True) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if sheet.colour and only else text
