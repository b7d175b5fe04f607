"""Every way in which the sidecar itself can fail a call.

An error carries facts: status, code, blame, whether the same call may be sent again, and its name
in RFC 9209 (`Proxy-Status`). Who handles one reads the facts and never lists types. Knows nothing
of sockets, and nothing of how an error is written down.
"""

from enum import Enum
from typing import ClassVar


class Blame(Enum):
    """Whose fault it was: decides what counts against an upstream."""

    CALLER = "caller"
    UPSTREAM = "upstream"
    SIDECAR = "sidecar"


class ProxyError(Exception):
    """A call that the sidecar answers in its own name.

    `detail` is one sentence for a person: why, and what to do. `retry_after_s` becomes
    `Retry-After`. Status, code and wording of each class are the error table of the HTTP contract.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    blame: ClassVar[Blame] = Blame.CALLER
    retryable: ClassVar[bool] = False
    proxy_status: ClassVar[str] = "http_request_error"
    flag: ClassVar[str] = ""  # Envoy's response flag, for logs
    # Facts that decide whether a failed attempt may be repeated, and what it proves.
    nothing_sent: ClassVar[bool] = False
    connection_lost: ClassVar[bool] = False
    by_clock: ClassVar[bool] = False  # nothing happened: if our own loop was late, perhaps it did
    # After these nobody knows where the next request would begin, or nobody should wait for it.
    closes: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = headers


# --- the caller's request breaks HTTP, or a limit: the connection is closed ---


class BadRequestError(ProxyError):
    """Framing, Host or header grammar is broken (RFC 9112)."""

    status = 400
    code = "bad_request"
    title = "Bad Request"
    closes = True


class BadValueError(BadRequestError):
    """Well-formed HTTP with an unusable value in a header of ours: the connection can go on."""

    closes = False


class RequestTimeoutError(ProxyError):
    """The request head was not complete in time."""

    status = 408
    code = "request_timeout"
    title = "Request Timeout"
    retryable = True
    closes = True


class BodyTooLargeError(ProxyError):
    """The body is, or would become, larger than the limit."""

    status = 413
    code = "body_too_large"
    title = "Content Too Large"
    closes = True


class UriTooLongError(ProxyError):
    """The request line is longer than the limit."""

    status = 414
    code = "uri_too_long"
    title = "URI Too Long"
    closes = True


class HeadersTooLargeError(ProxyError):
    """The head has too many bytes or too many fields."""

    status = 431
    code = "headers_too_large"
    title = "Request Header Fields Too Large"
    closes = True


class NotImplementedMethodError(ProxyError):
    """An unknown method or transfer coding."""

    status = 501
    code = "not_implemented"
    title = "Not Implemented"
    closes = True


class HttpVersionError(ProxyError):
    """Another version than HTTP/1.0 or HTTP/1.1."""

    status = 505
    code = "http_version"
    title = "HTTP Version Not Supported"
    closes = True


# --- the request is well-formed, and refused ---


class ForbiddenError(ProxyError):
    """A rule of this deployment says no."""

    status = 403
    code = "forbidden"
    title = "Forbidden"
    proxy_status = "http_request_denied"


class OriginNotAllowedError(ForbiddenError):
    """A browser's page from elsewhere may not call tools here."""

    code = "origin_not_allowed"


class ToolNotFoundError(ProxyError):
    """No such tool, or a path that is not open."""

    flag = "NR"
    status = 404
    code = "tool_not_found"
    title = "Not Found"


class NamespaceNotFoundError(ToolNotFoundError):
    """No such server."""

    code = "namespace_not_found"


class MethodNotAllowedError(ProxyError):
    """The path exists, and does not take this method."""

    status = 405
    code = "method_not_allowed"
    title = "Method Not Allowed"


class ConnectMethodError(MethodNotAllowedError):
    """CONNECT and TRACE: never of use here, and what follows may not be HTTP."""

    closes = True


