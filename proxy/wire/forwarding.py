"""What a proxy must change in a head: the request's on its way up, the answer's on its way back.

What has to go was set apart when the head was read (`fields`, `parser`); here the rest is joined
with what we add. Knows nothing of where a head comes from or goes to.
"""

from typing import Final, NamedTuple

from proxy.wire.fields import CORS, READ, WITHHELD, kept_behind, without
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from proxy.wire.trace import Trace

# With these, no body still means a length of nothing (RFC 9110, 8.6).
_METHODS_WITH_A_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})
# Fields that most requests do not have, and that need more than to be left out.
_RARE: Final = READ | WITHHELD | {b"max-forwards", b"via"}
_CONTENT_TYPE: Final = frozenset({b"content-type"})
_NO_CONTENT: Final = 204
_SCHEMES: Final = frozenset({b"http", b"https"})


class Certificate(NamedTuple):
    """A caller's certificate, which was verified; every text is fit for a header field."""

    subject: bytes  # as in RFC 4514: CN=a,O=b
    san: bytes  # the other names, each with its kind: DNS:a,URI:b
    forwarded: bytes  # the value of X-Forwarded-Client-Cert
    names: frozenset[bytes]  # those in `san`, without their kinds
    expired: bool = False  # by the time that the connection was made


class Caller:
    """What a caller's connection adds to each request of its own.

    `trusted` says whether its own `X-Forwarded-*` are to be believed; `lines` are those that are
    the same for all of its requests when they are not, and our mark in `Via`. `tls` is the version
    that its connection speaks, or empty.
    """

    __slots__ = ("address", "certificate", "lines", "scheme", "tls", "trusted", "via_line")

    def __init__(
        self,
        address: bytes,
        scheme: bytes,
        via: bytes,
        *,
        trusted: bool,
        tls: bytes = b"",
        certificate: Certificate | None = None,
    ) -> None:
        self.address = address
        self.scheme = scheme
        self.trusted = trusted
        self.tls = tls
        self.certificate = certificate
        self.via_line = b"Via: %b\r\n" % via
        self.lines = b"%bX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\n" % (
            self.via_line,
            address,
            scheme,
        )
        if certificate is not None:
            self.lines += b"X-Forwarded-Client-Cert: %b\r\n" % certificate.forwarded


class Onward(NamedTuple):
    """Where requests of one kind go. `lines` are Host and what is injected, with CRLF behind.

    `overrides` says that some of the `injected_names` are of fields that we write ourselves.
    Two that have the same object for their `way` differ in nothing but their `lines`.
    """

    method: bytes
    target: bytes
    lines: bytes
    forwarded_credentials: frozenset[bytes]
    injected_names: frozenset[bytes]
    way: object | None = None
    overrides: bool = False


def request_head(
    head: RequestHead, onward: Onward, caller: Caller, trace: Trace, end: bytes = b""
) -> bytes:
    """The head to send upstream; `end` is what `framing_fields` gives, and the body so far."""
    written, way = head.written, onward.way
    if written is None or written[0] is not way or written[1] is not caller or way is None:
        head.written = written = (way, caller, *_constant_lines(head, onward, caller))
    return b"".join(
        (written[2], onward.lines, written[3], trace.context_lines, trace.id_lines, end)
    )


def _constant_lines(head: RequestHead, onward: Onward, caller: Caller) -> tuple[bytes, bytes]:
    """What is the same, before and behind `onward.lines`, whenever this caller sends the same."""
    lines = head.lines
    if onward.injected_names:
        lines = without(lines, onward.injected_names)
    if not _RARE.isdisjoint(head.noted):
        lines += _rare_lines(head, onward)
    start = b"%b %b HTTP/1.1%b\r\n" % (onward.method, onward.target, lines)
    if caller.trusted:
        behind = _forwarded(head, caller)
    else:
        behind = b"%bX-Forwarded-Host: %b\r\n" % (caller.lines, head.authority)
    if onward.overrides:
        behind = kept_behind(behind, onward.injected_names)
    return start, behind


def _rare_lines(head: RequestHead, onward: Onward) -> bytes:
    noted = head.noted
    passing = (READ | onward.forwarded_credentials) - onward.injected_names
    lines = [b"\r\n%b: %b" % (name, noted[name]) for name in noted if name in passing]
    if b"via" in noted:
        lines.append(b"\r\nVia: %b" % noted[b"via"])
    if b"max-forwards" in noted:
        lines.append(_max_forwards(head))
    return b"".join(lines)


def _max_forwards(head: RequestHead) -> bytes:
    """One hop fewer (RFC 9110, 7.6.2); it means nothing but for OPTIONS, as TRACE is refused."""
    hops = head.noted[b"max-forwards"]
    if head.method != b"OPTIONS" or not hops.isdigit():
        return b""
    return b"\r\nMax-Forwards: %d" % max(0, int(hops[:9]) - 1)


def framing_fields(method: bytes, body_bytes: int) -> bytes:
    """How the body is framed, and the end of the head."""
    if body_bytes == CHUNKED:
        return b"Transfer-Encoding: chunked\r\n\r\n"
    if body_bytes or method in _METHODS_WITH_A_BODY:
        return b"Content-Length: %d\r\n\r\n" % body_bytes
    return b"\r\n"


