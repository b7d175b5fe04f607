from typing import Any

import pytest

from proxy.people.tables import Sheet
from proxy.publishing.pages import history_page, status_page

SHEET = Sheet(200, colour=False)
STATUS: dict[str, Any] = {
    "active": "a" * 64,
    "generation": 3,
    "pinned": False,
    "held": None,
    "problem": "",
    "servers": 2,
    "quarantined": [],
}


def test_a_status_leaves_out_what_there_is_nothing_to_say_of() -> None:
    lines = list(status_page(STATUS, SHEET))

    assert lines == [f"active   {'a' * 64}", "servers  2"]


def test_a_status_says_what_is_wrong() -> None:
    broken = [{"server": "b\x1b[2J", "problems": ["p", "q"]}]

    page = "\n".join(
        status_page(
            {**STATUS, "problem": "away", "held": "h", "pinned": True, "quarantined": broken}, SHEET
        )
    )

    for words in (
        "problem  away",
        "pinned   yes",
        "held     h",
        "b\\u001b[2J  p",
        "b\\u001b[2J  q",
    ):
        assert words in page


def test_history_is_a_line_for_each() -> None:
    row = {
        "at": "2026-01-31T12:00:00Z",
        "generation": "0123456789abcdef" * 4,
        "reason": "source",
        "change_class": None,
        "version": 7,
        "signed_by": "k",
        "servers": 1,
        "tools": 2,
        "source": "s\n",
    }

    titles, line = history_page({"activations": [row]}, SHEET)

    assert titles.split()[:3] == ["AT", "GENERATION", "REASON"]
    said = ["2026-01-31T12:00:00Z", "0123456789ab", "source", "-", "7", "k"]
    assert line.split() == said


def test_history_is_whole_on_80_columns_but_for_who_signed() -> None:
    row = {
        "at": "2026-01-31T12:00:00Z",
        "generation": "0123456789abcdef" * 4,
        "reason": "rollback",
        "change_class": "compatible",
        "version": 7,
        "signed_by": "fedcba9876543210",
    }

    _, line = history_page({"activations": [row]}, Sheet(80, colour=False))

    *whole, signed_by = line.split()
    assert whole == ["2026-01-31T12:00:00Z", "0123456789ab", "rollback", "compatible", "7"]
    assert signed_by.startswith("fedcba98")


@pytest.mark.parametrize("odd", [{}, {"activations": 5}, {"activations": [None, [], {"at": {}}]}])
def test_a_history_of_any_shape_is_a_page(odd: dict[str, Any]) -> None:
    assert next(iter(history_page(odd, SHEET))).startswith("AT")


@pytest.mark.parametrize(
    "odd", [{}, {"quarantined": "x"}, {"quarantined": [7, {"problems": 3}, {"problems": [[]]}]}]
)
def test_a_status_of_any_shape_is_a_page(odd: dict[str, Any]) -> None:
    assert list(status_page(odd, SHEET))
