r"""What may reach a terminal, and how many columns does it take?

Names, descriptions and answers come from servers: a control character among them could move the
cursor, hide text or change the title. They are shown as `\u001b`, which is what JSON says, too.
"""

import re
import unicodedata
from typing import Final

# C0, DEL and C1; what turns the direction of writing; line separators; halves of characters.
_CONTROL: Final = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb\ud800-\udfff"
_UNSAFE: Final = re.compile(f"[\x00-\x1f{_CONTROL}]")
_UNSAFE_IN_TEXT: Final = re.compile(f"[\x00-\x08\x0b-\x1f{_CONTROL}]")
_WHITE: Final = re.compile(r"\s+")
_NOTHING: Final = ("Mn", "Me", "Cf")  # categories that take no column of their own
_WIDE: Final = ("W", "F")
_CUT: Final = "…"


def safe_line(text: str) -> str:
    """One line of it, whatever it holds."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return _UNSAFE.sub(_escaped, _WHITE.sub(" ", text).strip())


def safe_text(text: str) -> str:
    """With its lines and tabs, and nothing else that a terminal obeys."""
    return _UNSAFE_IN_TEXT.sub(_escaped, text.replace("\r\n", "\n"))


def columns(text: str) -> int:
    """How many columns a line of safe text takes: two for wide characters, none for accents."""
    return len(text) if text.isascii() else sum(map(_width, text))


def cut(text: str, room: int) -> str:
    """As much of it as there is room for; what is cut ends with `…`."""
    if columns(text) <= room:
        return text
    taken = 0
    for position, character in enumerate(text):
        taken += _width(character)
        if taken > room - 1:
            return text[:position] + _CUT if room > 0 else ""
    return text


def _width(character: str) -> int:
    if unicodedata.category(character) in _NOTHING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
