"""Heads to values: is this a request (an answer) that every strict reader reads alike?

llhttp has judged the grammar (see `reader`); what it lets through and we do not is checked here.
Knows nothing of sockets, routes or time.
"""

import re
from functools import lru_cache
from typing import Final

import httptools

from proxy import errors
from proxy.wire import fields
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from proxy.wire.reader import HeadLimits, HeadReader, Listener, Parser

_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")
_VERSIONS: Final = frozenset({b"HTTP/1.1 ", b"HTTP/1.0 "})
_STATUS_LINE: Final = re.compile(rb"[1-9][0-9][0-9](?: [\t\x20-\x7e\x80-\xff]*)?")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LONGEST_METHOD: Final = 24
# What llhttp knows, less what is not HTTP (RTSP's, and PRI).
_METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK M-SEARCH MERGE MKACTIVITY MKCALENDAR"
    b" MKCOL MOVE NOTIFY OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH"
    b" SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK UNSUBSCRIBE".split()
)
# reg-name, IPv4 or bracketed IPv6, and a port (RFC 3986, 3.2.2); no userinfo.
_AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?",
)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_LONGEST_LENGTH: Final = 18  # digits: below 2**63 whatever they are

# Of no use here, and what follows them may not be HTTP.
_UNSERVED: Final = frozenset({b"CONNECT", b"TRACE"})
# Bodiless whatever the fields say (RFC 9112, 6.3).
_BODILESS: Final = frozenset({204, 304})


class RequestReader(HeadReader[RequestHead]):
    """Requests, refused as the contract's Strictness says: 400, 414, 431, 501 or 505."""

    __slots__ = ()

    def _parse(self, head: bytes) -> RequestHead:
        line = self._judge(head)
        lines, noted = fields.set_apart_request(head, len(line))
        method, _, rest = line.partition(b" ")
        target, _, version = rest.partition(b" ")
        minor_version = 1 if version == b"HTTP/1.1" else _minor_version(version)
        host = noted.get(b"host")
        if host is None:
            if minor_version:
                raise errors.BadRequestError("An HTTP/1.1 request needs one Host field")
            host = b""
        elif not host:
            raise errors.BadRequestError("The Host field is empty")
        plain = target[:1] == b"/" and b"#" not in target and b"\n" not in target
        if not plain or method in _UNSERVED or not _is_authority(host):
            target, host = _resource(method, target, host)
        body_bytes = _request_body(noted, minor_version)
        if b"_" in lines and not self._limits.underscores:
            lines = fields.without_underscored(lines)
        keep_alive = minor_version == 1
        if b"connection" in noted:
            keep_alive = _persists(noted, minor_version)
            lines = _without_nominated(lines, noted)
        return RequestHead(
            method, target, minor_version, lines, noted, body_bytes, keep_alive, host
        )

    def _may_be_judged(self, begun: bytes) -> bool:
        """Only once the method is whole: llhttp refuses it at different bytes in different cuts."""
        method, space, _ = begun[: _LONGEST_METHOD + 1].partition(b" ")
        if space or len(begun) > _LONGEST_METHOD or not _TOKEN.fullmatch(method):
            self._check_method(method)
        line, line_end, _ = begun.partition(b"\r\n")
        if line_end and not _VERSION.search(line):  # llhttp takes it for HTTP/0.9, and waits
            raise self._malformed("its first line names no version")
        return bool(space)

    def _check_method(self, method: bytes) -> None:
        if not _TOKEN.fullmatch(method):
            raise self._malformed("its method is not a token")
        if method not in _METHODS:
            raise errors.NotImplementedMethodError("The request's method is not known here")

    def _new_parser(self, listener: Listener) -> Parser:
        return httptools.HttpRequestParser(listener)

    def _refused(self, error: Exception, data: bytes) -> errors.ProxyError:
        self._may_be_judged(data)
        why = str(error)
        if "invalid `Transfer-Encoding`" in why:
            return _unknown_coding()
        # The first is the line's own, whether or not the line is whole.
        if why == "Invalid HTTP version" and data.partition(b" HTTP/")[2][:1] != b"0":
            return errors.HttpVersionError("Only HTTP/1.0 and HTTP/1.1 are spoken here")
        return self._malformed(why)

    def _malformed(self, detail: str) -> errors.ProxyError:
        return errors.BadRequestError(f"The request breaks HTTP: {detail}")

    def _too_long(self) -> errors.ProxyError:
        return errors.UriTooLongError(
            f"The request line is longer than {self._limits.line_bytes} bytes"
        )

    def _too_large(self) -> errors.ProxyError:
        return errors.HeadersTooLargeError(
            f"The head has over {self._limits.head_bytes} bytes or {self._limits.fields} fields"
        )


