"""JSON for people and for pipes: nothing that came is changed.

Numbers of any size, and halves of characters, come from servers and go on as they are.
"""

import json  # noqa: TID251 - orjson refuses numbers beyond 64 bits, which are others' to choose
import re
from typing import Final

from proxy.client.codec import decoded

_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_OPENING: Final = ("{", "[")
_CLOSING: Final = ("}", "]")
_DEEPEST_INDENT: Final = 40


def written(value: object) -> str:
    """Compact, on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def is_json(text: bytes | str) -> bool:
    try:
        decoded(text)
    except ValueError:
        return False
    return True


def laid_out(text: str) -> str:
    """JSON in lines, indented: its own words, in their order, with other white space."""
    pieces: list[str] = []
    depth = 0
    before = ""
    for found in _TOKEN.finditer(text):
        token = found[0]
        depth -= token in _CLOSING
        empty = before in _OPENING and token in _CLOSING
        if (before in _OPENING or before == "," or token in _CLOSING) and not empty:
            pieces.append("\n" + "  " * min(depth, _DEEPEST_INDENT))
        elif before == ":":
            pieces.append(" ")
        pieces.append(token)
        depth += token in _OPENING
        before = token
    return "".join(pieces)
