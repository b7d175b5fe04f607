"""`/api/v1/invoke`: which tool is called, and with which bytes?

The parameters stay the bytes that they were. Knows JSON. Knows no tools.
"""

import re
from typing import Final

import msgspec

from proxy import errors
from proxy.wire.plain_object import read_object

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_PARAMETERS: Final = "parameters"
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
    # All but the parameters, judged strictly: of two members of one name others may take the first.
    around = read_object(body.replace(parameters, _EMPTY, 1))
    server, tool = _name(around, "server"), _name(around, "tool")
    if parameters == _NOTHING:
        parameters = _EMPTY
    if not parameters.startswith(b"{"):
        raise errors.BadValueError('"parameters" is not a JSON object')
    return f"{server}.{tool}".encode(), parameters


def _name(members: dict[str, object], key: str) -> str:
    name = members.get(key)
    if not isinstance(name, str):
        raise errors.BadValueError(f'"{key}" is missing, or no string')
    if not _NAME.fullmatch(name) or (key == "server" and "." in name):
        raise errors.ToolNotFoundError(f'Tool not found: "{key}" is no name of one')
    return name
