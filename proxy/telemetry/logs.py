"""The sidecar's own words: one line each, as text or JSON, on stderr.

Written by a thread: a pipe that nobody empties must not hold up the loop.
"""

import logging
import time
from typing import Final

import orjson

from proxy.telemetry.lines import Writer, write_all

_STDERR: Final = 2
_MOST_BYTES: Final = 4 * 1024**2  # waiting
_FLUSH_S: Final = 2.0
_LOOK_S: Final = 0.005


def log_to_stderr(level: str, form: str) -> None:
    """From now on, messages of this level go to stderr in this form."""
    handler = _Stderr()
    handler.setFormatter(_FORMS[form]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # its "2 changes" are no news


def log_directly(level: str, form: str) -> None:
    """The same without a thread, for a process that will fork; it waits for whoever reads."""
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMS[form]())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def change(level: str, form: str) -> None:
    """The settings have changed."""
    logging.getLogger().setLevel(level.upper())
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _Stderr):
            handler.setFormatter(_FORMS[form]())


def dropped() -> int:
    """Messages that found no room."""
    handlers = logging.getLogger().handlers
    return sum(handler.dropped for handler in handlers if isinstance(handler, _Stderr))


class _Stderr(logging.Handler):
    """Takes messages on any thread; `flush` waits for them, at most 2 s."""

    def __init__(self) -> None:
        super().__init__()
        self.dropped = 0
        self._taken_bytes = 0
        self._writer = Writer(_Pipe())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record).encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 - as the base class does it: a bad message is no crash
            self.handleError(record)
            return
        size = self._taken_bytes + len(text) + 1
        if size - self._writer.bytes > _MOST_BYTES:
            self.dropped += 1
            return
        self._taken_bytes = size
        self._writer.write([text])

    def flush(self) -> None:
        ends_at = time.monotonic() + _FLUSH_S
        while self._writer.bytes < self._taken_bytes and time.monotonic() < ends_at:
            time.sleep(_LOOK_S)


class _Pipe:
    """Stderr, whatever it is."""

    name = "stderr"

    def append(self, lines: bytes) -> tuple[int, str]:
        return write_all(_STDERR, lines)


class _TextLines(logging.Formatter):
    """One line per message: when, who, how bad (unless it is not), what."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d toolproxy: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        if record.levelno != logging.INFO:
            record.message = f"{record.levelname.lower()}: {record.message}"
        # What somebody else wrote must not look like a line of ours.
        record.message = record.message.replace("\r", "\\r").replace("\n", "\n    ")
        return super().formatMessage(record)


class _JsonLines(logging.Formatter):
    """The same for programs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        sound = {key: text.encode(errors="backslashreplace").decode() for key, text in line.items()}
        return orjson.dumps(sound).decode()


_FORMS: Final = {"text": _TextLines, "json": _JsonLines}