def as_json(head: RequestHead, body_bytes: int) -> RequestHead:
    """The same request for so many bytes of JSON, which the caller did not send."""
    return RequestHead(
        head.method,
        head.target,
        head.minor_version,
        without(head.lines, _CONTENT_TYPE) + b"\r\nContent-Type: application/json",
        head.noted,
        body_bytes,
        head.keep_alive,
        head.authority,
    )


def addressed(head: RequestHead, target: bytes) -> RequestHead:
    """The same request for something else."""
    return RequestHead(
        head.method,
        target,
        head.minor_version,
        head.lines,
        head.noted,
        head.body_bytes,
        head.keep_alive,
        head.authority,
    )


def client_address(head: RequestHead, caller: Caller) -> bytes:
    """Who calls: the peer, or whom a proxy that we trust says that it was called by."""
    if not caller.trusted:
        return caller.address
    return head.noted.get(b"x-forwarded-for", b"").rpartition(b",")[2].strip() or caller.address


def client_scheme(head: RequestHead, caller: Caller) -> bytes:
    """How they called: by our own connection, or a trusted proxy's word on the one before it."""
    if caller.trusted:
        said = head.noted.get(b"x-forwarded-proto", b"").lower()
        if said in _SCHEMES:
            return said
    return caller.scheme


def _forwarded(head: RequestHead, caller: Caller) -> bytes:
    """`Via` and `X-Forwarded-*` behind a proxy that we trust."""
    noted = head.noted
    before = noted.get(b"x-forwarded-for")
    ours = _OUR_FORWARDED if caller.certificate is None else _OUR_FORWARDED | _CERTIFICATE
    kept = [
        b"%b: %b\r\n" % (name, value)
        for name, value in noted.items()
        if name.startswith(b"x-forwarded-") and name not in ours and b"_" not in name
    ]
    if caller.certificate is not None:
        earlier = noted.get(b"x-forwarded-client-cert")
        whole = (b"%b," % earlier if earlier else b"") + caller.certificate.forwarded
        kept.append(b"X-Forwarded-Client-Cert: %b\r\n" % whole)
    if b"forwarded" in noted:
        node = b'"[%b]"' % caller.address if b":" in caller.address else caller.address
        kept.append(
            b"Forwarded: %b, for=%b;proto=%b\r\n" % (noted[b"forwarded"], node, caller.scheme)
        )
    return b"%bX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Host: %b\r\n%b" % (
        caller.via_line,
        before + b", " + caller.address if before else caller.address,
        noted.get(b"x-forwarded-proto", caller.scheme),
        noted.get(b"x-forwarded-host", head.authority),
        b"".join(kept),
    )


_CERTIFICATE: Final = frozenset({b"x-forwarded-client-cert"})
_OUR_FORWARDED: Final = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


def response_head(
    head: ResponseHead,
    *,
    chunked: bool,
    more_lines: bytes,
    via_line: bytes,
    date: bytes,
    body: bytes = b"",
) -> bytes:
    """The whole head for the caller, and the body so far; `more_lines` are ours, each with CRLF."""
    start = head.written
    if not start:
        head.written = start = b"HTTP/1.1 %b%b\r\n%b" % (
            head.status_line,
            head.lines,
            b"Date: %b\r\n" % head.noted[b"date"] if b"date" in head.noted else b"",
        )
    if b"date" not in head.noted:
        start += b"Date: %b\r\n" % date
    if chunked:
        start += b"Transfer-Encoding: chunked\r\n"
    elif b"content-length" in head.noted and head.status != _NO_CONTENT:
        start += b"Content-Length: %b\r\n" % head.noted[b"content-length"]
    return b"%b%b%b\r\n%b" % (start, more_lines, via_line, body)


def with_cors(head: ResponseHead, cors_lines: bytes) -> ResponseHead:
    """The same answer with our own say about who may read it, in place of the upstream's."""
    return ResponseHead(
        head.status,
        head.status_line,
        without(head.lines, CORS) + (b"\r\n" + cors_lines[:-2] if cors_lines else b""),
        head.noted,
        head.body_bytes,
        head.keep_alive,
    )


def interim_head(head: ResponseHead, via_line: bytes) -> bytes:
    """A 1xx head for the caller (RFC 9110, 15.2)."""
    return b"HTTP/1.1 %b%b\r\n%b\r\n" % (head.status_line, head.lines, via_line)


def connection_field(*, keep_alive: bool, minor_version: int) -> bytes:
    """`Connection`, where the version alone does not say it (RFC 9112, 9.3)."""
    if not keep_alive:
        return b"Connection: close\r\n"
    return b"" if minor_version else b"Connection: keep-alive\r\n"


def needs_chunks(head: ResponseHead, caller_minor_version: int) -> bool:
    """Is an answer of unknown length sent chunked? To HTTP/1.0 it ends with the connection."""
    return head.body_bytes in {CHUNKED, UNTIL_CLOSE} and caller_minor_version == 1
