"""Rows in columns, as wide as the terminal and no wider.

What a cell says is cleaned here, so that no table shows more than text. Colour is by the word: the
same word has the same colour everywhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from proxy.people.visible import columns, cut, safe_line

_GAP: Final = "  "
_LONGEST_CELL: Final = 1000  # characters; no terminal is wider
_LEAST_YIELDED: Final = 10
_RED, _GREEN, _YELLOW, _BOLD = "31", "32", "33", "1"
_COLOURS: Final = {
    "healthy": _GREEN,
    "unhealthy": _RED,
    "unreachable": _RED,
    "degraded": _YELLOW,
    "closed": _GREEN,
    "open": _RED,
    "half_open": _YELLOW,
    "success": _GREEN,
    "failure": _RED,
    "error": _RED,
    "yes": _GREEN,
    "no": _RED,
}


class Column(NamedTuple):
    """A title; numbers stand at the right; words that are `painted` have their colour.

    Where room is short, those that `yields_room` are cut first.
    """

    title: str
    number: bool = False
    painted: bool = False
    yields_room: bool = False


class Sheet(NamedTuple):
    """What is written on: so many columns wide, in colour or not."""

    width: int
    colour: bool


Row = Sequence[object]


def table(heads: Sequence[Column], rows: Iterable[Row], sheet: Sheet) -> Iterator[str]:
    """Its lines, the titles first."""
    cells = [[cell(each) for each in row] for row in rows]
    natural = [
        max(columns(each) for each in (head.title, *(row[place] for row in cells)))
        for place, head in enumerate(heads)
    ]
    widths = fitted(heads, natural, sheet)
    yield title_line(heads, widths, sheet)
    for row in cells:
        yield line(heads, row, widths, sheet)


def title_line(heads: Sequence[Column], widths: Sequence[int], sheet: Sheet) -> str:
    plain = [Column("", head.number) for head in heads]
    text = line(plain, [head.title for head in heads], widths, sheet)
    return _coloured(text, _BOLD) if sheet.colour else text


def line(heads: Sequence[Column], row: Sequence[str], widths: Sequence[int], sheet: Sheet) -> str:
    """One row of cells that are clean already, in columns of these widths."""
    shown = []
    for head, text, width in zip(heads, row, widths, strict=True):
        said = cut(text, width)
        white = " " * (width - columns(said))
        said = painted(said, sheet) if head.painted else said
        shown.append(white + said if head.number else said + white)
    return _GAP.join(shown).rstrip()


def pairs(rows: Sequence[tuple[str, object]], sheet: Sheet) -> Iterator[str]:
    """One line for each name and what it is, as long as it is."""
    width = max(columns(name) for name, _ in rows)
    for name, value in rows:
        yield f"{name}{' ' * (width - columns(name))}{_GAP}{painted(cell(value), sheet)}".rstrip()


def cell(value: object) -> str:
    """A value as one line; what is not there is a dash."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return safe_line(str(value)[:_LONGEST_CELL])


def painted(text: str, sheet: Sheet) -> str:
    """In the colour of its first word, if it has one."""
    colour = _COLOURS.get(text.partition(" ")[0].rstrip(":"))
    return _coloured(text, colour) if colour and sheet.colour else text


def fitted(heads: Sequence[Column], natural: Sequence[int], sheet: Sheet) -> list[int]:
    """Widths that fit: of those that yield, and then of all, the widest gives first."""
    room = max(sheet.width - len(_GAP) * (len(heads) - 1), len(heads))
    widths = [min(each, room) for each in natural]
    yielding = [place for place, head in enumerate(heads) if head.yields_room]
    _narrow(widths, yielding, room, _LEAST_YIELDED)
    _narrow(widths, range(len(heads)), room, 1)
    return widths


def _narrow(widths: list[int], places: Sequence[int], room: int, least: int) -> None:
    """Take from the widest of these places until all fit, or none of them has more to give."""
    while sum(widths) > room and any(widths[place] > least for place in places):
        widest = max(places, key=lambda place: widths[place])
        widths[widest] -= 1


def _coloured(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"
