"""Bytes to heads: is this a request (an answer) that every strict reader reads alike?

llhttp judges the grammar of a complete head; what it lets through and we do not is checked here. It
is never shown a body: where a message ends is decided in `framing`, so none of its habits around
bodies, upgrades and pipelining matter. Knows nothing of sockets, routes or time.
"""

import re
from functools import lru_cache
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import httptools

from proxy import errors
from proxy.wire import fields
from proxy.wire.fields import Role, request_role, response_role
from proxy.wire.head import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead

_VERSION: Final = re.compile(rb"HTTP/(\d)\.(\d)")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*))?")
_TOKEN_CHARACTER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]")
# reg-name, IPv4 or bracketed IPv6, and a port (RFC 3986, 3.2.2); no userinfo.
_AUTHORITY: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::\d{0,5})?",
)
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)([/?].*)?", re.IGNORECASE)
_LONGEST_LENGTH: Final = 18  # digits: below 2**63 whatever they are

# Bodiless whatever the fields say (RFC 9112, 6.3).
_BODILESS: Final = frozenset({204, 304})


class HeadLimits(NamedTuple):
    """What a head may measure, and what becomes of names with an underscore."""

    line_bytes: int = 8 * 1024
    head_bytes: int = 32 * 1024
    fields: int = 128
    underscores: bool = False


class _Judge:
    """What llhttp reports back: whether it saw the end of a head."""

    __slots__ = ("complete",)

    def __init__(self) -> None:
        self.complete = False

    def on_headers_complete(self) -> None:
        self.complete = True


class _Parser(Protocol):
    def feed_data(self, data: bytes) -> None: ...


HeadT = TypeVar("HeadT")


