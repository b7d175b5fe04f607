"""Affinity: what a call is told apart by, where like calls go to one endpoint.

Knows where to look in a head. Knows nothing of what is done with what it finds.
"""

import re

from proxy.wire.head import RequestHead


class Affinity:
    """Where the key of a call is; exactly one of the three is given."""

    __slots__ = ("_cookie", "_header", "_lines", "_peer")

    def __init__(self, *, header: str = "", cookie: str = "", peer: bool = False) -> None:
        self._peer = peer
        self._header = header.lower().encode()
        self._lines = re.compile(rb"\r\n%b:[ \t]*([^\r]*)" % re.escape(self._header), re.IGNORECASE)
        self._cookie = re.compile(rb"(?:^|;)[ \t]*%b=([^;]*)" % re.escape(cookie.encode()))

    def __repr__(self) -> str:
        return f"<Affinity {'peer' if self._peer else self._header.decode() or 'cookie'}>"

    def key_of(self, head: RequestHead, peer: bytes) -> bytes | None:
        """The key, or None where the call has none."""
        if self._peer:
            return peer
        if not self._header:
            found = self._cookie.search(head.noted.get(b"cookie", b""))
            return found[1] if found else None
        if self._header in head.noted:
            return head.noted[self._header]
        found = self._lines.search(head.lines)
        return found[1].rstrip(b" \t") if found else None
