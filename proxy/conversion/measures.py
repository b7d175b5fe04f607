"""nginx's spans of time and sizes, in our words: `1h30m`, `10m`.

Knows both grammars. Knows nothing of what is measured.
"""

import re
from typing import Final

from proxy.conversion.notes import NotCarriedError

_TIME: Final = re.compile(r"(\d+)(ms|[smhdwMy]?)", re.ASCII)
_TIMES: Final = re.compile(r"(?:\d{1,15}(?:ms|[smhdwMy]) ?)*(?:\d{1,15})?", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15})([kKmMgG]?)", re.ASCII)
_SPANS_MS: Final = {
    "ms": 1,
    "": 1_000,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "y": 31_536_000_000,
}
_BYTES: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def milliseconds(text: str) -> int:
    """`60`, `500ms`, `1h30m`."""
    if not text or not _TIMES.fullmatch(text):
        raise NotCarriedError("this is no span of time; write one such as 60s")
    return sum(int(part[1]) * _SPANS_MS[part[2]] for part in _TIME.finditer(text))


def octets(text: str) -> int:
    """`1024`, `8k`, `10m`, `1g`."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise NotCarriedError("this is no size; write one such as 10m")
    return int(match[1]) * _BYTES[match[2].lower()]


def span(span_ms: int) -> str:
    """As our settings have it."""
    return f"{span_ms}ms" if span_ms % 1_000 else f"{span_ms // 1_000}s"


def size(size_bytes: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return f"{size_bytes}B"
