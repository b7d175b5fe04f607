"""The settings of listeners: where callers come in, and by which rules of a connection.

Knows addresses and shapes. Does not know how anything is opened, nor what a certificate says.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

from msgspec import Struct

from proxy.config.document import Path, Problem
from proxy.config.sections import file_path, or_nothing
from proxy.config.shape import UnfitError, UnfitPartsError, between, fit, text, whole

_MAX_PORT: Final = 65535
_UNIX: Final = "unix:"
_MOST_PATH_BYTES: Final = 107  # sockaddr_un(7), less the byte that ends it
_TCP: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_MOST_WORKERS: Final = 256


class Tcp(Struct, frozen=True):
    """A host and a port; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Unix(Struct, frozen=True):
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return _UNIX + self.path


def tcp_of(value: object) -> Tcp:
    match = _TCP.fullmatch(text(value))
    if match is None:
        raise ValueError("expected host:port, as in 0.0.0.0:8080 or [::1]:8080")
    six, host, port = match.groups()
    if int(port) > _MAX_PORT:
        raise ValueError(f"a port is at most {_MAX_PORT}")
    if six is not None:
        try:
            ipaddress.IPv6Address(six)
        except ValueError:
            raise ValueError("expected an IPv6 address between the brackets") from None
    return Tcp(six or host, int(port))


def address_of(value: object) -> Tcp | Unix:
    """`host:port`, or `unix:` and an absolute path."""
    written = text(value)
    if not is_unix(written):
        return tcp_of(written)
    path = written.removeprefix(_UNIX)
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueError("expected unix: and an absolute path, as in unix:/run/toolproxy.sock")
    if len(path.encode()) > _MOST_PATH_BYTES:
        raise ValueError(f"the path of a socket has at most {_MOST_PATH_BYTES} bytes")
    return Unix(path)


def is_unix(written: object) -> bool:
    """Is it meant to be a socket in the file system?"""
    return isinstance(written, str) and written.startswith(_UNIX)


class Certificate(Struct, frozen=True, kw_only=True):
    """Two files: a certificate with those that vouch for it behind, and its key."""

    cert: Annotated[str, file_path]
    key: Annotated[str, file_path]


class Tls(Struct, frozen=True, kw_only=True):
    """What we show to callers, and what we ask of them.

    One certificate as `cert` and `key`, or several as `certificates`: then the name that a caller
    asks for chooses, and the first is for all others.
    """

    cert: Annotated[str, or_nothing(file_path)] = ""
    key: Annotated[str, or_nothing(file_path)] = ""
    certificates: tuple[Certificate, ...] = ()
    client_ca: Annotated[str, or_nothing(file_path)] = ""
    client_certificate: Literal["required", "optional", ""] = ""  # required, with a client_ca
    min_version: Literal["1.2", "1.3"] = "1.2"

    def __post_init__(self) -> None:
        if bool(self.cert) == bool(self.certificates):
            raise UnfitError("expected cert and key, or certificates", key="cert")
        if bool(self.cert) != bool(self.key):
            raise UnfitError("required beside cert", code="MISSING_FIELD", key="key")
        if self.client_certificate and not self.client_ca:
            why = "says nothing without client_ca, whose certificates callers may show"
            raise UnfitError(why, key="client_certificate")

    @property
    def shown(self) -> tuple[Certificate, ...]:
        """All certificates; the first is the default."""
        return self.certificates or (Certificate(cert=self.cert, key=self.key),)


Serves = Literal["all", "admin", "routes"]


class Listener(Struct, frozen=True, kw_only=True):
    """One place where callers come in, and what they find there."""

    address: Annotated[Tcp | Unix, address_of]
    tls: Tls | None = None
    serves: Serves = "all"
    proxy_protocol: bool = False

    def __str__(self) -> str:
        return str(self.address)

    @property
    def scheme(self) -> str:
        return "http" if self.tls is None else "https"


def listeners_of(value: object) -> tuple[Listener, ...]:
    """One listener or a list of them, each as text or in full; raises for the first that is odd."""
    if isinstance(value, list):
        found = tuple(_one(item, (at,)) for at, item in enumerate(value))
    else:
        found = (_one(value, ()),)
    if not found:
        raise ValueError("expected at least one listener")
    if all(each.serves == "admin" for each in found):
        raise ValueError("all of them serve admin: callers have nowhere to come in")
    return found


def _one(value: object, path: Path) -> Listener:
    if not isinstance(value, dict):
        return _written(value, path)
    found, problems = fit(Listener, value, path)
    if problems:
        raise UnfitPartsError(problems)
    return found  # type: ignore[no-any-return]  # `fit` gives what it was asked for


def _written(value: object, path: Path) -> Listener:
    try:
        return Listener(address=address_of(value))
    except (TypeError, ValueError) as error:
        code = "BAD_TYPE" if isinstance(error, TypeError) else "BAD_VALUE"
        raise UnfitPartsError([Problem(path, code, str(error))]) from None


def admin_of(value: object) -> Tcp | None:
    """Where the operator comes in; `true` is the usual place, empty or `false` is nowhere."""
    if value is False or value == "":
        return None
    return tcp_of("127.0.0.1:9901" if value is True else value)


def first_tcp(value: object) -> Path:
    """Where, in what is written for `listen`, callers' first TCP address stands, or could."""
    if isinstance(value, dict):
        return ("address",)
    if not isinstance(value, list):
        return ()
    for at, item in enumerate(value):
        if not isinstance(item, dict):
            if not is_unix(item):
                return (at,)
        elif not is_unix(item.get("address")) and item.get("serves") != "admin":
            return (at, "address")
    return (len(value),)


def workers_of(value: object) -> int:
    """How many processes carry calls; 0 stands for `auto`, one for each core."""
    if value == "auto":
        return 0
    return _count(value)


_count: Final[Callable[[object], int]] = between(1, _MOST_WORKERS, whole)
Listeners = Annotated[tuple[Listener, ...], listeners_of]
Admin = Annotated[Tcp | None, admin_of]
Workers = Annotated[int, workers_of]
