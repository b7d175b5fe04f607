"""One event: written down once, for everybody who reads it.

Knows JSON and the grammar of an event stream (WHATWG HTML, 9.2.5), with the framing of a chunk
(RFC 9112, 7.1) around it. Knows nothing of who reads it.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

import orjson

from proxy.telemetry.record import ExchangeRecord

TOOL_INVOKED: Final = "tool_invoked"
AUTHORIZATION_DENIED: Final = "authorization_denied"
CALLS_AND_REFUSALS: Final = frozenset({TOOL_INVOKED, AUTHORIZATION_DENIED})
ORIGIN_ID: Final = "origin_event_id"  # what another server had called it
KEEP_ALIVE: Final = b": ka\n"  # no empty line behind it: some clients make a message of one
_FAILURES: Final = frozenset({"failure", "error"})  # two vocabularies, one meaning
_FRAME_END_BYTES: Final = len(b"\n\n\r\n")
_MOST_SHARED: Final = 10_000  # a status is an upstream's to choose
_CHUNK_END_BYTES: Final = len(b"\r\n")


class Facts(NamedTuple):
    """By what an event can be asked for."""

    kind: str
    server: str
    trace_id: str
    status: str
    tool: str = ""


def facts_of(document: Mapping[str, object]) -> Facts:
    """Those of a document; what is no text counts as none."""
    return Facts(
        _text(document, "event_type"),
        _text(document, "server_name"),
        _text(document, "trace_id"),
        _text(document, "status"),
        _text(document, "tool_name"),
    )


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


class Event:
    """An event as it goes out. `frame` is its message as one chunk of an answer."""

    __slots__ = ("_data_bytes", "facts", "frame", "id")

    def __init__(self, name: bytes, facts: Facts, data: bytes) -> None:
        self.id = name
        self.facts = facts
        self.frame = framed(facts.kind.encode(), name, data)
        self._data_bytes = len(data)

    def __repr__(self) -> str:
        return f"<Event {self.id.decode()} {self.facts.kind}>"

    @property
    def data(self) -> bytes:
        """Its JSON."""
        end = len(self.frame) - _FRAME_END_BYTES
        return self.frame[end - self._data_bytes : end]

    @property
    def message(self) -> bytes:
        """Without the framing of a chunk, for HTTP/1.0."""
        return self.frame[self.frame.index(b"\n") + 1 : -_CHUNK_END_BYTES]


class Sight(Protocol):
    """What one may see who may not see everything."""

    def sees(self, facts: Facts) -> bool: ...

    def is_over(self) -> bool:
        """Is what they were let in by no longer valid?"""


class Wanted(NamedTuple):
    """Which events somebody asked for; what is empty asks for any."""

    kinds: frozenset[str] = frozenset()
    server: str = ""
    trace_id: str = ""
    status: str = ""
    sight: Sight | None = None

    def takes(self, facts: Facts) -> bool:
        if self.kinds and facts.kind not in self.kinds:
            return False
        if self.server and facts.server != self.server:
            return False
        if self.trace_id and facts.trace_id != self.trace_id:
            return False
        if self.status and not alike(facts.status, self.status):
            return False
        return self.sight is None or self.sight.sees(facts)


def alike(status: str, wanted: str) -> bool:
    """Do the two words say the same? `failure` and `error` do."""
    return status == wanted or (status in _FAILURES and wanted in _FAILURES)


_FRAME_BYTES: Final = len(b"event: \nid: \ndata: \n\n")


def framed(kind: bytes, name: bytes, data: bytes) -> bytes:
    """A message, and a chunk around it."""
    size = _FRAME_BYTES + len(kind) + len(name) + len(data)
    return b"%x\r\nevent: %b\nid: %b\ndata: %b\n\n\r\n" % (size, kind, name, data)


def encoded(document: Mapping[str, object]) -> bytes:
    """JSON on one line, for readers that also split lines where Unicode does."""
    try:
        data = orjson.dumps(document)
    except TypeError:  # a lone surrogate, from somebody's file
        data = orjson.dumps(_sound(document))
    if data.isascii():
        return data
    return (
        data.replace(b"\xe2\x80\xa8", b"\\u2028")
        .replace(b"\xe2\x80\xa9", b"\\u2029")
        .replace(b"\xc2\x85", b"\\u0085")
    )


def _sound(value: object) -> object:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_sound(key): _sound(each) for key, each in value.items()}
    return [_sound(each) for each in value] if isinstance(value, list | tuple) else value


class CallWriter:
    """Writes a call's event: what calls of one kind share is encoded once, the rest is put in.

    A third of what a dictionary through orjson costs. What is shared stands last, for bytes that
    are formatted cost by the letter.
    """

    def __init__(self) -> None:
        self._shared: dict[tuple[str, str, str, int, str], bytes] = {}

    def write(self, record: ExchangeRecord, name: bytes, at: bytes, outcome: str) -> bytes:
        """Its JSON; `name` is its id, `at` the moment as RFC 3339 writes it."""
        trace = record.trace
        trace_id, request_id = trace.trace_id, trace.request_id
        if not trace_id.isalnum():
            trace_id = _quoted(trace_id)
        if not request_id.isalnum():
            request_id = _quoted(request_id)
        key = (record.server, record.tool, record.endpoint, record.status, outcome)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._share(record, key)
        if outcome != "success":
            shared = _error(record, outcome) + shared
        upstream_s = record.answered_at - record.sent_at
        return (
            b'{"event_id":"%b","timestamp":"%b","trace_id":"%b","request_id":"%b","attempts":%d,'
            b'"request_bytes":%d,"response_bytes":%d,"upstream_ms":%.3f,"duration_ms":%.3f%b'
            % (
                name,
                at,
                trace_id,
                request_id,
                record.attempts,
                record.request_bytes,
                record.response_bytes,
                upstream_s * 1000 if upstream_s > 0 else 0.0,
                (record.finished_at - record.started_at) * 1000,
                shared,
            )
        )

    def _share(self, record: ExchangeRecord, key: tuple[str, str, str, int, str]) -> bytes:
        if len(self._shared) >= _MOST_SHARED:
            self._shared.clear()
        shared = self._shared[key] = (
            b","
            + encoded(
                {
                    "event_type": TOOL_INVOKED,
                    "status": "success" if key[-1] == "success" else "failure",
                    "server_name": record.server or None,
                    "tool_name": record.tool or None,
                    "http_status": record.status or None,
                    "endpoint": record.endpoint or None,
                    "schema_version": "1.0",
                    "source": "toolproxy",
                }
            )[1:]
        )
        return shared

    def forget(self) -> None:
        """The registry has changed: what is gone must not stay here."""
        self._shared.clear()


def _quoted(text: bytes) -> bytes:
    """Visible ASCII as it stands between quotes in JSON."""
    return text.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _error(record: ExchangeRecord, outcome: str) -> bytes:
    if record.detail:
        message = record.detail
    elif outcome == "caller_left":
        message = "The caller left before its answer was whole"
    else:
        message = f"The upstream answered {record.status}"
    return b"," + encoded({"error_code": outcome, "error_message": message})[1:-1]
