"""How a tool's answer leaves: untouched into a pipe, readable and harmless on a terminal.

A body goes on as it comes. Only JSON for a terminal waits for its end, to be laid out, and only as
long as a person could read it.
"""

import codecs
from collections.abc import Mapping
from typing import Final, Protocol

from proxy.people.documents import is_json, laid_out
from proxy.people.output import Output

_LONGEST_LAID_OUT_BYTES: Final = 1 << 20
_READABLE: Final = ("json", "xml", "javascript", "yaml", "x-www-form-urlencoded", "ndjson")


class Sink(Protocol):
    """Takes a body, piece by piece, and is told of its end."""

    def take(self, piece: bytes) -> None: ...

    def end(self) -> None: ...


def sink_for(headers: Mapping[str, str], output: Output) -> Sink:
    """Where the body of an answer with these headers goes."""
    if not output.look.out_is_terminal:
        return _Untouched(output)
    kind = headers.get("Content-Type", "text/plain").partition(";")[0].strip().lower()
    coded = headers.get("Content-Encoding", "identity").strip().lower() != "identity"
    if coded or not (kind.startswith("text/") or kind.endswith(_READABLE)):
        return _Unshown(output, kind)
    return _LaidOut(output) if kind.endswith("json") and "nd" not in kind else _Text(output)


class _Untouched:
    def __init__(self, output: Output) -> None:
        self._output = output

    def take(self, piece: bytes) -> None:
        self._output.octets(piece)

    def end(self) -> None:
        """Nothing is added."""


class _Text:
    """Whatever is no UTF-8 is shown as such."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._ended = True  # its last line has

    def take(self, piece: bytes) -> None:
        self._say(self._decoder.decode(piece))

    def end(self) -> None:
        self._say(self._decoder.decode(b"", final=True))
        if not self._ended:
            self._output.octets(b"\n")

    def _say(self, text: str) -> None:
        if text:
            self._output.text(text)
            self._ended = text.endswith("\n")


class _LaidOut:
    """JSON in lines; what is none, or too much for a reader, as text."""

    def __init__(self, output: Output) -> None:
        self._text = _Text(output)
        self._held = bytearray()
        self._is_long = False

    def take(self, piece: bytes) -> None:
        if self._is_long:
            self._text.take(piece)
            return
        self._held += piece
        if len(self._held) > _LONGEST_LAID_OUT_BYTES:
            self._is_long = True
            self._text.take(bytes(self._held))
            self._held.clear()

    def end(self) -> None:
        held = bytes(self._held)
        self._text.take(laid_out(held.decode()).encode() if is_json(held) else held)
        self._text.end()


class _Unshown:
    """A terminal can only be harmed by it."""

    def __init__(self, output: Output, kind: str) -> None:
        self._output = output
        self._kind = kind
        self._size_bytes = 0

    def take(self, piece: bytes) -> None:
        self._size_bytes += len(piece)

    def end(self) -> None:
        if self._size_bytes:
            self._output.note(
                f"{self._size_bytes} bytes of {self._kind} are not shown on a terminal:"
                " send them to a file (> FILE)"
            )
