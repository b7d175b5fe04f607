"""The upstream failed."""

from proxy.errors.base import Blame, ProxyError


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
