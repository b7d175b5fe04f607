"""HTTP/1.1 messages with large bodies on a blocking socket, without copying a body.

Knows `Content-Length`; does not read chunked bodies.
"""

import os
import re
import socket
from typing import Final, NamedTuple

BODY_BYTES: Final = 10_000_000
_SLICE_BYTES: Final = 1024 * 1024
_HEAD_BYTES: Final = 16 * 1024
_SCRATCH: Final = bytearray(_SLICE_BYTES)  # recv_into asks for one; MSG_TRUNC leaves it alone


class Head(NamedTuple):
    """What is needed of a message's head."""

    first_line: str
    length: int
    arrived: int  # bytes of the body that came together with the head


class Stream:
    """One end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def head(self) -> Head | None:
        """The next message's head; None at the end of the connection."""
        text = b""
        while b"\r\n\r\n" not in text:
            more = self._connection.recv(_HEAD_BYTES)
            if not more:
                return None
            text += more
        head, _, body = text.partition(b"\r\n\r\n")
        found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        length = int(found[1]) if found else 0
        return Head(head.split(b"\r\n")[0].decode(), length, len(body))

    def discard(self, head: Head) -> None:
        """Take the rest of the body in and forget it, in the kernel."""
        left = head.length - head.arrived
        while left:
            size = min(left, _SLICE_BYTES)
            got = self._connection.recv_into(_SCRATCH, size, socket.MSG_TRUNC)
            if not got:
                raise OSError(f"the body broke off {left} bytes before its end")
            left -= got

    def send_file(self, file: int) -> None:
        sent, size = 0, os.fstat(file).st_size
        while sent < size:
            sent += os.sendfile(self._connection.fileno(), file, sent, size - sent)


def body_file() -> int:
    """A file in memory that holds a body: JSON, for those that parse it."""
    file = os.memfd_create("body")
    text = b'{"data":"%s"}'
    os.write(file, text % (b"a" * (BODY_BYTES - len(text) + 2)))
    return file