class HeadReader(Generic[HeadT]):
    """Collects bytes until a head is complete. One per connection and direction.

    `rest` is what came behind the head. Sub-classes say what a head is and which errors they raise.
    """

    __slots__ = ("_early", "_held", "_limits", "rest")

    def __init__(self, limits: HeadLimits) -> None:
        self._limits = limits
        self._held = b""
        self._early: tuple[_Judge, _Parser] | None = None
        self.rest = b""

    @property
    def waiting(self) -> bool:
        """Has a head begun that is not complete?"""
        return bool(self._held)

    def read(self, data: bytes) -> HeadT | None:
        """Take bytes; give a head once it is complete, and what follows it in `rest`."""
        searched = 0
        if self._held:
            searched = max(0, len(self._held) - 3)
            data = self._held + data
        # RFC 9112, 2.2: empty lines before a request line are to be ignored. One compare else.
        if data[0] == 13:  # noqa: PLR2004 - CR
            data, searched = self._skip_empty_lines(data), 0
        end = data.find(b"\r\n\r\n", searched)
        if end < 0 or end + 4 > self._limits.head_bytes:
            self._hold(data)
            return None
        end += 4
        if end == len(data):
            head, self.rest = data, b""
        else:
            head, self.rest = data[:end], data[end:]
        self._held = b""
        self._early = None
        return self._parse(head)

    def _skip_empty_lines(self, data: bytes) -> bytes:
        return data

    def _hold(self, data: bytes) -> None:
        """Keep an incomplete head, unless it can't become a good one any more.

        llhttp sees the bytes as they come, so that a bad head is refused at once and not when its
        time is up; and sees no byte beyond a limit, so that the verdict is the same however the
        bytes were cut.
        """
        limits = self._limits
        seen = len(self._held) if self._early is not None else 0
        if self._early is None:
            judge = _Judge()
            self._early = (judge, self._new_parser(judge))
        judge, parser = self._early
        line_too_long = data.find(b"\r\n", 0, limits.line_bytes + 2) < 0
        longest = limits.line_bytes if line_too_long else limits.head_bytes
        self._judged(parser, data[seen:longest])
        if judge.complete:
            raise self._malformed("The head does not end in an empty line")
        if len(data) > longest:
            raise self._too_long() if line_too_long else self._too_large()
        self._held = data

    def _judged(self, parser: _Parser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # llhttp would stop parsing here; we never let it see more than a head
        except httptools.HttpParserError as error:
            raise self._refused(error, data) from None

    def _split(self, head: bytes) -> list[bytes]:
        """Judge a complete head; its lines without the last, empty ones."""
        judge = _Judge()
        self._judged(self._new_parser(judge), head)
        lines = head[:-4].split(b"\r\n")
        if not judge.complete:
            raise self._malformed("The head does not end where its first empty line is")
        if len(lines[0]) > self._limits.line_bytes:
            raise self._too_long()
        if len(lines) > self._limits.fields + 1:
            raise self._too_large()
        return lines

    # What kind of head it is:

    def _parse(self, head: bytes) -> HeadT:
        raise NotImplementedError

    def _new_parser(self, judge: _Judge) -> _Parser:
        raise NotImplementedError

    def _refused(self, error: Exception, data: bytes) -> errors.ProxyError:
        raise NotImplementedError

    def _malformed(self, detail: str) -> errors.ProxyError:
        raise NotImplementedError

    def _too_long(self) -> errors.ProxyError:
        raise NotImplementedError

    def _too_large(self) -> errors.ProxyError:
        raise NotImplementedError


class RequestReader(HeadReader[RequestHead]):
    """Requests, refused as the contract's Strictness says: 400, 414, 431, 501 or 505."""

    __slots__ = ()

    def _parse(self, head: bytes) -> RequestHead:
        lines = self._split(head)
        first = lines.pop(0).split(
            b" "
        )  # llhttp knows the method and has checked the target's bytes
        if len(first) != 3:  # noqa: PLR2004 - method, target, version
            raise errors.BadRequestError("The request line is not 'METHOD target HTTP/1.1'")
        method, target, version = first
        minor_version = 1 if version == b"HTTP/1.1" else _minor_version(version)
        plain, noted, withheld = self._sorted(lines)
        if b"host" not in noted and minor_version == 1:
            raise errors.BadRequestError("An HTTP/1.1 request needs one Host field")
        target, authority = _resource(method, target, noted.get(b"host", b""))
        body_bytes = _request_body(noted, minor_version)
        keep_alive = minor_version == 1
        if b"connection" in noted:
            keep_alive = _persists(noted[b"connection"], minor_version)
            plain, withheld = _without_nominated(plain, noted, withheld)
        return RequestHead(
            method, target, minor_version, plain, noted, withheld, body_bytes, keep_alive, authority
        )

    def _sorted(
        self, lines: list[bytes]
    ) -> tuple[list[bytes], dict[bytes, bytes], list[tuple[bytes, bytes]]]:
        """Fields by their role: lines that go on, values we read, lines to withhold."""
        plain: list[bytes] = []
        noted: dict[bytes, bytes] = {}
        withheld: list[tuple[bytes, bytes]] = []
        for line in lines:
            role_and_name = request_role(line[: line.find(b":")])
            if role_and_name is None:
                plain.append(line)
                continue
            role, name = role_and_name
            if role is Role.UNDERSCORED:
                if self._limits.underscores:
                    plain.append(line)
                continue
            value = line[len(name) + 1 :].strip(b" \t")
            noted[name] = noted[name] + b", " + value if name in noted else value
            if role is Role.READ:
                plain.append(line)
            elif role is Role.WITHHELD:
                withheld.append((name, line))
        return plain, noted, withheld

    def _skip_empty_lines(self, data: bytes) -> bytes:
        skipped = 0
        while data.startswith(b"\r\n", skipped) and skipped < self._limits.head_bytes:
            skipped += 2
        # A lone CR at the end may become an empty line: it is kept, and judged with what follows.
        return data[skipped:] or b"\r\n"

    def _new_parser(self, judge: _Judge) -> _Parser:
        return httptools.HttpRequestParser(judge)

    def _refused(self, error: Exception, data: bytes) -> errors.ProxyError:
        why = str(error)
        if why == "Invalid method encountered" and _TOKEN_CHARACTER.match(data):
            return errors.NotImplementedMethodError("The request's method is not known here")
        if "invalid `Transfer-Encoding`" in why:
            return _unknown_coding()
        if why == "Invalid HTTP version":
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
            f"The head has more than {self._limits.head_bytes} bytes or {self._limits.fields} fields"
        )


