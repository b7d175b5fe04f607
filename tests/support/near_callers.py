"""Callers who come in otherwise than by plain TCP: over TLS, and by a socket in the file system."""

import socket
import ssl
from pathlib import Path

from tests.support.caller import PATIENCE_S, Caller


class TlsCaller(Caller):
    """A caller over TLS, after the handshake. `secured` is the connection.

    The end of the connection without TLS's own is a `ssl.SSLEOFError`.
    """

    def __init__(
        self,
        port: int,
        context: ssl.SSLContext,
        *,
        name: str | None = "127.0.0.1",
        before: bytes = b"",
        session: ssl.SSLSession | None = None,
        receive_buffer_bytes: int | None = None,
    ) -> None:
        super().__init__(port, receive_buffer_bytes=receive_buffer_bytes)
        self._socket.sendall(before)
        try:
            self.secured = context.wrap_socket(
                self._socket, server_hostname=name, suppress_ragged_eofs=False, session=session
            )
        except OSError:
            self._socket.close()
            raise
        self._socket = self.secured


class UnixCaller(Caller):
    """A caller by a socket in the file system."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._unread = bytearray()
        self.was_reset = False
