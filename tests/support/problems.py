"""What every error of the sidecar's own looks like, whatever its status."""

import re
from http import HTTPStatus
from typing import Final

from tests.support.caller import Answer

# RFC 9209, 2.3: the registered error types.
ERROR_TYPES: Final = frozenset(
    {
        "dns_timeout",
        "dns_error",
        "destination_not_found",
        "destination_unavailable",
        "destination_ip_prohibited",
        "destination_ip_unroutable",
        "connection_refused",
        "connection_terminated",
        "connection_timeout",
        "connection_read_timeout",
        "connection_write_timeout",
        "connection_limit_reached",
        "tls_protocol_error",
        "tls_certificate_error",
        "tls_alert_received",
        "http_request_error",
        "http_request_denied",
        "http_response_incomplete",
        "http_response_header_section_size",
        "http_response_header_size",
        "http_response_body_size",
        "http_response_trailer_section_size",
        "http_response_trailer_size",
        "http_response_transfer_coding",
        "http_response_content_coding",
        "http_response_timeout",
        "http_upgrade_failed",
        "http_protocol_error",
        "proxy_internal_response",
        "proxy_internal_error",
        "proxy_configuration_error",
        "proxy_loop_detected",
    }
)
PROXY_STATUS: Final = re.compile(r"toolproxy-[!-~]+?;.*?\berror=(?P<error>[a-z_]+)")
PHRASES: Final = {
    413: {"Content Too Large", "Payload Too Large", "Request Entity Too Large"},
    422: {"Unprocessable Content", "Unprocessable Entity"},
}


def problem_of(answer: Answer) -> dict[str, object]:
    """The members of a problem, once all that is true of each problem was found true."""
    assert answer.value("content-type") == "application/problem+json", answer
    problem = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == answer.status
    assert problem["title"] in titles_of(answer.status), problem
    assert isinstance(problem["retryable"], bool)
    assert all(problem[member] for member in ("detail", "code", "trace_id", "request_id"))
    assert problem["request_id"] == answer.value("x-request-id")
    assert problem["trace_id"] == answer.value("x-chora-trace-id")
    assert proxy_error_of(answer) in ERROR_TYPES
    return problem


def proxy_error_of(answer: Answer) -> str:
    """The `error` of the one `Proxy-Status` member that is ours."""
    field = answer.value("proxy-status") or ""
    matched = PROXY_STATUS.search(field)
    assert matched, f"no Proxy-Status of ours: {field!r}"
    return matched["error"]


def titles_of(status: int) -> set[str]:
    if status in PHRASES:
        return PHRASES[status]
    if status == HTTPStatus.REQUEST_URI_TOO_LONG:
        return {"URI Too Long", "Request-URI Too Long"}
    return {HTTPStatus(status).phrase}
