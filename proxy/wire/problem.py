"""An error as the caller gets it: problem+json (RFC 9457) with `Proxy-Status` (RFC 9209).

Knows the shape and the two grammars. Knows neither which error it is nor how it is sent.
"""

from typing import NamedTuple

import orjson

from proxy.errors import ProxyError
from proxy.wire.trace import Trace


class Problem(NamedTuple):
    """A refused call: what to answer, in parts that both planes can send."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def problem(error: ProxyError, instance: str, trace: Trace, called: str = "") -> Problem:
    """Write an error down. `called` is `ns.tool`, `ns`, or nothing where it is not known."""
    trace_id, request_id = trace.trace_id.decode(), trace.request_id.decode()
    document: dict[str, object] = {
        "type": "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "retryable": error.retryable,
        "trace_id": trace_id,
        "request_id": request_id,
    }
    if called:
        document["namespace"], _, tool = called.partition(".")
        if tool:
            document["tool"] = called
    headers = [
        ("Content-Type", "application/problem+json"),
        ("Proxy-Status", f"{instance}; error={error.proxy_status}; details={quoted(error.detail)}"),
        *error.headers,
    ]
    if error.retry_after_s is not None:
        headers.append(("Retry-After", str(error.retry_after_s)))
    headers.append(("X-Request-Id", request_id))
    headers.append(("X-Chora-Trace-Id", trace_id))
    return Problem(error.status, error.title, tuple(headers), orjson.dumps(document))


def problem_bytes(parts: Problem, date: bytes, connection: bytes, *, head_only: bool) -> bytes:
    """The same as a whole HTTP/1.1 answer."""
    fields = "".join(f"{name}: {value}\r\n" for name, value in parts.headers).encode("ascii")
    return b"HTTP/1.1 %d %b\r\n%bContent-Length: %d\r\nDate: %b\r\n%b\r\n%b" % (
        parts.status,
        parts.reason.encode(),
        fields,
        len(parts.body),
        date,
        connection,
        b"" if head_only else parts.body,
    )


def quoted(text: str) -> str:
    """An sf-string (RFC 8941, 3.3.3): visible ASCII, with `"` and the backslash escaped."""
    plain = "".join(character if " " <= character <= "~" else "?" for character in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
