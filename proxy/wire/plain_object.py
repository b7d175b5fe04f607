"""Which one JSON object is this body, and how is it written again without a change of meaning?

RFC 8259, and stricter: what two readers could take for different objects is refused, since one of
them judges it and another one acts on it. Knows nothing of what the object is for.
"""

import json  # noqa: TID251 - orjson keeps the last of equal keys and knows no number beyond 64 bits
from decimal import Decimal
from math import isinf
from typing import Any, Final

import msgspec

from proxy.errors import BadValueError

# Readers upstream give up at 254 (orjson) or at their stack's end.
DEEPEST: Final = 100
_MOST_DIGITS: Final = 4300  # as Python has it for whole numbers
# So many digits always come back from a double as they were, unless it is close to its limits.
_EXACT_CHARACTERS: Final = 15
_SMALL: Final = 1e-300
_LARGE: Final = 1e300

# A pair, since a union takes `isinstance` four times as long.
_CONTAINERS: Final = (dict, list)


def read_object(body: bytes, *, deepest: int = DEEPEST) -> dict[str, object]:
    """The object that the body is; an empty body is {}.

    A number is an `int`, a `float`, or a `Decimal` where a float would be another number: only
    `write_object` writes all of them as they came. BadValueError for anything that is not one
    object with one meaning, or that is nested deeper than `deepest`.
    """
    if not body:
        return {}
    found = _parsed(body)
    if not isinstance(found, dict):
        raise BadValueError("The body is not a JSON object: put what it says between { and }")
    if body.count(b"{") + body.count(b"[") > deepest and _is_deeper(found, deepest):
        raise _too_deep()
    if b"\\u" in body:
        _refuse_half_characters(found)
    return found


def write_object(found: dict[str, object]) -> bytes:
    """The object in as few bytes as JSON has for it, every number as it was read."""
    return _ENCODER.encode(found)


def _parsed(body: bytes) -> object:
    try:
        return _DECODER.decode(body.decode())
    except UnicodeDecodeError:
        raise BadValueError("The body is not UTF-8: encode its JSON as UTF-8") from None
    except json.JSONDecodeError as error:
        where = f"{error.msg.removesuffix(' at')}, at character {error.pos}"
        raise BadValueError(f"The body is not JSON ({where}): send one object") from None
    except ValueError:  # of int(): Python's own limit, which may be set lower
        raise _too_many_digits() from None
    except RecursionError:
        raise _too_deep() from None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadValueError("An object in the body has a key twice: name each key once")
    return found


def _number(text: str) -> float | Decimal:
    value = float(text)
    if len(text) <= _EXACT_CHARACTERS and _SMALL < abs(value) < _LARGE:
        return value
    if len(text) > _MOST_DIGITS:
        raise _too_many_digits()
    if not value and not text.upper().partition("E")[0].strip("-0."):
        return value
    if not value or isinf(value):
        raise BadValueError("A number in the body is beyond a double's range: send it as a string")
    exact = Decimal(text)
    return value if Decimal(repr(value)) == exact else exact


def _no_number(text: str) -> object:
    raise BadValueError(f"{text} in the body is not JSON: leave it out, or send null or a string")


def _is_deeper(found: dict[str, object], deepest: int) -> bool:
    level: list[Any] = [found]
    for _ in range(deepest):
        level = [
            each
            for outer in level
            for each in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(each, _CONTAINERS)
        ]
        if not level:
            return False
    return True


def _refuse_half_characters(found: dict[str, object]) -> None:
    try:
        write_object(found)
    except UnicodeEncodeError:
        raise BadValueError(
            r"The body has half a surrogate pair, such as \ud800: send whole characters"
        ) from None


def _too_deep() -> BadValueError:
    return BadValueError(f"The body is nested too deeply: {DEEPEST} levels are the most")


def _too_many_digits() -> BadValueError:
    return BadValueError("A number in the body has too many digits: send it as a string")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_repeats, parse_float=_number, parse_constant=_no_number
)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
