"""Shape: has a plain value the shape of a struct, and if not, what is wrong where?

Knows types and how to name a problem. Does not know where the value came from.

A struct's annotations say everything: `Annotated[float, read]` is read by the function `read`,
which gives the value or raises TypeError (BAD_TYPE), ValueError (BAD_VALUE) or UnfitError (a code
of its own). A null stands for "not said": the default holds.
"""

import difflib
import types
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

from proxy.config import units
from proxy.config.compose import Odd
from proxy.config.document import Path, Problem, Severity

T = TypeVar("T")
Read = Callable[[object], object]


class UnfitError(ValueError):
    """A value that will not do; with a code of its own, and the key below that is to blame."""

    def __init__(self, message: str, *, code: str = "BAD_VALUE", key: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.key = key


class UnfitPartsError(ValueError):
    """Parts of a value will not do: problems, with their paths from the value on."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__()
        self.problems = tuple(problems)


class Fit(NamedTuple):
    """What came of reading: `value` is what was asked for, or None when a problem is an error."""

    value: Any
    problems: list[Problem]


def fit(kind: Any, value: object, path: Path = (), *, unknown: Severity = "error") -> Fit:
    """Read a value as `kind`; an unknown key is a problem of the severity `unknown`."""
    reading = _Reading(unknown)
    found = reading.any(kind, value, path)
    return Fit(None if reading.errors else found, reading.problems)


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """`, did you mean head?`, or nothing."""
    close = difflib.get_close_matches(word, words, n=1)
    return f", did you mean {close[0]}?" if close else ""


def kind_of(value: object) -> str:
    """What a value is, in words; never the value, which may be a secret."""
    if isinstance(value, Odd):
        return f"a {value.kind}"
    return _KINDS.get(type(value), "something else")


class _Field(NamedTuple):
    name: str
    kind: Any


class _Reading:
    """One reading: the problems so far, and how many of them are errors."""

    def __init__(self, unknown: Severity) -> None:
        self.problems: list[Problem] = []
        self.errors = 0
        self._unknown: Severity = unknown

    def any(self, kind: Any, value: object, path: Path) -> Any:
        how, what = _how(kind)
        if how == "struct":
            return self._struct(what, value, path)
        if how == "list":
            return self._list(what, value, path)
        if how == "mapping":
            return self._mapping(what, value, path)
        try:
            return what(value)
        except (TypeError, ValueError) as error:
            self._blame(error, path)

    def _struct(self, kind: Any, value: object, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._fail(path, "BAD_TYPE", f"expected a mapping, got {kind_of(value)}")
        fields, required = _fields(kind)
        before = self.errors
        given: dict[str, object] = {}
        for key, item in value.items():
            field = fields.get(key)
            if field is None:
                self._unknown_key(key, fields, path)
            elif item is not None:
                given[field.name] = self.any(field.kind, item, (*path, key))
        for name, key in required.items():
            if name not in given:
                self._fail((*path, key), "MISSING_FIELD", "required, but missing")
        if self.errors > before:
            return None
        try:
            return kind(**given)
        except ValueError as error:  # from `__post_init__`
            return self._blame(error, path)

    def _list(self, item_kind: Any, value: object, path: Path) -> Any:
        if not isinstance(value, list | tuple):
            return self._fail(path, "BAD_TYPE", f"expected a list, got {kind_of(value)}")
        return tuple([self.any(item_kind, item, (*path, at)) for at, item in enumerate(value)])

    def _mapping(self, item_kind: Any, value: object, path: Path) -> Any:
        if not isinstance(value, dict):
            return self._fail(path, "BAD_TYPE", f"expected a mapping, got {kind_of(value)}")
        return {key: self.any(item_kind, item, (*path, key)) for key, item in value.items()}

    def _unknown_key(self, key: str, known: Iterable[str], path: Path) -> None:
        hint = did_you_mean(key, known)
        self._fail((*path, key), "UNKNOWN_KEY", f"unknown key{hint}", self._unknown)

    def _blame(self, error: Exception, path: Path) -> None:
        if isinstance(error, UnfitPartsError):
            for part in error.problems:
                self._fail((*path, *part.path), part.code, part.message, part.severity)
            return
        code = "BAD_TYPE" if isinstance(error, TypeError) else getattr(error, "code", "BAD_VALUE")
        key = getattr(error, "key", "")
        self._fail((*path, key) if key else path, code, str(error))

    def _fail(self, path: Path, code: str, message: str, severity: Severity = "error") -> None:
        self.problems.append(Problem(path, code, message, severity))
        self.errors += severity == "error"


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[dict[str, _Field], dict[str, str]]:
    """By key what is read, and by attribute the keys that must be there."""
    fields = msgspec.structs.fields(kind)
    return (
        {field.encode_name: _Field(field.name, field.type) for field in fields},
        {field.name: field.encode_name for field in fields if field.required},
    )


@cache
def _how(kind: Any) -> tuple[str, Any]:
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return "function", args[1]
    if origin is Literal:
        return "function", one_of(*args)
    if origin is tuple:
        return "list", args[0]
    if origin is dict:
        return "mapping", args[1]
    if origin in {Union, types.UnionType}:  # `X | None`: None itself never comes here
        return _how(args[0])
    return ("function", _SCALARS[kind]) if kind in _SCALARS else ("struct", kind)


def text(value: object) -> str:
    """A string as it is."""
    if isinstance(value, str):
        return value
    raise TypeError(f"expected a string, got {kind_of(value)}{_quote_hint(value)}")


def whole(value: object) -> int:
    """A whole number as it is."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    what = "a whole number" if isinstance(value, float) else "a number"
    raise TypeError(f"expected {what}, got {kind_of(value)}")


def number(value: object) -> float:
    """A number, as a float."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"expected a number, got {kind_of(value)}")


def truth(value: object) -> bool:
    """True or false as it is."""
    if isinstance(value, bool):
        return value
    raise TypeError(f"expected true or false, got {kind_of(value)}")


def plain(value: object) -> object:
    """Any value, as JSON can say it: what YAML made something else of is its text again."""
    if isinstance(value, Odd):
        return value.text
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def plain_mapping(value: object) -> object:
    """A mapping that is kept as it is."""
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping, got {kind_of(value)}")
    return plain(value)


def one_of(*words: str) -> Callable[[object], str]:
    """One of these words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        hint = did_you_mean(value, words) if isinstance(value, str) else ""
        error = ValueError if isinstance(value, str) else TypeError
        offered = ", ".join(word for word in words if word)
        raise error(f"expected one of {offered}{hint or f', got {kind_of(value)}'}")

    return read


def between(
    lowest: float, highest: float, read: Callable[[object], T], *, above: bool = False
) -> Callable[[object], T]:
    """What `read` gives, from `lowest` (or only above it) to `highest`."""

    def read_between(value: object) -> T:
        result: Any = read(value)
        if lowest <= result <= highest and not (above and result == lowest):
            return result  # type: ignore[no-any-return]
        if highest < INFINITE:
            raise ValueError(f"must lie between {lowest:g} and {highest:g}")
        raise ValueError(f"must be {'above' if above else 'at least'} {lowest:g}")

    return read_between


def _quantity(read: Callable[[object], T]) -> Callable[[object], T]:
    def read_quantity(value: object) -> T:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError(f"expected a number, got {kind_of(value)}")
        return read(value)

    return read_quantity


def _quote_hint(value: object) -> str:
    return ": quote it" if isinstance(value, bool | int | float) else ""


INFINITE: Final = float("inf")
_KINDS: Final = {
    str: "a string",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "nothing",
}
_SCALARS: Final[dict[Any, Read]] = {
    str: text,
    int: whole,
    float: number,
    bool: truth,
    object: plain,
}

duration_s: Final = _quantity(units.duration_s)
size_bytes: Final = _quantity(units.size_bytes)
rate: Final = _quantity(units.rate)

Seconds = Annotated[float, duration_s]
PositiveSeconds = Annotated[float, between(0, INFINITE, duration_s, above=True)]
Bytes = Annotated[int, size_bytes]
PositiveBytes = Annotated[int, between(1, INFINITE, size_bytes)]
PerTime = Annotated[units.Rate, rate]
Count = Annotated[int, between(1, INFINITE, whole)]
PlainMapping = Annotated[dict[str, object], plain_mapping]
