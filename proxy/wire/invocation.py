"""`/api/v1/invoke`: which tool is called, and with which bytes?

The parameters stay the bytes that they were. Knows JSON. Knows no tools.
"""

import re
from typing import Final

import msgspec

from proxy import errors

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_MEMBERS: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str)
_NULL: Final = b"null"
_NO_PARAMETERS: Final = b"{}"


def read_invocation(body: bytes) -> tuple[bytes, bytes]:
    """`ns.tool` and the parameters of `{"server","tool","parameters"}`; raises `ProxyError`."""
    try:
        members: dict[str, msgspec.Raw] = _MEMBERS.decode(body)
    except (ValueError, RecursionError):  # msgspec's own are ValueErrors
        raise errors.BadValueError(
            'The body is not a JSON object with "server", "tool" and "parameters"'
        ) from None
    server, tool = _name(members, "server"), _name(members, "tool")
    parameters = bytes(members.get("parameters", msgspec.Raw(_NO_PARAMETERS)))
    if parameters == _NULL:
        parameters = _NO_PARAMETERS
    if not parameters.startswith(b"{"):
        raise errors.BadValueError('"parameters" is not a JSON object')
    return f"{server}.{tool}".encode(), parameters


def _name(members: dict[str, msgspec.Raw], key: str) -> str:
    try:
        name = _TEXT.decode(members[key])
    except (KeyError, ValueError):
        raise errors.BadValueError(f'"{key}" is missing, or no string') from None
    if not _NAME.fullmatch(name) or (key == "server" and "." in name):
        raise errors.ToolNotFoundError(f'Tool not found: "{key}" is no name of one')
    return name
