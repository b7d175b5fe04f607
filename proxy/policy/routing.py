"""Bytes to a tool or a server: what does this path ask for, and may it?

Matches the bytes that were sent; nothing is decoded and encoded again, so what was judged is what
leaves. Knows nothing of who answers, or whether it is well.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from proxy import errors

TOOLS: Final = b"/tools/"
SERVERS: Final = b"/servers/"

# A dot segment, a backslash or a slash in any encoding, encoded again or followed by parameters:
# somebody behind us may decode once more than we would.
_ESCAPE: Final = re.compile(
    rb"%(?:25)*(?:2f|5c)|\\|(?:^|/)(?:\.|%(?:25)*2e){1,2}(?:(?:;|%(?:25)*3b)[^/]*)?(?=/|$)",
    re.IGNORECASE,
)
_PARAMETERS: Final = re.compile(rb";[^/]*")
_DECODINGS: Final = 3  # more than two in a row nobody has been seen to do
_SLASHES: Final = re.compile(rb"/+")


class Passes(Protocol):
    """What routing must know of a server to open its passthrough."""

    @property
    def passthrough(self) -> bool | tuple[bytes, ...]: ...

    @property
    def guarded(self) -> str:
        """Why nobody may go round the rules per tool; empty when there are none."""

    @property
    def tool_paths(self) -> frozenset[bytes]: ...


ServerT = TypeVar("ServerT", bound=Passes)


def tool_not_found(target: bytes) -> errors.ProxyError:
    """Why there is no such tool, in one sentence."""
    name = target[len(TOOLS) :].partition(b"?")[0].decode("ascii", "replace")
    hint = "" if "." in name else " (a tool is called as namespace.tool)"
    return errors.ToolNotFoundError(f"Tool not found: {name}{hint}")


def namespace_of(name: bytes) -> bytes:
    """What stands before the first dot."""
    return name.partition(b".")[0]


def match_passthrough(servers: Mapping[bytes, ServerT], target: bytes) -> tuple[ServerT, bytes]:
    """The server and what is asked of it (path and query) by `/servers/{ns}/{rest}`."""
    asked, mark, query = target[len(SERVERS) :].partition(b"?")
    namespace, slash, rest = asked.partition(b"/")
    server = servers.get(namespace)
    if server is None:
        name = namespace.decode("ascii", "replace")
        raise errors.NamespaceNotFoundError(f"Namespace not found: {name}")
    path = slash + rest
    if not slash or not _opens(server, path):
        raise errors.ToolNotFoundError(
            f"Not open: {path.decode('ascii', 'replace') or '/'}; the server's 'passthrough' in"
            " the registry names what is"
        )
    if server.guarded:
        raise errors.ForbiddenError(
            f"No way round the rules of single tools: {server.guarded}; call them under /tools/"
        )
    return server, path + mark + query


def _opens(server: Passes, path: bytes) -> bool:
    opened = server.passthrough
    if not opened or _ESCAPE.search(path):
        return False
    if not isinstance(opened, bool) and not any(
        path == prefix or path.startswith(prefix if prefix[-1:] == b"/" else prefix + b"/")
        for prefix in opened
    ):
        return False
    return plain_path(path) not in server.tool_paths


def plain_path(path: bytes) -> bytes:
    """A path as the laxest upstream might read it: only ever compared, never sent."""
    decoded = path
    for _ in range(_DECODINGS):
        decoded = unquote_to_bytes(decoded)
    decoded = _PARAMETERS.sub(b"", decoded.partition(b"\0")[0].lower())
    return _SLASHES.sub(b"/", decoded).rstrip(b"/")