class ResponseReader(HeadReader[ResponseHead]):
    """Answers, refused by the same rules with 502."""

    __slots__ = ("bodiless",)

    def __init__(self, limits: HeadLimits) -> None:
        super().__init__(limits)
        self.bodiless = False  # an answer to HEAD has no body whatever its fields say

    def _parse(self, head: bytes) -> ResponseHead:
        lines = self._split(head)
        first = _STATUS_LINE.fullmatch(lines[0])
        if first is None:
            raise self._malformed("The status line is not 'HTTP/1.1 200 reason'")
        minor, status_digits, reason = first.groups()
        status = int(status_digits)
        plain: list[bytes] = []
        noted: dict[bytes, bytes] = {}
        del lines[0]
        for line in lines:
            role_and_name = response_role(line[: line.find(b":")])
            if role_and_name is None:
                plain.append(line)
                continue
            role, name = role_and_name
            value = line[len(name) + 1 :].strip(b" \t")
            noted[name] = noted[name] + b", " + value if name in noted else value
            if role is Role.READ:
                plain.append(line)
        body_bytes = self._body(status, noted, minor)
        keep_alive = minor == b"1" and body_bytes != UNTIL_CLOSE
        if noted.get(b"connection", b"keep-alive") != b"keep-alive":
            nominated = fields.tokens(noted[b"connection"])
            plain = fields.without(plain, frozenset(nominated))
            keep_alive = keep_alive and b"close" not in nominated
        return ResponseHead(status, reason or b"", plain, noted, body_bytes, keep_alive)

    def _body(self, status: int, noted: dict[bytes, bytes], minor: bytes) -> int:
        """How the body is framed (RFC 9112, 6.3), where the fields agree with one another."""
        length = noted.get(b"content-length")
        if length is not None and not _is_length(length):
            raise self._malformed("Content-Length is not one number")
        coding = noted.get(b"transfer-encoding")
        if coding is not None and (coding.lower() != b"chunked" or minor == b"0" or length):
            raise self._malformed("Transfer-Encoding is not just 'chunked'")
        if self.bodiless or status in _BODILESS or status < 200:  # noqa: PLR2004 - 1xx
            return 0
        if coding is not None:
            return CHUNKED
        return int(length) if length is not None else UNTIL_CLOSE

    def _new_parser(self, judge: _Judge) -> _Parser:
        return httptools.HttpResponseParser(judge)

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
    if match[1] != b"1":
        raise errors.HttpVersionError("Only HTTP/1.0 and HTTP/1.1 are spoken here")
    return 0 if match[2] == b"0" else 1


@lru_cache(maxsize=256)  # callers name the same few hosts: 0.05 us instead of 0.4
def _is_authority(value: bytes) -> bool:
    return _AUTHORITY.fullmatch(value) is not None


def _resource(method: bytes, target: bytes, host: bytes) -> tuple[bytes, bytes]:
    """Path with query, and authority, of any form of target (RFC 9112, 3.2)."""
    if host and not _is_authority(host):
        raise errors.BadRequestError("The Host field is not one host and port")
    if b"#" in target:
        raise errors.BadRequestError("The request target holds a fragment")
    if method in {b"CONNECT", b"TRACE"}:
        name = method.decode()
        raise errors.ConnectMethodError(f"{name} is not served here", headers=(("Allow", "POST"),))
    if target[0] == 47:  # noqa: PLR2004 - a slash
        return target, host
    if target == b"*" and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise errors.BadRequestError("The request target is neither a path nor an http URL")
    authority, rest = absolute.groups()
    if host.lower() != authority.lower() or not _is_authority(authority):
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


def _persists(connection: bytes, minor_version: int) -> bool:
    options = fields.tokens(connection)
    return b"close" not in options and (minor_version == 1 or b"keep-alive" in options)


def _without_nominated(
    plain: list[bytes],
    noted: dict[bytes, bytes],
    withheld: list[tuple[bytes, bytes]],
) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """Drop what `Connection` nominates (RFC 9110, 7.6.1), but for what frames the message."""
    nominated = frozenset(fields.tokens(noted[b"connection"])) - _NEVER_NOMINATED
    if not nominated:
        return plain, withheld
    for name in nominated:
        noted.pop(name, None)
    return (
        fields.without(plain, nominated),
        [(name, line) for name, line in withheld if name not in nominated],
    )


_NEVER_NOMINATED: Final = fields.HOP_BY_HOP | {b"close", b"content-length", b"host"}
