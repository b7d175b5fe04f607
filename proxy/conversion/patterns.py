"""nginx's regular expressions (PCRE) as ours (RE2's), and names of captures as numbers.

Knows both dialects where they differ in common use. Does not know what is matched.
"""

import re
from typing import Any, Final, NamedTuple

from proxy.config.expressions import expression
from proxy.conversion.notes import NotCarriedError

_NAMED: Final = re.compile(r"\(\?P?<([A-Za-z_]\w*)>", re.ASCII)
_REWRITE: Final = re.compile(r"/(?:[!-\"%->@-~]|\$\$|\$[1-9](?!\d)|\$\{[1-9]\})*")
_MOST: Final = 1_000


class Pattern(NamedTuple):
    """An expression that may match anywhere in a path, and what its named captures are here."""

    text: str
    captures: dict[str, str]


def pattern(text: str, *, folded: bool = False) -> Pattern:
    """As RE2 has it; `NotCarriedError` where it has not."""
    if len(text) > _MOST or not text.isascii() or not text.isprintable() or " " in text:
        raise NotCarriedError("paths are matched as they are sent, in visible ASCII; write %20")
    written = _NAMED.sub(r"(?P<\1>", text)
    found = ("(?i)" if folded else "") + written
    compiled = compiled_or_refused(found)
    return Pattern(found, {name.decode(): f"${at}" for name, at in compiled.groupindex.items()})


def path_of(replacement: str) -> str:
    """A path that may be written from captures, and from nothing else."""
    if not _REWRITE.fullmatch(replacement):
        raise NotCarriedError("a path is rewritten to / and what follows, with $1 to $9 in it")
    return replacement


def whole(found: Pattern, replacement: str) -> str:
    """Refuse a replacement that names a capture which is not there."""
    groups = compiled_or_refused(found.text).groups
    if any(int(each) > groups for each in re.findall(r"\$(\d)", replacement)):
        raise NotCarriedError("it names a capture that its expression has not")
    return replacement


def compiled_or_refused(text: str) -> Any:
    try:
        return expression(text)
    except ValueError as error:
        raise NotCarriedError(str(error)) from None
