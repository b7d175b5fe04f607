"""Header fields that a client sends: who calls, in which trace.

Values are checked once, where they come in, and are never shown in an error.
"""

import re
from contextvars import ContextVar, Token
from typing import Final

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_LONGEST_TRACE_ID: Final = 200
_TRACE: Final[ContextVar[str | None]] = ContextVar("toolproxy_trace_id", default=None)


def set_trace(trace_id: str | None) -> Token[str | None]:
    """From here on, calls of this task and of tasks it starts belong to this trace.

    `trace_id` is 1 to 200 visible ASCII characters, or None for no trace; sent as
    `X-Chora-Trace-Id`. A `trace_id=` of one call goes before it. Raises `ValueError`.

    >>> token = set_trace("workflow-abc123")
    >>> current_trace()
    'workflow-abc123'
    >>> token = set_trace(None)
    """
    return _TRACE.set(None if trace_id is None else checked_trace(trace_id))


def current_trace() -> str | None:
    """What `set_trace` set for this task."""
    return _TRACE.get()


def checked_trace(trace_id: str) -> str:
    if len(trace_id) > _LONGEST_TRACE_ID:
        raise ValueError(f"trace_id may have {_LONGEST_TRACE_ID} characters")
    return visible("trace_id", trace_id)


def visible(name: str, value: str) -> str:
    """A value as it may stand in a header; raises `ValueError` without showing it."""
    if not _VISIBLE.fullmatch(value):
        raise ValueError(f"{name} must be visible ASCII characters without spaces")
    return value


def caller_fields(
    api_key: str | None, user_token: str | None, trace_id: str | None
) -> dict[str, str]:
    """`X-API-Key` names the application, `Authorization` the user (a token, or none)."""
    found: dict[str, str] = {}
    if api_key:
        found["X-API-Key"] = api_key
    if user_token:
        found["Authorization"] = f"Bearer {visible('user_token', user_token)}"
    trace = current_trace() if trace_id is None else checked_trace(trace_id)
    if trace:
        found["X-Chora-Trace-Id"] = trace
    return found
