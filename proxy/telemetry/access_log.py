"""The access log: one line for each request, as nginx writes it or as JSON.

Knows the two formats. How lines get to the file is `lines`' business.
"""

import os
import re
from functools import lru_cache
from time import localtime, strftime
from typing import Final, Literal

import orjson

from proxy.telemetry.lines import Lines, write_all
from proxy.telemetry.record import Calendar, ExchangeRecord

STDOUT: Final = "-"
_CALLER_LEFT: Final = 499  # as nginx has it
_REFERER: Final = re.compile(rb"\r\nreferer:[ \t]*([^\r]*)", re.IGNORECASE)
_AGENT: Final = re.compile(rb"\r\nuser-agent:[ \t]*([^\r]*)", re.IGNORECASE)
_ABSENT: Final = b"-"
_SPECIAL: Final = re.compile(rb'[^ -~]|["\\]')
# The owner writes, a group of log readers reads: targets may hold what is nobody else's business.
_FILE_MODE: Final = 0o640
_OPEN: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK

_CALENDAR: Final = Calendar()

Format = Literal["combined", "json"]


class AccessLog(Lines):
    """Writes down every request that was answered, or that its caller left."""

    def __init__(self, path: str, form: Format) -> None:
        super().__init__(_Out(path))
        self.path = path
        self._written = _combined if form == "combined" else _json

    def record(self, record: ExchangeRecord) -> None:
        """Take note of one exchange."""
        self.append(self._written(record))


class _Out:
    """A file that others may move away, or a pipe that they may leave unread."""

    def __init__(self, path: str) -> None:
        self.name = "the access log on stdout" if path == STDOUT else path
        self._path = path

    def append(self, lines: bytes) -> tuple[int, str]:
        """All of it, in one piece where that is possible."""
        if self._path == STDOUT:
            return write_all(1, lines)
        handle = os.open(self._path, _OPEN, _FILE_MODE)  # anew each time: it may be another
        try:
            return write_all(handle, lines)
        finally:
            os.close(handle)


@lru_cache(maxsize=1)
def _written_local_time(second: int) -> bytes:
    return strftime("%d/%b/%Y:%H:%M:%S %z", localtime(second)).encode()


def _local_time() -> bytes:
    return _written_local_time(_CALENDAR.second)


def _combined(record: ExchangeRecord) -> bytes:
    """Nginx's `combined`, with its way to write what is not plain."""
    head = record.head
    # Of a head that could not be read there is only its first line.
    request = head.target or b"-"
    if head.method:
        request = b"%b %b HTTP/1.%d" % (head.method, head.target, head.minor_version)
    return b'%b - - [%b] "%b" %d %d "%b" "%b"' % (
        record.caller.address or b"-",
        _local_time(),
        _plain(request),
        record.status or _CALLER_LEFT,
        record.response_bytes,
        _plain(_field(_REFERER, head.lines)),
        _plain(_field(_AGENT, head.lines)),
    )


def _json(record: ExchangeRecord) -> bytes:
    head, trace = record.head, record.trace
    tried = [each.endpoint for each in record.failed]
    return orjson.dumps(
        {
            "timestamp": _CALENDAR.now().decode(),
            "remote_addr": record.caller.address.decode(),
            "method": head.method.decode(),
            "target": _text(head.target),
            "protocol": f"HTTP/1.{head.minor_version}",
            "status": record.status or _CALLER_LEFT,
            "request_bytes": record.request_bytes,
            "response_bytes": record.response_bytes,
            "duration_ms": round(record.duration_s * 1000, 3),
            "route": record.route,
            "server": record.server or None,
            "tool": record.tool or None,
            "upstream": ", ".join([*tried, record.endpoint]) or None,
            "upstream_ms": round(record.upstream_s * 1000, 3) if record.answered_at else None,
            "attempts": record.attempts,
            "response_flags": record.flag or None,
            "error_code": record.code or None,
            "trace_id": trace.trace_id.decode(),
            "request_id": trace.request_id.decode(),
            "referer": _text_or_none(_field(_REFERER, head.lines)),
            "user_agent": _text_or_none(_field(_AGENT, head.lines)),
        }
    )


def _field(name: re.Pattern[bytes], lines: bytes) -> bytes:
    found = name.search(lines)
    return found[1].rstrip(b" \t") if found else _ABSENT


def _plain(text: bytes) -> bytes:
    """Visible ASCII, the rest in hexadecimal as nginx does it."""
    return _SPECIAL.sub(lambda found: b"\\x%02X" % found[0][0], text)


def _text_or_none(text: bytes) -> str | None:
    return None if text is _ABSENT else _text(text)


def _text(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")
