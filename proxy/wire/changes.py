"""Which header fields an operator sets and leaves out, on a request's way up or an answer's back.

Knows fields as lines. Knows nothing of routes.
"""

from collections.abc import Iterable, Mapping

from proxy.wire.fields import without
from proxy.wire.head import ResponseHead
from proxy.wire.templates import Scene, Template


class Changes:
    """What one route changes. `names` (lower case) are all that go, as others take their place."""

    __slots__ = ("_constant", "_varying", "names", "per_call", "varies")

    def __init__(self, set_to: Mapping[str, Template], removed: Iterable[str] = ()) -> None:
        self.names = frozenset(name.lower().encode() for name in (*set_to, *removed))
        fields = [(name.encode(), text) for name, text in set_to.items()]
        self._constant = b"".join(
            [
                b"%b: %b\r\n" % (name, text.constant)
                for name, text in fields
                if text.constant  # an empty field is none, as for nginx
            ]
        )
        self._varying = [(name, text) for name, text in fields if text.constant is None]
        self.varies = bool(self._varying)
        self.per_call = any(text.per_call for _, text in self._varying)

    def __repr__(self) -> str:
        return f"<Changes of {len(self.names)} fields>"

    def lines(self, scene: Scene) -> bytes:
        """All that is set, each line with its CRLF behind."""
        return self._constant + self.varying(scene) if self._varying else self._constant

    def varying(self, scene: Scene) -> bytes:
        """The lines that are not the same for everyone."""
        written = [(name, text.text(scene)) for name, text in self._varying]
        return b"".join([b"%b: %b\r\n" % field for field in written if field[1]])

    def applied(self, head: ResponseHead) -> ResponseHead:
        """The answer's head without what goes, and with what is the same for everyone.

        Made once for a head: one that comes again brings it with it.
        """
        changed = head.changed
        if changed is not None and changed[0] is self:
            return changed[1]
        constant = self._constant
        made = ResponseHead(
            head.status,
            head.status_line,
            without(head.lines, self.names) + (b"\r\n" + constant[:-2] if constant else b""),
            head.noted,
            head.body_bytes,
            head.keep_alive,
        )
        head.changed = (self, made)
        return made
