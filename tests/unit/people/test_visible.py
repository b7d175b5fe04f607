import pytest

from proxy.people.visible import columns, cut, safe_line, safe_text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("plain", "plain", id="plain"),
        pytest.param(" a\r\n\t b\u2028c ", "a b c", id="white-space"),
        pytest.param("\x1b]0;t\x07", r"\u001b]0;t\u0007", id="escape"),
        pytest.param("\x9b2J\x7f", r"\u009b2J\u007f", id="c1"),
        pytest.param("\u202etxt.exe\u2066", r"\u202etxt.exe\u2066", id="direction"),
        pytest.param("\ud800", r"\ud800", id="half-a-character"),
        pytest.param("žluť 工具 👩‍💻", "žluť 工具 👩‍💻", id="letters"),
    ],
)
def test_a_line_is_harmless_and_one(text: str, line: str) -> None:
    assert safe_line(text) == line


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_of_all_control_characters_only_line_and_tab_stay(code: int) -> None:
    character = chr(code)

    assert safe_text(f"a{character}b") == (
        f"a{character}b" if character in "\n\t" else f"a\\u{code:04x}b"
    )


def test_a_line_end_of_two_is_one() -> None:
    assert safe_text("a\r\nb") == "a\nb"


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("工具", 4), ("e\u0301", 1), ("ﾂ", 1), ("", 0)]
)
def test_columns_are_those_of_a_terminal(text: str, width: int) -> None:
    assert columns(text) == width


@pytest.mark.parametrize(
    ("text", "room", "cut_text"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("工具工具", 8, "工具工具"),
        ("工具工具", 7, "工具工…"),
        ("工具工具", 6, "工具…"),
        ("工具", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_what_is_cut_fits(text: str, room: int, cut_text: str) -> None:
    assert (cut(text, room), columns(cut_text) <= room) == (cut_text, True)
