"""Which header fields concern a proxy: the tables, and one look-up by the name as sent.

Knows names (RFC 9110, 7.6.1, and our contract's header rules). Knows nothing of values.
"""

import re
from enum import Enum
from functools import lru_cache
from typing import Final


class Role(Enum):
    """What becomes of a field on its way through."""

    OURS = "ours"  # read by us, ends here; we may write our own
    READ = "read"  # read by us, goes on
    WITHHELD = "withheld"  # a credential: goes on only where the server says so
    UNDERSCORED = "underscored"  # to some servers `X_Forwarded_For` is `X-Forwarded-For`


HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
    }
)
_REQUEST_OURS: Final = HOP_BY_HOP | {
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    b"max-forwards",
    b"request-timeout",
    b"traceparent",
    b"tracestate",
    b"via",
    b"x-chora-trace-id",
    b"x-request-id",
}
_REQUEST_OURS_PREFIXES: Final = (b"proxy-", b"x-forwarded-")
_REQUEST_READ: Final = frozenset(
    {
        b"access-control-request-headers",
        b"access-control-request-method",
        b"content-type",
        b"origin",
    }
)
_WITHHELD: Final = frozenset({b"authorization", b"cookie", b"x-api-key"})
_RESPONSE_OURS: Final = HOP_BY_HOP | {b"content-length", b"x-chora-trace-id", b"x-request-id"}
_RESPONSE_READ: Final = frozenset({b"content-type", b"date"})

# Where our `cors.origins` speak, the upstream's own say gives way.
CORS: Final = frozenset(
    {
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"access-control-max-age",
    }
)

# Cached by the name as sent: names repeat, and a hit costs a quarter of lower() and three look-ups.
# Bounded, so that invented names cost an eviction and no memory.
_KEPT_NAMES: Final = 2048


@lru_cache(maxsize=_KEPT_NAMES)
def request_role(name: bytes) -> tuple[Role, bytes] | None:
    """Role and lower-case name of a request's field; None when it just goes on."""
    lower = name.lower()
    if lower in _REQUEST_OURS or lower.startswith(_REQUEST_OURS_PREFIXES):
        return Role.OURS, lower
    if lower in _REQUEST_READ:
        return Role.READ, lower
    if lower in _WITHHELD:
        return Role.WITHHELD, lower
    if b"_" in lower:
        return Role.UNDERSCORED, lower
    return None


@lru_cache(maxsize=_KEPT_NAMES)
def response_role(name: bytes) -> tuple[Role, bytes] | None:
    """Role and lower-case name of an answer's field; None when it just goes on."""
    lower = name.lower()
    if lower in _RESPONSE_OURS:
        return Role.OURS, lower
    if lower in _RESPONSE_READ:
        return Role.READ, lower
    return None


def name_of(line: bytes) -> bytes:
    """The name in a field line, as sent."""
    return line[: line.find(b":")]


def tokens(value: bytes) -> list[bytes]:
    """The members of a comma-separated list (RFC 9110, 5.6.1), lower case, empty ones left out."""
    return [member for part in value.lower().split(b",") if (member := part.strip(b" \t"))]


def without(lines: list[bytes], names: frozenset[bytes]) -> list[bytes]:
    """The lines whose lower-case name is not among `names`."""
    return [line for line in lines if name_of(line).lower() not in names]


def one_visible(value: bytes | None, longest: int) -> bytes | None:
    """The value if it is 1 to `longest` visible ASCII characters, else None."""
    if value is not None and len(value) <= longest and _VISIBLE.fullmatch(value):
        return value
    return None


_VISIBLE: Final = re.compile(rb"[\x21-\x7e]+")
