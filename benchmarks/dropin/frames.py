"""WebSocket messages as bytes (RFC 6455): prepared once, sent again and again.

Knows the opening handshake and frames. Everybody says the same agreed text, so that an echo needs
only the length of what it heard.
"""

import base64
import hashlib
import re
from functools import cache
from typing import Final

END_OF_HEAD: Final = b"\r\n\r\n"
CLOSE: Final = 0x8
_TEXT: Final = 0x1
_FINAL: Final = 0x80
_MASKED: Final = 0x80
_MASK: Final = b"\x37\xfa\x21\x3d"
_SHORT: Final = 125  # bytes; longer ones have their length in two bytes, or in eight
_LENGTH_BYTES: Final = {126: 2, 127: 8}
_GOING_AWAY: Final = (1001).to_bytes(2, "big")
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_OPENING: Final = (
    "GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_SWITCHED: Final = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\n\r\n"
)


def opening(path: str) -> bytes:
    """The request for a WebSocket."""
    return _OPENING.format(path=path).encode()


def switched(head: bytes) -> bytes | None:
    """The answer to such a request; None to any other."""
    key = _KEY.search(head)
    if key is None:
        return None
    digest = hashlib.sha1(key[1] + _GUID, usedforsecurity=False).digest()
    return _SWITCHED % base64.b64encode(digest)


@cache
def message(payload_bytes: int, *, masked: bool) -> bytes:
    """The agreed text in that length, as callers (masked) or servers say it."""
    return _frame(_TEXT, b"x" * payload_bytes, masked=masked)


def close(*, masked: bool) -> bytes:
    return _frame(CLOSE, _GOING_AWAY, masked=masked)


def opcode(frame: bytes) -> int:
    return frame[0] & 0x0F


def sizes(octets: bytes) -> tuple[int, int] | None:
    """Of the frame that these bytes begin with: all of it, and its payload; None: not known yet."""
    if len(octets) < 2:  # noqa: PLR2004 - flags and length
        return None
    payload = octets[1] & 0x7F
    more = _LENGTH_BYTES.get(payload, 0)
    if more:
        if len(octets) < 2 + more:
            return None
        payload = int.from_bytes(octets[2 : 2 + more], "big")
    mask = len(_MASK) if octets[1] & _MASKED else 0
    return 2 + more + mask + payload, payload


def _frame(kind: int, payload: bytes, *, masked: bool) -> bytes:
    size = len(payload)
    length, more = size, b""
    if size > _SHORT:
        length = 126 if size < 1 << 16 else 127
        more = size.to_bytes(_LENGTH_BYTES[length], "big")
    head = bytes([_FINAL | kind, length | (_MASKED if masked else 0)]) + more
    return head + (_MASK + _covered(payload) if masked else payload)


def _covered(payload: bytes) -> bytes:
    return bytes(byte ^ _MASK[at % len(_MASK)] for at, byte in enumerate(payload))
