"""The code blocks of the users' guides: as they are kept here, and as they are found in a guide.

A file of blocks has a line `=== name language` before each block, then the block, byte for byte.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

_KEPT: Final = re.compile(r"^=== (\w+) (\w+)\n((?:(?!=== ).*\n)*)", re.MULTILINE)
_FENCED: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FOLDER: Final = Path(__file__).parents[1] / "guides"


class Block(NamedTuple):
    """One block of code of a guide."""

    language: str
    text: str


def kept(file: str) -> dict[str, Block]:
    """The blocks of a file beside the tests, by our names for them, in the guide's order."""
    content = (_FOLDER / file).read_text(encoding="utf-8")
    found = _KEPT.findall(content)
    assert "".join(f"=== {name} {kind}\n{text}" for name, kind, text in found) == content
    return {name: Block(kind, text) for name, kind, text in found}


def found_in(guide: str) -> list[Block]:
    """All blocks of a guide that name their language, in order."""
    return [Block(*each) for each in _FENCED.findall(guide)]