class ResponseReader(HeadReader[ResponseHead]):
    """Answers, refused by the same rules with 502."""

    __slots__ = ("bodiless",)

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self.bodiless = False  # an answer to HEAD has no body whatever its fields say

    def expect(self, *, bodiless: bool) -> None:
        """What the next answer's request says of its body; a head read before may mean another."""
        if bodiless is not self.bodiless:
            self.bodiless = bodiless
            self._last = None

    def _parse(self, head: bytes) -> ResponseHead:
        line = self._judge(head)
        lines, noted = fields.set_apart_response(head, len(line))
        version, status_line = line[:9], line[9:]
        if version not in _VERSIONS or not _STATUS_LINE.fullmatch(status_line):
            raise self._malformed("The status line is not 'HTTP/1.1 200 reason'")
        status = int(status_line[:3])
        body_bytes = self._body(status, noted, version)
        keep_alive = version == b"HTTP/1.1 " and body_bytes != UNTIL_CLOSE
        if noted.get(b"connection", b"keep-alive") != b"keep-alive":
            nominated = fields.tokens(noted[b"connection"])
            lines = fields.without(lines, frozenset(nominated))
            keep_alive = keep_alive and b"close" not in nominated
        return ResponseHead(status, status_line, lines, noted, body_bytes, keep_alive)

    def _body(self, status: int, noted: dict[bytes, bytes], version: bytes) -> int:
        """How the body is framed (RFC 9112, 6.3), where the fields agree with one another."""
        length = noted.get(b"content-length")
        if length is not None and not _is_length(length):
            raise self._malformed("Content-Length is not one number")
        coding = noted.get(b"transfer-encoding")
        if coding is not None and (
            coding.lower() != b"chunked" or version != b"HTTP/1.1 " or length is not None
        ):
            raise self._malformed("Transfer-Encoding is not just 'chunked'")
        if self.bodiless or status in _BODILESS or status < 200:  # noqa: PLR2004 - 1xx
            return 0
        if coding is not None:
            return CHUNKED
        return int(length) if length is not None else UNTIL_CLOSE

    def _may_be_judged(self, begun: bytes) -> bool:
        del begun
        return True

    def _skip_empty_lines(self, data: bytes) -> bytes:
        del data
        raise self._malformed("an empty line stands where it should begin")

    def _new_parser(self, listener: Listener) -> Parser:
        return httptools.HttpResponseParser(listener)

    def _refused(self, error: Exception, data: bytes) -> errors.ProxyError:
        del data
        return self._malformed(str(error))

    def _malformed(self, detail: str) -> errors.ProxyError:
        return errors.UpstreamProtocolError(f"The upstream's answer breaks HTTP: {detail}")

    def _too_long(self) -> errors.ProxyError:
        return self._malformed("its status line is too long")

    def _too_large(self) -> errors.ProxyError:
        return self._malformed("its head is too large")


def _minor_version(version: bytes) -> int:
    """The minor version of what is not simply HTTP/1.1 (RFC 9110, 2.5: a higher one is 1.1)."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise errors.BadRequestError("The request line is not 'METHOD target HTTP/1.1'")
    if match[1] == b"0":
        raise errors.BadRequestError("HTTP/0.9 is not spoken here")
    if match[1] != b"1":
        raise errors.HttpVersionError("Only HTTP/1.0 and HTTP/1.1 are spoken here")
    return 0 if match[2] == b"0" else 1


@lru_cache(maxsize=256)  # callers name the same few hosts: 0.05 us instead of 0.4
def _is_authority(value: bytes) -> bool:
    return not value or _AUTHORITY.fullmatch(value) is not None


def _resource(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Path with query, and authority, of any form of target (RFC 9112, 3.2)."""
    if not _is_authority(host):
        raise errors.BadRequestError("The Host field is not one host and port")
    # To llhttp a line feed ends a line of HTTP/0.9, and what follows it is a field.
    if b"#" in target or b"\n" in target:
        raise errors.BadRequestError("The request target holds a fragment or a line feed")
    if method in _UNSERVED:
        name = method.decode()
        raise errors.ConnectMethodError(f"{name} is not served here", headers=(("Allow", "POST"),))
    if target == b"*" and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise errors.BadRequestError("The request target is neither a path nor an http URL")
    authority, rest = absolute.groups()
    if host.lower() != authority.lower() or not authority:
        raise errors.BadRequestError("The request target names another host than Host does")
    path = rest or b"/"
    return (path if path[:1] == b"/" else b"/" + path), authority


def _request_body(noted: dict[bytes, bytes], minor_version: int) -> int:
    """How the body is framed (RFC 9112, 6.3): bytes, or CHUNKED."""
    length = noted.get(b"content-length")
    if b"transfer-encoding" in noted:
        coding = noted[b"transfer-encoding"]
        if minor_version == 0 or length is not None:
            raise errors.BadRequestError("Transfer-Encoding does not go with HTTP/1.0 or a length")
        if coding.lower() != b"chunked":
            raise _unknown_coding()
        body_bytes = CHUNKED
    elif length is None:
        return 0
    elif _is_length(length):
        body_bytes = int(length)
    else:
        raise errors.BadRequestError("Content-Length is not one number")
    # Some readers end such a message at its head: what follows would be a request to them.
    if b"connection" in noted and body_bytes and b"upgrade" in fields.tokens(noted[b"connection"]):
        raise errors.BadRequestError("A request that asks for an upgrade can't have a body")
    return body_bytes


def _is_length(value: bytes) -> bool:
    # bytes.isdigit() is ASCII only; int() would take '+5', '5_0' and spaces.
    return value.isdigit() and len(value) <= _LONGEST_LENGTH


def _unknown_coding() -> errors.ProxyError:
    return errors.NotImplementedMethodError("The only transfer coding known here is 'chunked'")


def _persists(noted: dict[bytes, bytes], minor_version: int) -> bool:
    options = fields.tokens(noted[b"connection"])
    if b"close" in options:
        return False
    # RFC 9112, 9.3: an HTTP/1.0 proxy may pass on a keep-alive that it does not understand.
    return minor_version == 1 or (b"keep-alive" in options and b"via" not in noted)


def _without_nominated(lines: bytes, noted: dict[bytes, bytes]) -> bytes:
    """Drop what `Connection` nominates (RFC 9110, 7.6.1), but for what frames the message."""
    nominated = frozenset(fields.tokens(noted[b"connection"])) - _NEVER_NOMINATED
    if not nominated:
        return lines
    for name in nominated:
        noted.pop(name, None)
    return fields.without(lines, nominated)


_NEVER_NOMINATED: Final = fields.HOP_BY_HOP | {b"close", b"content-length", b"host"}
