"""Values as YAML that people read: short ones on one line, remarks where they are needed.

Knows YAML's traps. Does not know what is written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_WIDTH: Final = 100
_PLAIN: Final = re.compile(r"[A-Za-z/$^*][A-Za-z0-9 /_.$^()+*?;=%~@|\\-]*(:[A-Za-z0-9/_.$-]+)*")
_MEASURE: Final = re.compile(r"\d+(ms|[smh]|[KMG]iB|B)|\d+(\.\d+){3}:\d+", re.ASCII)
_SPECIAL: Final = re.compile(
    r"(?i:true|false|yes|no|on|off|null|y|n|~|nan|inf)|.*\s|\*.*|.* #.*", re.DOTALL
)
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_INDENT: Final = "  "


def entry(key: str, value: Any, depth: int = 0) -> Iterator[str]:
    """The lines of one key with its value."""
    head = f"{_INDENT * depth}{scalar(key)}:"
    short = f"{head} {flow(value)}"
    if len(short) <= _WIDTH or not isinstance(value, Mapping | list):
        yield short
    elif isinstance(value, Mapping):
        yield head
        for name, inner in value.items():
            yield from entry(name, inner, depth + 1)
    elif all(not isinstance(each, Mapping | list) for each in value):
        yield head
        yield from _wrapped(value, depth + 1)
    else:
        yield head
        for each in value:
            yield from item(each, depth + 1)


def item(value: Any, depth: int = 1) -> Iterator[str]:
    """The lines of one element of a list."""
    short = f"{_INDENT * depth}- {flow(value)}"
    if len(short) <= _WIDTH or not isinstance(value, Mapping):
        yield short
        return
    lead = f"{_INDENT * depth}- "
    for name, inner in value.items():
        for line in entry(name, inner, depth + 1):
            yield lead + line.removeprefix(" " * len(lead)) if lead.strip() else line
            lead = " " * len(lead)


def flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(k)}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else scalar(str(value))


def scalar(text: str) -> str:
    """Bare where YAML cannot mistake it, else in double quotes."""
    if _MEASURE.fullmatch(text) or (_PLAIN.fullmatch(text) and not _SPECIAL.fullmatch(text)):
        return text
    return '"' + "".join(_ESCAPES.get(each) or _visible(each) for each in text) + '"'


def remarks(text: str, depth: int = 0) -> Iterator[str]:
    """Comments; a line each."""
    for line in text.splitlines():
        yield f"{_INDENT * depth}# {''.join(map(_visible, line))}".rstrip()


def text_of(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _visible(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    return (
        f"\\x{number:02x}"
        if number < 1 << 8
        else f"\\u{number:04x}"
        if number < 1 << 16
        else f"\\U{number:08x}"
    )


def _wrapped(values: Iterable[Any], depth: int) -> Iterator[str]:
    line = _INDENT * depth + "["
    for value in values:
        piece = flow(value) + ","
        if len(line) + len(piece) + 1 > _WIDTH:
            yield line.rstrip()
            line = _INDENT * depth
        line += piece + " "
    yield line.rstrip(", ") + "]"
