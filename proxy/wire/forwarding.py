"""What a proxy must change in a head: the request's on its way up, the answer's on its way back.

What has to go was set apart when the head was read (`fields`, `parser`); here the rest is joined
with what we add. Knows nothing of where a head comes from or goes to.
"""

from typing import Final, NamedTuple

from proxy.wire.fields import CORS, without
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from proxy.wire.trace import Trace

# With these, no body still means a length of nothing (RFC 9110, 8.6).
_METHODS_WITH_A_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})
_NO_CONTENT: Final = 204


class Caller(NamedTuple):
    """What a caller's connection adds to each request of its own."""

    address: bytes  # as in X-Forwarded-For
    scheme: bytes
    trusted: bool  # may its own X-Forwarded-* be believed?


class Onward(NamedTuple):
    """Where a request goes: the first line, Host, and the fields that this server gets or not."""

    method: bytes
    target: bytes
    host: bytes
    forwarded_credentials: frozenset[bytes]
    injected_names: frozenset[bytes]
    injected: bytes  # whole lines, each with its CRLF


def request_head(
    head: RequestHead, onward: Onward, caller: Caller, trace: Trace, via: bytes
) -> bytes:
    """The head to send upstream, but for its last fields: `framing_fields` ends it."""
    lines = head.lines
    if onward.injected_names:
        lines = without(lines, onward.injected_names)
    if head.withheld and onward.forwarded_credentials:
        allowed = onward.forwarded_credentials - onward.injected_names
        lines = lines + [line for name, line in head.withheld if name in allowed]
    noted = head.noted
    injected = onward.injected
    if b"max-forwards" in noted:
        injected += _max_forwards(head)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b%b%bVia: %b%b\r\ntraceparent: %b\r\n%b%b" % (
        onward.method,
        onward.target,
        onward.host,
        b"\r\n".join(lines),
        b"\r\n" if lines else b"",
        injected,
        _forwarded(head, caller),
        noted[b"via"] + b", " if b"via" in noted else b"",
        via,
        trace.traceparent,
        b"tracestate: %b\r\n" % trace.tracestate if trace.tracestate else b"",
        b"X-Request-Id: %b\r\nX-Chora-Trace-Id: %b\r\n" % (trace.request_id, trace.trace_id),
    )


def _max_forwards(head: RequestHead) -> bytes:
    """One hop fewer (RFC 9110, 7.6.2); it means nothing but for OPTIONS, as TRACE is refused."""
    hops = head.noted[b"max-forwards"]
    if head.method != b"OPTIONS" or not hops.isdigit():
        return b""
    return b"Max-Forwards: %d\r\n" % max(0, int(hops[:9]) - 1)


def framing_fields(method: bytes, body_bytes: int) -> bytes:
    """How the body is framed, and the end of the head."""
    if body_bytes == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    if body_bytes or method in _METHODS_WITH_A_BODY:
        return b"Content-Length: %d\r\n\r\n" % body_bytes
    return b"\r\n"


def _forwarded(head: RequestHead, caller: Caller) -> bytes:
    """`X-Forwarded-*`: ours alone, unless the caller is a proxy that we trust."""
    if not caller.trusted:
        return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n" % (
            caller.address,
            caller.scheme,
            head.authority,
        )
    noted = head.noted
    before = noted.get(b"x-forwarded-for")
    kept = [
        b"%b: %b\r\n" % (name, value)
        for name, value in noted.items()
        if name.startswith(b"x-forwarded-") and name not in _OUR_FORWARDED
    ]
    if b"forwarded" in noted:
        node = b'"[%b]"' % caller.address if b":" in caller.address else caller.address
        kept.append(b"Forwarded: %b, for=%b;proto=http\r\n" % (noted[b"forwarded"], node))
    return b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n%b" % (
        before + b", " + caller.address if before else caller.address,
        noted.get(b"x-forwarded-proto", caller.scheme),
        noted.get(b"x-forwarded-host", head.authority),
        b"".join(kept),
    )


_OUR_FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


class Answering(NamedTuple):
    """What our side of the connection decides about an answer."""

    chunked: bool  # the body is sent chunked
    keep_alive: bool
    minor_version: int  # the caller's
    cors: bytes  # whole lines, for a page from elsewhere


def response_head(
    head: ResponseHead, answering: Answering, trace: Trace, via: bytes, date: bytes
) -> bytes:
    """The whole head for the caller."""
    lines = without(head.lines, CORS) if answering.cors else head.lines
    noted = head.noted
    length = noted.get(b"content-length")
    if answering.chunked:
        framing = b"Transfer-Encoding: chunked\r\n"
    elif length is not None and head.status != _NO_CONTENT:
        framing = b"Content-Length: %b\r\n" % length
    else:
        framing = b""
    return (
        b"HTTP/1.1 %d %b\r\n%b%b%b%b%b%bX-Request-Id: %b\r\nX-Chora-Trace-Id: %b\r\nVia: %b\r\n\r\n"
    ) % (
        head.status,
        head.reason,
        b"\r\n".join(lines),
        b"\r\n" if lines else b"",
        framing,
        b"" if b"date" in noted else b"Date: %b\r\n" % date,
        answering.cors,
        connection_field(keep_alive=answering.keep_alive, minor_version=answering.minor_version),
        trace.request_id,
        trace.trace_id,
        via,
    )


def interim_head(head: ResponseHead, via: bytes) -> bytes:
    """A 1xx head for the caller (RFC 9110, 15.2)."""
    lines = b"".join([line + b"\r\n" for line in head.lines])
    return b"HTTP/1.1 %d %b\r\n%bVia: %b\r\n\r\n" % (head.status, head.reason, lines, via)


def connection_field(*, keep_alive: bool, minor_version: int) -> bytes:
    """`Connection`, where the version alone does not say it (RFC 9112, 9.3)."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if minor_version else b"Connection: keep-alive\r\n"


def needs_chunks(head: ResponseHead, caller_minor_version: int) -> bool:
    """Is an answer of unknown length to be sent chunked? To HTTP/1.0 it ends with the connection."""
    return head.body_bytes in {CHUNKED, UNTIL_CLOSE} and caller_minor_version == 1
