"""Facts about how a comparison looks on a terminal."""

import json  # noqa: TID251 - read as anybody reads it
import re
from typing import Any, Final
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.generations.shown import pieces
from proxy.people.tables import Sheet
from proxy.people.visible import columns
from proxy.publishing.diffs import lines
from tests.support.registry_edits import BASE, GONE, compared, edited

PLAIN: Final = Sheet(80, colour=False)
COLOUR: Final = re.compile("\x1b\\[[0-9]+m")
NEW: Final = edited(
    (("servers", 1), {"namespace": "post", "name": "post", "port": 1}),
    (("servers", 0, "tools", 1), {"name": "more"}),
    (("servers", 0, "tools", 0, "path"), "/find"),
    (("servers", 0, "tools", 0, "timeout"), GONE),
    (("servers", 0, "circuit", "failures"), 9),
    (("servers", 0, "inject_headers", "x-key"), "other"),
)


def document(old: object = BASE, new: object = NEW) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(pieces(compared(old, new))))
    return found


def one(**change: object) -> dict[str, Any]:
    row = {"server": "s", "class": "compatible", "changes": [{"class": "compatible"} | change]}
    return {"modified": [row]}


def test_what_differs_is_told_by_server_and_tool() -> None:
    assert list(lines(document(), PLAIN)) == [
        "- mail  breaking",
        "~ notes",
        "    compatible  circuit.failures: 5 → 9",
        '    compatible  inject_headers.x-key: "***" → "***"',
        "- notes.list  breaking",
        "+ notes.more",
        "~ notes.search  breaking",
        '    breaking    path: "/search" → "/find"',
        "    compatible  timeout: 10.0 → nothing",
        "+ post",
        "2 removed, 2 added, 2 modified, 0 unchanged. diverged, breaking. Look before you",
        "apply it: servers that run now are missing from it, and their calls would fail.",
    ]


def test_nothing_is_told_too() -> None:
    assert list(lines(document(BASE, BASE), PLAIN)) == [
        "0 removed, 0 added, 0 modified, 2 unchanged. up-to-date, compatible. Safe to",
        "apply: nothing differs in what it means.",
    ]


def test_colours_are_by_sign_and_say_nothing_alone() -> None:
    coloured = list(lines(document(), PLAIN._replace(colour=True)))

    assert coloured[0] == "\x1b[31m- mail  breaking\x1b[0m"
    assert coloured[1] == "\x1b[33m~ notes\x1b[0m"
    assert coloured[2] == "    compatible  circuit.failures: 5 → 9"
    assert coloured[5] == "\x1b[32m+ notes.more\x1b[0m"
    assert coloured[7] == '\x1b[31m    breaking    \x1b[0mpath: "/search" → "/find"'
    assert [COLOUR.sub("", line) for line in coloured] == list(lines(document(), PLAIN))


def test_both_values_are_cut_where_room_is_short() -> None:
    found = one(path="p", old="a" * 99, new="b" * 99)

    _, line, *_ = lines(found, Sheet(50, colour=False))

    assert line == '    compatible  p: "aaaaaaaaaaaa… → "bbbbbbbbbbbb…'


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        pytest.param(1, "b" * 99, f'1 → "{"b" * 25}…', id="to-the-new"),
        pytest.param("a" * 99, 1, f'"{"a" * 25}… → 1', id="to-the-old"),
    ],
)
def test_what_a_short_value_leaves_is_the_others(old: object, new: object, shown: str) -> None:
    _, line, *_ = lines(one(path="p", old=old, new=new), Sheet(50, colour=False))

    assert line == f"    compatible  p: {shown}"
    assert columns(line) == 50


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "\u202egnp", "\x9b1m"])
def test_nothing_reaches_the_terminal_but_text(hostile: str) -> None:
    row = {"server": hostile, "tool": hostile, "class": hostile}
    change = {"path": hostile, "old": hostile, "new": {hostile: hostile}, "class": hostile}
    found = {
        "added": [row],
        "removed": [row],
        "modified": [row | {"changes": [change]}],
        "status": hostile,
        "change_class": hostile,
        "recommendation": hostile,
    }

    assert all(line.isprintable() for line in lines(found, Sheet(400, colour=False)))


KEYS: Final = st.sampled_from(
    ["added", "modified", "changes", "server", "tool", "class", "path", "old", "new", "status"]
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=60),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, JSON), st.integers(0, 120))
def test_whatever_the_document_is_its_lines_fit(found: dict[str, object], width: int) -> None:
    shown = list(lines(found, Sheet(width, colour=False)))

    assert all(columns(line) <= max(width, 20) for line in shown)
    assert not any(category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in "".join(shown))
