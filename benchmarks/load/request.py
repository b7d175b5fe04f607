"""What is called: where it is, and the bytes of the one request that is sent to it.

Knows URLs and header lines. Knows nothing of sockets or of how often.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_PORTS: Final = {"http": 80, "https": 443}
# Methods that announce an empty body too (RFC 9110, 8.6).
_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})
_COUNTED_HERE: Final = frozenset({b"content-length", b"transfer-encoding"})

Header = tuple[bytes, bytes]


class PlanError(ValueError):
    """What was asked can't be done; its words are one sentence for who asked."""


class UnreachableError(Exception):
    """Not one connection could be opened; its words say why."""


class Target(NamedTuple):
    """Where the calls go: over TCP, or over the Unix socket at `unix_path`."""

    url: str
    host: str
    port: int
    tls: bool
    unix_path: str | None = None

    @classmethod
    def of(cls, url: str, unix_path: str | None = None) -> "Target":
        if not _PRINTABLE.fullmatch(url):
            raise PlanError(f"{url!r} is no URL: write it in ASCII, without spaces")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise PlanError(f"{url} is no URL: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise PlanError(f"{url}: expected a URL like http://host:port/path")
        if "@" in parts.netloc:
            raise PlanError("the URL names a user: give an Authorization header instead")
        default = _PORTS[parts.scheme]
        return cls(url, parts.hostname, port or default, parts.scheme == "https", unix_path)


class Request(NamedTuple):
    """One request as it is sent, again and again; `closes`: it asks for the connection's end."""

    method: bytes
    octets: bytes
    body_bytes: int
    closes: bool

    @classmethod
    def of(
        cls, target: Target, method: str | None, headers: list[Header], body: bytes
    ) -> "Request":
        named = (method or ("POST" if body else "GET")).encode("latin-1", "replace")
        if not _TOKEN.fullmatch(named) or named == b"CONNECT":
            raise PlanError(f"--method {method}: not a method that can be called")
        parts = urlsplit(target.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        given = {name.lower(): value for name, value in headers}
        ours = [(b"Host", parts.netloc.encode()), (b"User-Agent", b"toolproxy-load")]
        if body or named in _WITH_BODY:
            ours.append((b"Content-Length", b"%d" % len(body)))
        lines = [b"%b %b HTTP/1.1" % (named, path.encode())]
        lines += [b"%b: %b" % each for each in ours if each[0].lower() not in given]
        lines += [b"%b: %b" % each for each in headers]
        closes = b"close" in given.get(b"connection", b"").lower()
        return cls(named, b"\r\n".join([*lines, b"", body]), len(body), closes)


def headers_of(given: list[str]) -> list[Header]:
    """Headers from `Name: value`, or from `@file` with one of them per line."""
    lines: list[bytes] = []
    for text in given:
        octets = octets_of(text, "--header")
        lines += octets.splitlines() if text.startswith("@") else [octets]
    return [_header(line) for line in lines if line.strip()]


def octets_of(text: str, flag: str) -> bytes:
    """The text itself, or what is in the file of `@file`."""
    if not text.startswith("@"):
        return text.encode("utf-8", "surrogateescape")
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise PlanError(f"{flag} {text}: {error.strerror}") from None


def _header(line: bytes) -> Header:
    name, colon, value = line.partition(b":")
    value = value.strip(b" \t")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise PlanError(f"--header {line.decode('utf-8', 'replace')!r}: expected 'Name: value'")
    if name.lower() in _COUNTED_HERE:
        raise PlanError(f"--header {name.decode()}: the body's length is counted here")
    return name, value
