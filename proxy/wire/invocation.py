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
_PARAMETERS: Final = "parameters"
_AROUND_BYTES: Final = 64 * 1024  # of what is not parameters
_NOTHING: Final = b"null"
_EMPTY: Final = b"{}"


def read_invocation(body: bytes) -> tuple[bytes, bytes]:
    """`ns.tool` and the parameters of `{"server","tool","parameters"}`; raises `ProxyError`."""
    try:
        members: dict[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (ValueError, RecursionError):  # msgspec's own are ValueErrors
        raise errors.BadValueError(
            'The body is not a JSON object with "server", "tool" and "parameters"'
        ) from None
    parameters = bytes(members[_PARAMETERS]) if _PARAMETERS in members else _EMPTY
    if not parameters.startswith((b"{", _NOTHING)):
        raise errors.BadValueError('"parameters" is not a JSON object')
    around = _read_around(body.replace(parameters, _EMPTY))
    server, tool = _name(around, "server"), _name(around, "tool")
    if parameters == _NOTHING:
        parameters = _EMPTY
    return f"{server}.{tool}".encode(), parameters


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
