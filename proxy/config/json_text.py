"""JSON text to plain values, with nothing silent about it: the numbers of JSON, not those of YAML.

YAML reads most of JSON, but takes `1e5` for text, and refuses escaped surrogate pairs. Knows paths,
not lines. The text is untrusted: its depth is bounded.
"""

import json  # noqa: TID251 - which keys were repeated, and numbers of any size, only it tells
import math
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from proxy.config.compose import INT_RANGE, MAX_DEPTH, Odd, RefusedError, Trap

_MOST_DIGITS: Final = 20
_BLANK: Final = b" \t\r\n"


class _Doubled(dict[str, Any]):
    """A mapping that had keys twice."""

    again: tuple[str, ...] = ()


def may_be_json(text: bytes) -> bool:
    """Only what is a mapping or a list is worth asking."""
    return text.removeprefix(BOM_UTF8).lstrip(_BLANK)[:1] in {b"{", b"["}


def read_json(text: bytes) -> tuple[object, list[Trap]] | None:
    """The value and its traps; None for what is no JSON, RefusedError for what is nested too deep.

    A value that readers of JSON do not agree on becomes `Odd`, as in YAML.
    """
    try:
        root = json.loads(
            text.decode("utf-8-sig"),
            object_pairs_hook=_mapping,
            parse_int=_whole,
            parse_float=_number,
            parse_constant=_not_finite,
        )
        if b"\\u" in text:  # there may be half of a surrogate pair, which no UTF-8 can say
            json.dumps(root, default=str, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        return None
    return root, list(_traps(root))


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) == len(pairs):
        return mapping
    doubled = _Doubled(mapping)
    times = Counter(key for key, _ in pairs)
    doubled.again = tuple(key for key in mapping if times[key] > 1)
    return doubled


def _whole(digits: str) -> object:
    if len(digits) <= _MOST_DIGITS and (value := int(digits)) in INT_RANGE:
        return value
    return Odd("number beyond 64 bits", digits)


def _number(digits: str) -> object:
    value = float(digits)
    return value if math.isfinite(value) else _not_finite(digits)


def _not_finite(word: str) -> Odd:
    return Odd("number that is not finite", word)


def _traps(root: object) -> Iterator[Trap]:
    below: list[tuple[tuple[str | int, ...], Any]] = [((), root)]
    while below:
        path, value = below.pop()
        if isinstance(value, Odd):
            yield Trap(path, None, "BAD_TYPE", f"this is a {value.kind}")
            continue
        if len(path) >= MAX_DEPTH:
            raise _too_deep()
        if isinstance(value, _Doubled):
            for key in value.again:
                yield Trap((*path, key), None, "DUPLICATE_KEY", "repeated; the last one holds")
        each = value.items() if isinstance(value, dict) else enumerate(value)
        below += [((*path, step), it) for step, it in each if isinstance(it, dict | list | Odd)]


def _too_deep() -> RefusedError:
    return RefusedError("TOO_DEEP", f"nested deeper than {MAX_DEPTH} levels", 1)
