"""Where do frames end in a stream of WebSocket bytes (RFC 6455, 5.2)? And the asking for one.

Knows lengths and nothing else of a frame: its payload is never looked at. What is wrong with a
frame is for the peers to find.
"""

from typing import Final

from proxy.wire.fields import tokens
from proxy.wire.head import RequestHead, ResponseHead

SWITCHING: Final = 101
_PROTOCOL: Final = b"websocket"
# 1001: the endpoint goes away (RFC 6455, 7.4.1). Not masked, as from a server.
GOING_AWAY: Final = b"\x88\x02\x03\xe9"
_FIELDS: Final = b"\r\nConnection: Upgrade\r\nUpgrade: websocket"
_OPCODE: Final = 0x0F
_CLOSE: Final = 0x08
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_LENGTH_IN_2_BYTES: Final = 126
_MASK_BYTES: Final = 4
_SHORTEST_HEAD_BYTES: Final = 2


def is_asked(head: RequestHead) -> bool:
    """Does the request ask for a tunnel, and for nothing else (RFC 9110, 7.8)?"""
    return (
        head.method == b"GET"
        and head.minor_version == 1
        and head.body_bytes == 0
        and head.noted.get(b"upgrade", b"").lower() == _PROTOCOL
        and b"upgrade" in tokens(head.noted.get(b"connection", b""))
    )


def asking(head: RequestHead) -> RequestHead:
    """The same request with the fields that ask for it, which end at each hop."""
    return RequestHead(
        head.method,
        head.target,
        head.minor_version,
        head.lines + _FIELDS,
        head.noted,
        head.body_bytes,
        head.keep_alive,
        head.authority,
    )


def is_switched(head: ResponseHead) -> bool:
    """Does a 101 switch to what was asked for?"""
    noted = head.noted
    return noted.get(b"upgrade", b"").lower() == _PROTOCOL and b"upgrade" in tokens(
        noted.get(b"connection", b"")
    )


def switched(head: ResponseHead) -> ResponseHead:
    """The 101 for the next hop; what it says of a body means nothing (RFC 9112, 6.3)."""
    noted = {b"date": head.noted[b"date"]} if b"date" in head.noted else {}
    return ResponseHead(
        head.status,
        head.status_line,
        head.lines + _FIELDS,
        noted,
        0,
        True,  # noqa: FBT003 - by place, as every head is made
    )


class Frames:
    """One direction of a WebSocket, as far as it has come."""

    __slots__ = ("_begun", "_left_bytes", "closed")

    def __init__(self) -> None:
        self._begun = b""  # of a head that is not complete
        self._left_bytes = 0  # of the frame that has begun
        self.closed = False  # the last frame has come, or begun to

    def __repr__(self) -> str:
        return f"<Frames {self._left_bytes} bytes left>"

    @property
    def at_boundary(self) -> bool:
        """Has every frame that began come to its end?"""
        return not (self._left_bytes or self._begun)

    def pass_by(self, octets: bytes) -> None:
        """So much has come."""
        if (
            not self._left_bytes
            and len(octets) > 1
            and octets[1] + 2 == len(octets)  # one short frame, as most are
            and octets[1] < _LENGTH_IN_2_BYTES
            and octets[0] & _OPCODE != _CLOSE
            and not self._begun
        ):
            return
        if self._left_bytes > len(octets):  # the midst of a large one
            self._left_bytes -= len(octets)
            return
        at = 0
        while at < len(octets):
            at = self._pass_frame(octets, at)

    def rest_of_frame(self, octets: bytes) -> int:
        """How many of these bytes belong to the frame that has begun; they have come now."""
        at = 0
        while at < len(octets) and not self.at_boundary:
            at = self._pass_frame(octets, at)
        return at

    def _pass_frame(self, octets: bytes, at: int) -> int:
        """To the end of the frame, or of its head: where the next one begins."""
        if not self._left_bytes:
            begun = self._begun + octets[at : at + _LONGEST_HEAD_BYTES - len(self._begun)]
            frame_bytes = _frame_bytes(begun)
            if begun[0] & _OPCODE == _CLOSE:
                self.closed = True
            if not frame_bytes:
                self._begun = begun
                return len(octets)
            self._left_bytes = frame_bytes - len(self._begun)
            self._begun = b""
        taken = min(self._left_bytes, len(octets) - at)
        self._left_bytes -= taken
        return at + taken


_LONGEST_HEAD_BYTES: Final = 10  # its mask goes with the payload


def _frame_bytes(begun: bytes) -> int:
    """How long the frame is, head and all; nought while that is not known."""
    if len(begun) < _SHORTEST_HEAD_BYTES:
        return 0
    length = begun[1] & _LENGTH
    length_ends = 2
    if length >= _LENGTH_IN_2_BYTES:
        length_ends = 4 if length == _LENGTH_IN_2_BYTES else _LONGEST_HEAD_BYTES
        if len(begun) < length_ends:
            return 0
        length = int.from_bytes(begun[2:length_ends], "big")
    return length_ends + (_MASK_BYTES if begun[1] & _MASKED else 0) + length