class MissingCredentialsError(ProxyError):
    """A credential that the tool needs is not set; the upstream is not touched."""

    status = 424
    code = "missing_credentials"
    title = "Failed Dependency"
    blame = Blame.SIDECAR
    proxy_status = "proxy_configuration_error"


class LoopDetectedError(ProxyError):
    """Our own mark in `Via` came back."""

    status = 508
    code = "loop_detected"
    title = "Loop Detected"
    proxy_status = "proxy_loop_detected"


# --- our own limits and state ---


class QueueFullError(ProxyError):
    """The server's queue is full: refused at once."""

    status = 429
    flag = "UO"
    code = "queue_full"
    title = "Too Many Requests"
    blame = Blame.SIDECAR
    retryable = True
    proxy_status = "connection_limit_reached"


class QueueTimeoutError(QueueFullError):
    """The call waited for a connection as long as it may."""

    code = "queue_timeout"


class UnavailableError(ProxyError):
    """503, whatever the reason: nothing was sent, the call may come again."""

    status = 503
    title = "Service Unavailable"
    blame = Blame.SIDECAR
    retryable = True
    proxy_status = "destination_unavailable"


class NoHealthyEndpointError(UnavailableError):
    """Every endpoint of the server is known to be down."""

    flag = "UH"
    code = "no_healthy_endpoint"
    blame = Blame.UPSTREAM


class CircuitOpenError(UnavailableError):
    """The server failed too often in a row and is given a rest."""

    flag = "UO"
    code = "circuit_open"


class ServerQuarantinedError(UnavailableError):
    """The registry's entry for this server is broken and it never ran."""

    code = "server_quarantined"
    retryable = False
    proxy_status = "proxy_configuration_error"


class TooManyConnectionsError(UnavailableError):
    """The listener holds as many callers as it may."""

    code = "too_many_connections"
    proxy_status = "connection_limit_reached"
    closes = True


class NoRoomError(TooManyConnectionsError):
    """Not one more connection to an upstream, or listener to events, can be had."""

    closes = False  # who is there already is served on


class DrainingError(UnavailableError):
    """The sidecar is about to stop."""

    code = "draining"
    closes = True


class InternalError(ProxyError):
    """A bug of ours: logged with its traceback, shown without."""

    status = 500
    code = "internal"
    title = "Internal Server Error"
    blame = Blame.SIDECAR
    proxy_status = "proxy_internal_error"
    closes = True


# --- the upstream failed ---


class UpstreamError(ProxyError):
    """The upstream failed; what it says is for the breaker, too."""

    status = 502
    title = "Bad Gateway"
    blame = Blame.UPSTREAM


class ConnectFailedError(UpstreamError):
    """No connection: nothing was sent, so any method may be tried again."""

    flag = "UF"
    nothing_sent = True
    code = "connect_failed"
    retryable = True
    proxy_status = "connection_refused"


class UpstreamProtocolError(UpstreamError):
    """The answer is not HTTP, or not as strict as we ask for."""

    flag = "UPE"
    code = "upstream_protocol"
    proxy_status = "http_protocol_error"


class UpstreamClosedError(UpstreamError):
    """The connection ended before the answer did."""

    flag = "UC"
    connection_lost = True
    code = "upstream_closed"
    proxy_status = "connection_terminated"


class UpstreamGoneError(UpstreamClosedError):
    """The connection had ended before anything was sent on it."""

    nothing_sent = True


class UpstreamTimeoutError(UpstreamError):
    """No answer within the deadline."""

    flag = "UT"
    by_clock = True
    status = 504
    code = "upstream_timeout"
    title = "Gateway Timeout"
    proxy_status = "connection_read_timeout"


class ConnectTimeoutError(UpstreamTimeoutError):
    """No connection in time: nothing was sent, so any method may be tried again."""

    flag = "UF"
    nothing_sent = True
    code = "connect_timeout"
    retryable = True
    proxy_status = "connection_timeout"
