"""How the state of a registry and its history look on a terminal.

What is shown comes from outside: whatever its shape, it is a page, and every word of it is safe.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from proxy.client.codec import mapping
from proxy.people.tables import Column, Sheet, cell, pairs, table

_SHORT: Final = 12  # of a generation's 64 digits
_OF_HISTORY: Final = (
    Column("AT"),
    Column("GENERATION"),
    Column("REASON"),
    Column("CHANGE"),
    Column("VERSION", number=True),
    Column("SIGNED BY", yields_room=True),
)
_OF_QUARANTINED: Final = (Column("SET ASIDE"), Column("PROBLEM", yields_room=True))
# What a page leaves out when there is nothing to say of it.
_RARE: Final = ("held", "pinned", "problem", "store_problem")
_ELSEWHERE: Final = ("quarantined", "generation")


def status_page(status: Mapping[str, object], sheet: Sheet) -> Iterator[str]:
    """What runs, from where, and what is wrong."""
    rows = [
        (name.replace("_", " "), value)
        for name, value in status.items()
        if name not in _ELSEWHERE and (value or name not in _RARE)
    ]
    yield from pairs(rows or [("active", None)], sheet)
    broken = [mapping(each) for each in _rows(status, "quarantined")]
    if broken:
        problems = ((each.get("server"), why) for each in broken for why in _rows(each, "problems"))
        yield ""
        yield from table(_OF_QUARANTINED, problems, sheet)


def history_page(activations: Mapping[str, object], sheet: Sheet) -> Iterator[str]:
    """A line for each generation that was put in force, whole on 80 columns; JSON has the rest."""
    rows = (_row(mapping(each)) for each in _rows(activations, "activations"))
    return table(_OF_HISTORY, rows, sheet)


def _row(activation: dict[str, object]) -> tuple[object, ...]:
    get = activation.get
    return (
        get("at"),
        cell(get("generation"))[:_SHORT],
        get("reason"),
        get("change_class"),
        get("version"),
        get("signed_by"),
    )


def _rows(document: Mapping[str, object], key: str) -> list[object]:
    found = document.get(key)
    return found if isinstance(found, list) else []
