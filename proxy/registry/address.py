"""An endpoint's address: where does it lie, and may the sidecar go there?

Knows URLs and what is denied. Knows nothing of servers, or of what names resolve to.
"""

import ipaddress
import os
import posixpath
import re
from typing import Annotated, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from proxy.config.shape import Count, UnfitError, fit, text

_MAX_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(
    r"([Hh][Tt][Tt][Pp][Ss]?)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?"
)
_HAS_PASSWORD: Final = re.compile(r"[A-Za-z+]*://[^/]*@")
# What a resolver takes for an IPv4 address, in any of its spellings: 2130706433, 0x7f.1, 127.1.
_ENDS_IN_A_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_OF_THIS_MACHINE: Final = re.compile(r"(?:.*\.)?localhost\.?")  # RFC 6761, 6.3
_PATH: Final = re.compile(r"/[!-~]*")
# Somebody behind us may decode once more than we do, and drop what follows a semicolon.
_ESCAPE: Final = re.compile(r"%(?:25)*(?:2e|2f|5c)|\\|/\.{1,2}(?:;[^/]*)?(?=/|$)", re.IGNORECASE)


class Address(Struct, frozen=True, kw_only=True, gc=False):
    """One place to send to; `url` is its canonical text, always with the port."""

    url: str
    scheme: Literal["http", "https", "unix"]
    host: str = ""
    port: int = 0
    socket: str = ""
    base: str = ""  # in front of every path, without a slash at its end
    weight: int = 1
    backup: bool = False  # gets calls only while none of the others can


class _Treated(Struct, kw_only=True):
    url: Annotated[str, text]
    weight: Count = 1
    backup: bool = False


def read_endpoint(value: object) -> Address:
    """A URL, or `{url, weight, backup}`."""
    if not isinstance(value, dict):
        return parse_address(text(value))
    treated, problems = fit(_Treated, value)
    if treated is None:
        first = problems[0]
        raise UnfitError(first.message, code=first.code, key=str(first.path[0]))
    return replace(parse_address(treated.url), weight=treated.weight, backup=treated.backup)


def read_health_url(value: object) -> str:
    """A URL as it was written; it may have a query."""
    url = text(value)
    parse_address(url.partition("?")[0])
    if "#" in url or not url.isprintable() or " " in url:
        raise _bad("a URL here has no fragment and no spaces")
    return url


def parse_address(url: str) -> Address:
    """`http://host[:port][/base]`, https likewise, or `unix:/path.sock[:/base]`."""
    if url.startswith("unix:"):
        return _parse_unix(url.removeprefix("unix:"))
    if _HAS_PASSWORD.match(url):
        raise _bad("a URL must not hold a user or a password; use inject_headers")
    match = _URL.match(url)
    if match is None:
        raise _bad("expected http://host:port, https://host:port or unix:/path.sock")
    scheme, six, name, port = match.groups()
    scheme = scheme.lower()
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    if not 1 <= number <= _MAX_PORT:
        raise _bad(f"a port lies between 1 and {_MAX_PORT}")
    host = _six(six) if six else _host(name)
    base = _base(url[match.end() :])
    shown = f"[{host}]" if six else host
    return Address(
        url=f"{scheme}://{shown}:{number}{base}",
        scheme="https" if scheme == "https" else "http",
        host=host,
        port=number,
        base=base,
    )


def clean_path(path: str) -> str:
    """A path that can mean one thing only; ValueError for any other."""
    if not _PATH.fullmatch(path):
        raise ValueError("expected a path that starts with / and has visible ASCII only")
    if "?" in path or "#" in path:
        raise ValueError("a path has neither query nor fragment")
    if _ESCAPE.search(path):
        raise ValueError("a path has no dot segments, backslashes or encoded slashes")
    return path


def is_denied(address: Address, deny: tuple[str, ...]) -> bool:
    """Does it lie in a denied network, or at or below a denied `unix:` path?"""
    if address.scheme == "unix":
        return _is_denied_socket(address.socket, deny)
    return _is_ip(address.host) and is_denied_ip(address.host, deny)


def is_denied_ip(ip: str, deny: tuple[str, ...]) -> bool:
    """Does this IP address lie in a denied network?"""
    known = ipaddress.ip_address(ip)
    known = getattr(known, "ipv4_mapped", None) or known
    return any(known in ipaddress.ip_network(net) for net in deny if not net.startswith("unix:"))


def is_name(address: Address) -> bool:
    """Must somebody be asked what it stands for?

    Names of this machine are not: they stand for it, and the kernel tries both of its addresses.
    """
    here = address.scheme == "unix" or _OF_THIS_MACHINE.fullmatch(address.host)
    return not here and not _is_ip(address.host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_denied_socket(socket: str, deny: tuple[str, ...]) -> bool:
    # Also as the file system has it: /var/run is a link to /run nearly everywhere.
    spellings = {socket, os.path.realpath(socket)}
    for entry in deny:
        if entry.startswith("unix:"):
            denied = _normal(entry.removeprefix("unix:"))
            if any(path == denied or path.startswith(denied + "/") for path in spellings):
                return True
    return False


def _parse_unix(rest: str) -> Address:
    socket, colon, base = rest.partition(":")
    if not socket.startswith("/") or not _PATH.fullmatch(socket):
        raise _bad("expected unix:/path.sock")
    if colon and not base.startswith("/"):
        raise _bad("what follows the socket is a path, as in unix:/path.sock:/base")
    socket, base = _normal(socket), _base(base)
    url = f"unix:{socket}:{base}" if base else f"unix:{socket}"
    return Address(url=url, scheme="unix", socket=socket, base=base)


def _normal(path: str) -> str:
    return "/" + posixpath.normpath(path).lstrip(
        "/"
    )  # POSIX lets normpath keep two leading slashes


def _six(host: str) -> str:
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError:
        raise _bad("expected an IPv6 address between the brackets") from None


def _host(name: str) -> str:
    host = name.lower()
    if not _ENDS_IN_A_NUMBER.fullmatch(host):
        return host
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise _bad("a host of numbers must be an IPv4 address in its usual form") from None


def _base(path: str) -> str:
    if path in {"", "/"}:
        return ""
    try:
        return clean_path(path).rstrip("/")
    except ValueError as error:
        raise _bad(str(error)) from None


def _bad(message: str) -> UnfitError:
    return UnfitError(message, code="BAD_URL")
