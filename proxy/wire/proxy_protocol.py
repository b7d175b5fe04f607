"""The PROXY protocol: whom does a load balancer bring, and where does its header end?

Versions 1 and 2 (haproxy.org, proxy-protocol.txt). Takes what was peeked at so far, so the header
alone is taken from a connection and not a byte behind it. Does not know whom to believe.
"""

import ipaddress
import re
from typing import Final, NamedTuple

_START_1: Final = b"PROXY "
_START_2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_MOST_BYTES_1: Final = 107  # of a header in version 1, with its CRLF
_FIXED_BYTES_2: Final = 16
MOST_BYTES: Final = 4096  # of a header in version 2, which may have 64 KiB of extensions
_LOCAL: Final = 0x20
_PROXY: Final = 0x21
_TCP4: Final = 0x11
_TCP6: Final = 0x21
_UNIX: Final = 0x31
_ADDRESS_BYTES: Final = {_TCP4: 12, _TCP6: 36, _UNIX: 216}
# What we can't serve, yet is no fault: unspecified, and datagrams. Whom it brings is not said.
_UNSAID: Final = frozenset({0x00, 0x12, 0x22, 0x32})
_LINE: Final = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) ([0-9]{1,5}) ([0-9]{1,5})\r\n"
)
_UNKNOWN: Final = re.compile(rb"PROXY UNKNOWN(?: [ -~]*)?\r\n")
_MOST_PORT: Final = 65535


class BadHeaderError(ValueError):
    """It is no header of the PROXY protocol; the text says what is wrong."""


class Header(NamedTuple):
    """A whole header: how many bytes it has, and whom it brings.

    `source` is an address and a port, empty text for a peer behind a Unix socket, None where it
    does not say (`LOCAL`, `UNKNOWN`): then the connection's own peer is the caller.
    """

    length: int
    source: tuple[str, int] | str | None


def read_header(seen: bytes) -> Header | None:
    """The header at the start of `seen`; None while more is needed; raises `BadHeaderError`."""
    if seen.startswith(_START_1):
        return _version_1(seen)
    if seen.startswith(_START_2):
        return _version_2(seen)
    if _START_1.startswith(seen) or _START_2.startswith(seen):
        return None
    raise BadHeaderError("it does not begin with a header of the PROXY protocol")


def _version_1(seen: bytes) -> Header | None:
    end = seen.find(b"\r\n", 0, _MOST_BYTES_1) + 2
    if end < len(_START_1):
        if len(seen) >= _MOST_BYTES_1:
            raise BadHeaderError(f"its line does not end within {_MOST_BYTES_1} bytes")
        return None
    line = seen[:end]
    if _UNKNOWN.fullmatch(line):
        return Header(end, None)
    match = _LINE.fullmatch(line)
    if match is None:
        raise BadHeaderError("its line is malformed")
    family, source, destination, port, other_port = match.groups()
    _address(destination, family), _port(other_port)
    return Header(end, (_address(source, family), _port(port)))


def _address(written: bytes, family: bytes) -> str:
    try:
        found = ipaddress.ip_address(written.decode())
    except ValueError:
        raise BadHeaderError("an address in its line is none") from None
    if found.version != int(family):
        raise BadHeaderError("an address in its line is of another family")
    return str(found)


def _port(written: bytes) -> int:
    port = int(written)
    if port > _MOST_PORT or (written.startswith(b"0") and len(written) > 1):
        raise BadHeaderError("a port in its line is none")
    return port


def _version_2(seen: bytes) -> Header | None:
    if len(seen) < _FIXED_BYTES_2:
        return None
    command, kind = seen[12], seen[13]
    length = _FIXED_BYTES_2 + int.from_bytes(seen[14:16])
    if command not in {_LOCAL, _PROXY}:
        raise BadHeaderError("its version or command is unknown")
    if length > MOST_BYTES:
        raise BadHeaderError(f"it is longer than {MOST_BYTES} bytes")
    needed = _ADDRESS_BYTES.get(kind, 0)
    if command == _PROXY and (not needed and kind not in _UNSAID):
        raise BadHeaderError("its kind of address is unknown")
    if command == _PROXY and length < _FIXED_BYTES_2 + needed:
        raise BadHeaderError("it is too short for its addresses")
    if len(seen) < length:
        return None
    return Header(length, _source_2(seen, kind) if command == _PROXY else None)


def _source_2(seen: bytes, kind: int) -> tuple[str, int] | str | None:
    if kind == _TCP4:
        return str(ipaddress.IPv4Address(seen[16:20])), int.from_bytes(seen[24:26])
    if kind == _TCP6:
        return str(ipaddress.IPv6Address(seen[16:32])), int.from_bytes(seen[48:50])
    return "" if kind == _UNIX else None
