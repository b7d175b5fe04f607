"""The settings that say who may call: keys, tokens, policies, rates.

Knows shapes and defaults. Does not know what a secret is, nor who comes with one.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from msgspec import Struct, field

from proxy.config.sections import Names, file_path, http_url, redis_url
from proxy.config.shape import PerTime, PositiveSeconds, UnfitError, kind_of, rate, text
from proxy.config.units import Rate

_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
# Of the operator's own, so any variable and any file; a key itself is never written here.
_REFERENCE: Final = re.compile(r"\$\{(?:file:/[^{}]+|[A-Za-z_][A-Za-z0-9_]*)\}")
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_.@-]{1,64}")
_ALLOWED: Final = re.compile(r"\*|[A-Za-z0-9_-]{1,64}\.(\*|[A-Za-z0-9_.-]{1,128}\*?)")
# Asymmetric ones only: with a key that anybody may have, a shared secret is anybody's to use.
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


def _name(value: object) -> str:
    name = text(value)
    if not _SUBJECT.fullmatch(name):
        raise ValueError("expected 1 to 64 letters, digits, _, -, @ and dots")
    return name


def _digest(value: object) -> str:
    found = text(value)
    if not (_DIGEST.fullmatch(found) or _REFERENCE.fullmatch(found)):
        raise ValueError("expected 64 hexadecimal digits, ${file:/path} or ${NAME}")
    return found


def _reference(value: object) -> str:
    found = text(value)
    if not _REFERENCE.fullmatch(found):
        raise ValueError("a key is never written here: name it as ${file:/path} or ${NAME}")
    return found


def _allowed(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list of tools, got {kind_of(value)}")
    for each in value:
        if not _ALLOWED.fullmatch(text(each)):
            raise ValueError("expected ns.tool, ns.* or *, as in [manifest.*]")
    return tuple(value)


def _certified(value: object) -> str:
    name = text(value)
    if not name.isascii() or not name.isprintable():
        raise ValueError("expected a name as RFC 4514 writes it: other letters as \\C3\\A9")
    return name


def _path(value: object) -> str:
    path = text(value)
    if not re.fullmatch(r"/[!-~]*", path) or "?" in path or "#" in path:
        raise ValueError("expected a path such as /v1/data/mcp/allow")
    return path


def _limits(value: object) -> "Rates":
    if isinstance(value, dict):
        caller, redis = value.get("caller"), value.get("redis")
        for key in value:
            if key not in {"caller", "redis"}:
                raise UnfitError("unknown key", code="UNKNOWN_KEY", key=str(key))
        return Rates(rate(caller) if caller else None, redis_url(redis) if redis else "")
    if isinstance(value, str) and "://" in value:
        return Rates(redis=redis_url(value))
    return Rates(rate(value))


class ApiKey(Struct, frozen=True, kw_only=True):
    """An application that may call: what it shows, and what it may do.

    `sha256` is the digest of its key in hexadecimal digits (or where that is); `key` says where the
    key itself is. One of the two is given.
    """

    name: Annotated[str, _name]
    sha256: Annotated[str, _digest] = ""
    key: Annotated[str, _reference] = ""
    allow: Annotated[tuple[str, ...], _allowed] = ("*",)
    teams: Names = ()
    rate: PerTime | None = None
    admin: bool = False

    def __post_init__(self) -> None:
        if bool(self.sha256) == bool(self.key):
            raise UnfitError("expected sha256 or key, and not both", key="sha256")


class CertificateHolder(Struct, frozen=True, kw_only=True):
    """An application that is known by the certificate of its connection, and what it may do.

    `subject` is the whole name, as in `CN=billing,O=example` (RFC 4514); `san` is one of the other
    names: a DNS name, a URI, an e-mail or an IP address. One of the two is given.
    """

    name: Annotated[str, _name]
    subject: Annotated[str, _certified] = ""
    san: Annotated[str, _certified] = ""
    allow: Annotated[tuple[str, ...], _allowed] = ("*",)
    teams: Names = ()
    rate: PerTime | None = None
    admin: bool = False

    def __post_init__(self) -> None:
        if bool(self.subject) == bool(self.san):
            raise UnfitError("expected subject or san, and not both", key="subject")


class Jwt(Struct, frozen=True, kw_only=True):
    """Whose tokens are believed, and what in them says who somebody is."""

    jwks_url: Annotated[str, http_url] = ""
    key_file: Annotated[str, file_path] = ""
    issuer: str = ""
    audience: Names = ()
    teams_claim: str = "teams"
    algorithms: tuple[Algorithm, ...] = ()  # none: those that fit the key

    def __post_init__(self) -> None:
        if bool(self.jwks_url) == bool(self.key_file):
            raise UnfitError("expected jwks_url or key_file, and not both", key="jwks_url")
        for key in ("issuer", "audience"):
            if not getattr(self, key):
                raise UnfitError("required, but missing", code="MISSING_FIELD", key=key)


class Auth(Struct, frozen=True, kw_only=True):
    """Who may come in; with neither keys, certificates nor tokens, anybody."""

    api_keys: tuple[ApiKey, ...] = ()
    certificates: tuple[CertificateHolder, ...] = ()
    jwt: Jwt | None = None
    # None: one of them is enough.
    require: tuple[Literal["key", "jwt", "certificate"], ...] = ()

    def __post_init__(self) -> None:
        if _repeated(each.name for each in self.api_keys):
            raise UnfitError("two keys have the same name", key="api_keys")
        if _repeated(each.name for each in self.certificates):
            raise UnfitError("two certificates have the same name", key="certificates")
        if _repeated((each.subject, each.san) for each in self.certificates):
            raise UnfitError("two applications have the same certificate", key="certificates")
        if "certificate" in self.require and not self.certificates:
            raise UnfitError("certificate is required, but certificates has none", key="require")
        if "key" in self.require and not self.api_keys:
            raise UnfitError("key is required, but api_keys has none", key="require")
        if "jwt" in self.require and self.jwt is None:
            raise UnfitError("jwt is required, but auth.jwt is not set", key="require")

    @property
    def on(self) -> bool:
        return bool(self.api_keys or self.certificates) or self.jwt is not None


def _repeated(values: Iterable[object]) -> bool:
    listed = list(values)
    return len(set(listed)) < len(listed)


class Opa(Struct, frozen=True, kw_only=True):
    """Who is asked whether a call may go, for which servers (all, unless some are named)."""

    url: Annotated[str, http_url]
    path: Annotated[str, _path] = "/v1/data/mcp/allow"
    timeout_s: PositiveSeconds = field(name="timeout", default=1.0)
    fail: Literal["closed"] = "closed"
    servers: Names = ()


class Policy(Struct, frozen=True, kw_only=True):
    """Who decides beyond what is written here."""

    opa: Opa | None = None


class Rates(Struct, frozen=True):
    """How much any one caller may ask, and where sidecars count together."""

    caller: Rate | None = None
    redis: str = ""


Limited = Annotated[Rates, _limits]
