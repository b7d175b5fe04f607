"""WebSocket frames as bytes (RFC 6455, 5.2), and the handshake around them."""

from tests.support.messages import get, message

SWITCHED = message(
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
)


def asks(target: str, *fields: bytes) -> bytes:
    """The request for a WebSocket, with RFC 6455's own key."""
    return get(
        target,
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *fields,
    )


def frame(payload: bytes, *, opcode: int = 2, masked: bool = False, final: bool = True) -> bytes:
    """One frame; masked with noughts, which change nothing."""
    mask = 0x80 if masked else 0
    length = len(payload)
    if length < 126:
        said = bytes([mask | length])
    elif length < 1 << 16:
        said = bytes([mask | 126]) + length.to_bytes(2, "big")
    else:
        said = bytes([mask | 127]) + length.to_bytes(8, "big")
    return bytes([0x80 * final | opcode]) + said + bytes(4 * masked) + payload


def close(code: int, *, masked: bool = False) -> bytes:
    return frame(code.to_bytes(2, "big"), opcode=8, masked=masked)
