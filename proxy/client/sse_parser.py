"""Octets to messages: the event stream format (WHATWG HTML, 9.2.6).

Fed with pieces of any size, cut anywhere. A message that a connection's end cuts off is none.
Knows nothing of connections, and bounds what one message may take.
"""

import codecs
import re
from typing import Final

from proxy.client.errors import GatewayError
from proxy.client.models import Event

_LINE_END: Final = re.compile("\r\n|\n|\r")
_RETRY_MS: Final = re.compile("[0-9]{1,9}")
_BYTE_ORDER_MARK: Final = "\ufeff"
MOST_CHARACTERS: Final = 16 << 20


class EventStreamParser:
    r"""One connection's stream. `last_event_id` is where the next connection goes on.

    >>> EventStreamParser().feed(b"event: greeting\nid: 7\ndata: hello\n\n")
    [Event(event_type='greeting', data='hello', event_id='7')]
    """

    def __init__(self, last_event_id: str = "", *, most_characters: int = MOST_CHARACTERS) -> None:
        self.last_event_id = last_event_id
        self.retry_s: float | None = None
        self._most_characters = most_characters
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._at_start = True
        self._after_cr = False
        self._line: list[str] = []  # pieces of one that has not ended
        self._held = 0  # characters of it, and of the message so far
        self._id = last_event_id
        self._kind = ""
        self._data: list[str] = []

    def __repr__(self) -> str:
        return f"<EventStreamParser last={self.last_event_id!r} held={self._held}>"

    def feed(self, octets: bytes) -> list[Event]:
        """The messages that end in this piece; raises `GatewayError` for one beyond the bound."""
        *ended, rest = _LINE_END.split(self._text(octets))
        found: list[Event] = []
        for piece in ended:
            line = self._completed(piece)
            if line:
                self._field(line)
            else:
                found += self._dispatched()
        self._hold(rest)
        self._line.append(rest)
        return found

    def _text(self, octets: bytes) -> str:
        text = self._decoder.decode(octets)
        if text and self._at_start:
            self._at_start = False
            text = text.removeprefix(_BYTE_ORDER_MARK)
        if text and self._after_cr:
            self._after_cr = False
            text = text.removeprefix("\n")
        if text:
            self._after_cr = text.endswith("\r")
        return text

    def _completed(self, piece: str) -> str:
        self._hold(piece)
        self._line.append(piece)
        line = "".join(self._line)
        self._line.clear()
        return line

    def _hold(self, piece: str) -> None:
        self._held += len(piece)
        if self._held > self._most_characters:
            raise GatewayError(
                f"A message of the event stream has more than {self._most_characters} characters"
            )

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            return
        self._held -= len(line)  # only data is kept
        if name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and _RETRY_MS.fullmatch(value):
            self.retry_s = int(value) / 1000

    def _dispatched(self) -> list[Event]:
        kind, data = self._kind or "message", self._data
        self.last_event_id = self._id
        self._kind, self._data, self._held = "", [], 0
        return [Event(kind, "\n".join(data), self.last_event_id)] if data else []
