"""The caller's request breaks HTTP, or a limit: what follows on its connection is in doubt."""

from proxy.errors.base import ProxyError


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
