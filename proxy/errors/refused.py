"""The request is well-formed, and refused."""

from proxy.errors.base import Blame, ProxyError


class UnauthenticatedError(ProxyError):
    """No valid credential came with the request; which was wrong, and how, only the log says."""

    status = 401
    code = "unauthenticated"
    title = "Unauthorized"


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


class UnsupportedMediaTypeError(ProxyError):
    """A body that must be read here is not one plain JSON object."""

    status = 415
    code = "unsupported_media_type"
    title = "Unsupported Media Type"


class IdempotencyMismatchError(ProxyError):
    """The same `Idempotency-Key` came with another call."""

    status = 422
    code = "idempotency_mismatch"
    title = "Unprocessable Content"


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
