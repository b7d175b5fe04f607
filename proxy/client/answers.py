"""What an answer says: a value, or why there is none.

Knows content types and problem documents (RFC 9457). Knows nothing of connections.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from proxy.client import errors
from proxy.client.codec import decoded, mapping
from proxy.client.errors import Facts, GatewayError

_PROBLEM: Final = "application/problem+json"
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_EXCERPT_CHARACTERS: Final = 200
_FIRST_FAILURE: Final = 300
_BY_STATUS: Final[Mapping[int, type[GatewayError]]] = {
    401: errors.AuthenticationError,
    403: errors.PermissionError,
    404: errors.NotFoundError,
}
_BY_CODE: Final[Mapping[str, type[GatewayError]]] = {
    "circuit_open": errors.CircuitBreakerError,
    "upstream_timeout": errors.TimeoutError,
    "connect_timeout": errors.TimeoutError,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def failed(self) -> bool:
        return self.status >= _FIRST_FAILURE

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def value_of(answer: Answer, what: str) -> object:
    """JSON as Python has it, text as `str`, nothing as None, anything else as `bytes`.

    Raises `GatewayError` where the answer is not what it calls itself.
    """
    if not answer.body:
        return None
    kind = answer.media_type
    if kind == "application/json" or kind.endswith("+json"):
        return document_of(answer.body, what)
    if kind.startswith("text/"):
        return answer.body.decode(_charset(answer), errors="replace")
    return answer.body


def document_of(octets: bytes, what: str) -> object:
    """JSON; raises `GatewayError`."""
    try:
        return decoded(octets)
    except ValueError as error:
        raise GatewayError(f"{what} was answered with broken JSON: {error}") from None


def error_of(answer: Answer, what: str) -> GatewayError:
    """The error that a failed answer is."""
    if answer.media_type == _PROBLEM:
        return _of_problem(answer, what)
    kind = _BY_STATUS.get(answer.status, GatewayError)
    said = " ".join(answer.body[: 4 * _EXCERPT_CHARACTERS].decode(errors="replace").split())
    said = f": {said[:_EXCERPT_CHARACTERS]}" if said else ""
    return kind(f"{what} was answered with {_words(answer.status)}{said}", _facts(answer, what))


def _of_problem(answer: Answer, what: str) -> GatewayError:
    """Of a document that any server may have written: what has the wrong type is not there."""
    facts = _facts(answer, what)
    code, document = str(facts.code or ""), mapping(facts.body)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(answer.status, GatewayError)
    said = document.get("detail") or document.get("title") or "no reason given"
    named = f", {code}" if code else ""
    return kind(f"{what} failed: {said} ({_words(answer.status)}{named})", facts)


def _facts(answer: Answer, what: str) -> Facts:
    try:
        body = value_of(answer, what)
    except GatewayError:
        body = answer.body
    is_problem = answer.media_type == _PROBLEM
    document = mapping(body) if is_problem else {}
    code, trace_id = document.get("code"), document.get("trace_id")
    return Facts(
        status=answer.status,
        code=code if isinstance(code, str) else None,
        trace_id=trace_id if isinstance(trace_id, str) else answer.headers.get("x-chora-trace-id"),
        retry_after_s=_retry_after_s(answer.headers.get("retry-after", "")),
        retryable=document.get("retryable") is True,
        body=body,
    )


def _retry_after_s(value: str) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3); None for what is neither."""
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())


def _words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _charset(answer: Answer) -> str:
    _, _, named = answer.headers.get("content-type", "").lower().partition("charset=")
    name = named.partition(";")[0].strip(" \"'")
    return name if name in ("iso-8859-1", "latin-1", "us-ascii") else "utf-8"
