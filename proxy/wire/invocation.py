"""`/api/v1/invoke`: which tool is called, and with which bytes?

The parameters stay the bytes that they were. Knows JSON. Knows no tools.
"""

import json  # noqa: TID251 - orjson keeps the last of two members of one name, and says nothing
import re
from typing import Final

import msgspec

from proxy import errors

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DECODER: Final = json.JSONDecoder()
_HALF_A_PAIR: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_BLANKS: Final = (" ", "\t", "\n", "\r")
_PARAMETERS: Final = "parameters"
_AROUND_BYTES: Final = 64 * 1024  # of what is not parameters
_NOTHING: Final = b"null"
_EMPTY: Final = b"{}"


def read_invocation(body: bytes) -> tuple[bytes, bytes]:
    """`ns.tool` and the parameters of `{"server","tool","parameters"}`; raises `ProxyError`."""
    parameters = _parameters(body)
    if not parameters.startswith((b"{", _NOTHING)):
        raise errors.BadValueError('"parameters" is not a JSON object')
    around = _read_around(body.replace(parameters, _EMPTY))
    server, tool = _name(around, "server"), _name(around, "tool")
    if parameters == _NOTHING:
        parameters = _EMPTY
    return f"{server}.{tool}".encode(), parameters


def _parameters(body: bytes) -> bytes:
    """The bytes of the last member of that name."""
    try:
        body.decode()  # what is raw is not looked at
        members: dict[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (ValueError, RecursionError):  # msgspec's own are ValueErrors
        if len(body) <= _AROUND_BYTES and _HALF_A_PAIR.search(body):
            return _parameters_by_hand(body)
        raise _no_invocation() from None
    return bytes(members[_PARAMETERS]) if _PARAMETERS in members else _EMPTY


def _parameters_by_hand(body: bytes) -> bytes:
    """The same, where half of a surrogate pair is escaped: JSON to all but msgspec."""
    found = _EMPTY
    try:
        text, at = body.decode(), 0
        at = _next(text, at, "{")
        while True:
            name, at = _DECODER.raw_decode(text, _next(text, at, ""))
            start = _next(text, _next(text, at, ":"), "")
            _, at = _DECODER.raw_decode(text, start)
            if name == _PARAMETERS:
                found = text[start:at].encode()
            at = _next(text, at, "")
            if text[at : at + 1] != ",":
                return found
            at += 1
    except (ValueError, RecursionError):
        raise _no_invocation() from None


def _next(text: str, at: int, mark: str) -> int:
    """Behind white space, and the mark; raises ValueError where there is another."""
    while text[at : at + 1] in _BLANKS:
        at += 1
    if not text.startswith(mark, at):
        raise ValueError(f"no {mark}")
    return at + len(mark)


def _no_invocation() -> errors.ProxyError:
    return errors.BadValueError(
        'The body is not a JSON object with "server", "tool" and "parameters"'
    )


def _read_around(outer: bytes) -> dict[str, object]:
    """All but the parameters; of two members of one name others may take the first."""
    if len(outer) > _AROUND_BYTES:
        raise errors.BadValueError(
            f"Beside its parameters an invocation may have {_AROUND_BYTES} bytes"
        )
    outermost: list[tuple[str, object]] = []

    def see(members: list[tuple[str, object]]) -> None:
        outermost[:] = members  # the last that is seen is around all others

    try:
        json.loads(outer, object_pairs_hook=see)
    except (ValueError, RecursionError):
        raise errors.BadValueError("The body is not JSON as everybody reads it") from None
    found = dict(outermost)
    if len(found) < len(outermost):
        raise errors.BadValueError("The body has two members of one name")
    return found


def _name(members: dict[str, object], key: str) -> str:
    name = members.get(key)
    if not isinstance(name, str):
        raise errors.BadValueError(f'"{key}" is missing, or no string')
    if not _NAME.fullmatch(name) or (key == "server" and "." in name):
        raise errors.ToolNotFoundError(f'Tool not found: "{key}" is no name of one')
    return name
