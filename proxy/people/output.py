"""Where words go: tables and laid out JSON to a terminal, JSON and untouched octets to a pipe.

The one place that writes to the standard streams, by their numbers: Python's own objects for them
may be missing, and complain at the end when a pipe was closed.
"""

import asyncio
import os
import shutil
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from proxy.people.documents import laid_out, written
from proxy.people.tables import Sheet
from proxy.people.visible import cut, safe_line, safe_text

STDOUT: Final = 1
STDERR: Final = 2
_AT_ONCE_BYTES: Final = 1 << 16
_ERASE: Final = "\r\x1b[K"
_QUIET_FOR_S: Final = 1.0
_BETWEEN_S: Final = 0.1
Write = Callable[[int, bytes], None]


class OutputClosedError(Exception):
    """Nobody reads any more: a pipe was closed."""


class OutputError(Exception):
    """What was to be written could not be; says why."""


class Look(NamedTuple):
    """What the two streams are."""

    out_is_terminal: bool
    err_is_terminal: bool
    json: bool
    sheet: Sheet
    encoding: str = "utf-8"

    @classmethod
    def of(cls, options: Namespace, environ: Mapping[str, str]) -> "Look":
        out = os.isatty(STDOUT)
        plain = options.no_color or environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
        width = shutil.get_terminal_size().columns
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        sheet = Sheet(width, out and not plain)
        return cls(out, os.isatty(STDERR), options.json, sheet, encoding)


class Output:
    """Standard output and standard error, for as long as a command runs."""

    def __init__(self, look: Look, write: Write | None = None) -> None:
        self.look = look
        self._write = write or write_all

    def __repr__(self) -> str:
        return f"<Output {self.look}>"

    @property
    def for_people(self) -> bool:
        """Tables and words, rather than JSON."""
        return self.look.out_is_terminal and not self.look.json

    @property
    def sheet(self) -> Sheet:
        return self.look.sheet

    def lines(self, lines: Iterable[str]) -> None:
        """Lines that are safe already."""
        self._batched(self._encoded(f"{each}\n") for each in lines)

    def text(self, text: str) -> None:
        """What somebody else wrote, made safe, without a line end of ours."""
        self.octets(self._encoded(safe_text(text)))

    def document(self, value: object) -> None:
        """JSON: in lines on a terminal, else on one."""
        text = written(value)
        self._json([laid_out(text) if self.look.out_is_terminal else text])

    def json_lines(self, values: Iterable[object]) -> None:
        """JSON, each value on its line, on a terminal too."""
        self._json(map(written, values))

    def octets(self, octets: bytes) -> None:
        self._write(STDOUT, octets)

    def complain(self, text: str) -> None:
        """One sentence on standard error."""
        self._tell(f"toolproxy: {safe_line(text)}\n")

    def note(self, text: str) -> None:
        """Something that a person may like to know, and no program."""
        if self.look.err_is_terminal:
            self._tell(f"{safe_line(text)}\n")

    def progress(self, text: str) -> None:
        """In place of what the last one said; nothing takes it away."""
        if self.look.err_is_terminal:
            self._tell(_ERASE + cut(safe_line(text), self.sheet.width - 1))

    def _json(self, texts: Iterable[str]) -> None:
        safe = map(safe_text, texts) if self.look.out_is_terminal else texts
        # JSON is UTF-8 whatever the terminal speaks; half a character becomes what JSON writes.
        self._batched(f"{text}\n".encode(errors="backslashreplace") for text in safe)

    def _batched(self, pieces: Iterable[bytes]) -> None:
        held = bytearray()
        for each in pieces:
            held += each
            if len(held) > _AT_ONCE_BYTES:
                self.octets(bytes(held))
                held.clear()
        self.octets(bytes(held))

    def _tell(self, text: str) -> None:
        try:
            self._write(STDERR, self._encoded(text))
        except (OutputClosedError, OutputError):
            return  # there is nobody to tell that there is nobody

    def _encoded(self, text: str) -> bytes:
        return text.encode(self.look.encoding, errors="backslashreplace")


class Progress:
    """How far a long listing has come; nothing is said of a short one."""

    def __init__(self, output: Output, things: str) -> None:
        self._output = output
        self._things = things
        self._due_at = asyncio.get_running_loop().time() + _QUIET_FOR_S
        self._said = False

    def __call__(self, have: int, total: object) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._due_at:
            return
        of = f" of {total}" if isinstance(total, int) else ""
        self._output.progress(f"{have}{of} {self._things}")
        self._due_at = now + _BETWEEN_S
        self._said = True

    def end(self) -> None:
        if self._said:
            self._output.progress("")


def write_all(stream: int, octets: bytes) -> None:
    """All of it; raises `OutputClosedError` or `OutputError`."""
    left = memoryview(octets)
    try:
        while left:
            left = left[os.write(stream, left) :]
    except BrokenPipeError:
        raise OutputClosedError from None
    except OSError as error:
        raise OutputError(f"The output cannot be written: {error.strerror}") from None
