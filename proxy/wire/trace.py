"""W3C Trace Context and our own ids: what a call is called on its way.

Knows the two headers' grammar (https://www.w3.org/TR/trace-context/). Takes chance as an argument,
and keeps nothing: two calls at once can't mix.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from proxy.wire.fields import one_visible

_TRACEPARENT: Final = re.compile(
    rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_MEMBER: Final = re.compile(
    rb"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
)
_W3C_BEGINS: Final = len("traceparent: 00-")
_W3C_ENDS: Final = _W3C_BEGINS + 32
_NO_TRACE: Final = b"0" * 32
_NO_PARENT: Final = b"0" * 16
_MOST_MEMBERS: Final = 32
_KNOWN_FLAGS: Final = 0x03  # sampled, and random: the others must be sent as zero
_LONGEST_CORRELATION: Final = 200
_LONGEST_REQUEST_ID: Final = 128


class Trace:
    """The names of one call.

    `trace_id` is what people search for: the caller's `X-Chora-Trace-Id`, or the W3C trace id.
    `id_lines` go with the request and with its answer, `context_lines` with the request alone;
    whole lines, each with its CRLF behind.
    """

    __slots__ = ("context_lines", "id_lines", "request_id", "trace_id")

    def __init__(
        self, trace_id: bytes, request_id: bytes, id_lines: bytes, context_lines: bytes
    ) -> None:
        self.trace_id = trace_id
        self.request_id = request_id
        self.id_lines = id_lines
        self.context_lines = context_lines

    def __repr__(self) -> str:
        return f"<Trace {self.trace_id.decode()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process: a compiled class has nothing that pickle could take it apart by."""
        return Trace, (self.trace_id, self.request_id, self.id_lines, self.context_lines)

    @property
    def w3c_id(self) -> bytes:
        """The trace id of `traceparent`, 32 hexadecimal digits."""
        return self.context_lines[_W3C_BEGINS:_W3C_ENDS]


def sampling_bound(part: float) -> bytes | None:
    """What the ends of trace ids are compared with, so that this part of them is sampled.

    OpenTelemetry's `TraceIdRatioBased` decides by the same 64 bits. None stands for all.
    """
    bound = round(part * (1 << 64))
    return b"%016x" % bound if bound < 1 << 64 else None


def trace_of(
    noted: dict[bytes, bytes],
    random_bits: Callable[[int], int],
    sampled_below: bytes | None = None,
) -> Trace:
    """Continue the caller's trace with a new parent id, or start one; keep or make the ids."""
    # One draw for all: 128 bits of trace id, 64 of parent id, 128 of request id.
    drawn = b"%080x" % random_bits(320)
    w3c_id, parent_id, request_id, flags, tracestate = (
        drawn[:32],
        drawn[32:48],
        drawn[48:],
        b"01" if sampled_below is None or drawn[16:32] < sampled_below else b"00",
        b"",
    )
    trace_id = w3c_id
    if not _CALLERS_NAMES.isdisjoint(noted):
        if b"traceparent" in noted and (caller := _parsed(noted[b"traceparent"])) is not None:
            w3c_id, flags = caller
            tracestate = _tracestate(noted.get(b"tracestate", b""))
        trace_id = one_visible(noted.get(b"x-chora-trace-id", b""), _LONGEST_CORRELATION) or w3c_id
        request_id = one_visible(noted.get(b"x-request-id", b""), _LONGEST_REQUEST_ID) or request_id
    return Trace(
        trace_id,
        request_id,
        b"X-Request-Id: %b\r\nX-Chora-Trace-Id: %b\r\n" % (request_id, trace_id),
        b"traceparent: 00-%b-%b-%b\r\n%b" % (w3c_id, parent_id, flags, tracestate),
    )


_CALLERS_NAMES: Final = frozenset({b"traceparent", b"x-chora-trace-id", b"x-request-id"})


def _parsed(traceparent: bytes) -> tuple[bytes, bytes] | None:
    """Trace id and flags of a valid header; of a repeated one, joined as it is, nothing."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or b"," in traceparent:
        return None
    version, trace_id, parent_id, flags, more = match.groups()
    if version == b"ff" or (version == b"00" and more):
        return None
    if trace_id == _NO_TRACE or parent_id == _NO_PARENT:
        return None
    return trace_id, b"%02x" % (int(flags, 16) & _KNOWN_FLAGS)


def _tracestate(value: bytes) -> bytes:
    """The whole line, members in order; nothing where one is ill-formed or a key is repeated."""
    members = [member for part in value.split(b",") if (member := part.strip(b" \t"))]
    keys = {member.partition(b"=")[0] for member in members}
    if len(keys) != len(members) or not all(map(_MEMBER.fullmatch, members)):
        return b""
    return b"tracestate: %b\r\n" % b",".join(members[:_MOST_MEMBERS]) if members else b""
