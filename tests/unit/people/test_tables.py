import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.people.tables import Column, Sheet, cell, fitted, pairs, table
from proxy.people.visible import columns

NAMES = (Column("NAME"), Column("N", number=True), Column("WHY", yields_room=True))


def test_a_table_stands_in_columns() -> None:
    rows = [("a", 7, "because"), ("longer", 1234, None)]

    lines = list(table(NAMES, rows, Sheet(80, colour=False)))

    assert lines == ["NAME       N  WHY", "a          7  because", "longer  1234  -"]


def test_wide_letters_take_two_columns() -> None:
    lines = list(table(NAMES, [("工具", 1, "x"), ("abcd", 1, "x")], Sheet(80, colour=False)))

    assert lines[1:] == ["工具  1  x", "abcd  1  x"]


def test_what_yields_is_cut_first() -> None:
    rows = [("a-long-name-of-a-tool", 7, "a description that is rather long")]

    lines = list(table(NAMES, rows, Sheet(40, colour=False)))

    assert lines[1] == "a-long-name-of-a-tool  7  a description…"


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=8), st.integers(0, 200), st.integers(0, 8)
)
def test_widths_fit_wherever_they_can(natural: list[int], width: int, yielding: int) -> None:
    heads = [Column("", yields_room=place < yielding) for place in range(len(natural))]

    widths = fitted(heads, natural, Sheet(width, colour=False))

    needed = sum(widths) + 2 * (len(widths) - 1)
    least = len(widths) + 2 * (len(widths) - 1)
    assert needed <= max(width, least)
    assert all(have <= wanted for have, wanted in zip(widths, natural, strict=True))


@given(st.text(max_size=50), st.integers(5, 60))
def test_no_cell_makes_a_line_too_wide_or_two(text: str, width: int) -> None:
    heads = (Column("A"), Column("B"))

    lines = list(table(heads, [(text, text)], Sheet(width, colour=True)))

    assert len(lines) == 2
    assert columns(lines[1]) <= width


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), ("", "-"), (True, "yes"), (False, "no"), (0, "0"), ("a\x1bb", r"a\u001bb")],
)
def test_a_cell_is_one_harmless_line(value: object, text: str) -> None:
    assert cell(value) == text


def test_colour_is_by_the_first_word_and_takes_no_room() -> None:
    heads = (Column("H", painted=True), Column("X"))

    lines = list(table(heads, [("no: A missing", 1), ("yes", 2)], Sheet(80, colour=True)))

    assert lines == [
        "\x1b[1mH              X\x1b[0m",
        "\x1b[31mno: A missing\x1b[0m  1",
        "\x1b[32myes\x1b[0m            2",
    ]


def test_pairs_stand_side_by_side() -> None:
    rows = (("url", "http://a"), ("health", "healthy"))

    assert list(pairs(rows, Sheet(80, colour=False))) == ["url     http://a", "health  healthy"]
