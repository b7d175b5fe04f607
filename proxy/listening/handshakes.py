"""A handshake that fails still says why: the alert that the loop would leave unsent.

Knows TLS in memory as the loop uses it. Knows nothing of certificates or sockets.
"""

import ssl
from typing import Any, cast


class Handshake(ssl.SSLObject):
    """One side of a connection. What it fails with carries what the other side is to be told."""

    outgoing: ssl.MemoryBIO

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            cast("Any", error).alert = self.outgoing.read()
            raise


class Context(ssl.SSLContext):
    """Makes such handshakes."""

    sslobject_class = Handshake

    def wrap_bio(
        self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **keys: Any
    ) -> ssl.SSLObject:
        made = cast("Handshake", super().wrap_bio(incoming, outgoing, *args, **keys))
        made.outgoing = outgoing
        return made


def alert_of(error: OSError) -> bytes:
    """What the other side is to be told, if it is to be told anything."""
    alert: bytes = getattr(error, "alert", b"")
    return alert
