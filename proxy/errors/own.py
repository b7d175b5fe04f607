"""Our own limits and state: the call may come again, or never reached what would answer it."""

from proxy.errors.base import Blame, ProxyError


class RateLimitedError(ProxyError):
    """So many calls in so much time are as many as there may be."""

    status = 429
    flag = "RL"
    code = "rate_limited"
    title = "Too Many Requests"
    retryable = True


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
