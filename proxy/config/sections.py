"""The sections of the settings: each key with its type, its default and what it may be.

Knows shapes and defaults. Does not know where a value came from, nor what anybody does with it.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

from msgspec import Struct, field

from proxy.config.shape import (
    Bytes,
    Count,
    PositiveBytes,
    PositiveSeconds,
    Seconds,
    UnfitError,
    between,
    duration_s,
    kind_of,
    number,
    text,
    whole,
)

_VISIBLE: Final = re.compile(r"[!-~]+")
_HTTP_URL: Final = re.compile(r"https?://[!-~]+")
_REDIS_URL: Final = re.compile(r"(rediss?|unix)://[!-~]+")
_SOURCE_URL: Final = re.compile(r"(https?|rediss?)://[!-~]+")
# Letters, digits, `.`, `_` and `-`; one name, or a client's and a profile's.
_PROFILE: Final = re.compile(
    r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,63})?"
)
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]+")


def each(read: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
    """A list of strings, or one alone: `TOOLPROXY_ALLOWED_HOSTS=example.com`."""

    def read_each(value: object) -> tuple[str, ...]:
        if not isinstance(value, str | list):
            raise TypeError(f"expected a list of strings, got {kind_of(value)}")
        return tuple(read(item) for item in ([value] if isinstance(value, str) else value))

    return read_each


def _named(value: object) -> str:
    name = text(value)
    if not _VISIBLE.fullmatch(name):
        raise ValueError("expected visible characters only")
    return name


def network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(text(value)))
    except ValueError as error:
        raise ValueError(f"expected a network such as 10.0.0.0/8: {error}") from None


def _denial(value: object) -> str:
    denied = text(value)
    return denied if denied.startswith("unix:/") else network(denied)


def _origin(value: object) -> str:
    origin = text(value).lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("expected an origin such as https://example.com, or *")
    return origin


def file_path(value: object) -> str:
    path = text(value)
    if not path or not path.isprintable():
        raise ValueError("expected the path of a file")
    return path


def or_nothing(read: Callable[[object], str]) -> Callable[[object], str]:
    """What `read` gives, or an empty string: it is off."""
    return lambda value: "" if value == "" else read(value)


def http_url(value: object) -> str:
    url = text(value)
    if not _HTTP_URL.fullmatch(url):
        raise ValueError("expected a URL such as http://collector:4318")
    return url


def redis_url(value: object) -> str:
    url = text(value)
    if not _REDIS_URL.fullmatch(url):
        raise ValueError("expected a URL such as redis://host:6379/0")
    return url


def _source_url(value: object) -> str:
    url = text(value)
    if not _SOURCE_URL.fullmatch(url):
        raise ValueError("expected https://…, or redis://host:6379/0/key")
    return url


def _profile(value: object) -> str:
    name = text(value)
    if not _PROFILE.fullmatch(name):
        raise ValueError("expected a profile such as default or fleet/prod")
    return name


Names = Annotated[tuple[str, ...], each(_named)]


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """Where the registry is and how it is taken; `url`, where there is one, stands over `path`."""

    path: Annotated[str, _named] = "/app/config/registry.yaml"
    url: Annotated[str, or_nothing(_source_url)] = ""
    poll_interval_s: PositiveSeconds = field(name="poll_interval", default=60.0)
    strict: bool = False
    store: Annotated[str, or_nothing(file_path)] = "var/registry"
    require_signature: bool = False
    trusted_keys: Annotated[str, or_nothing(file_path)] = ""
    profile: Annotated[str, _profile] = "default"
    min_version: Annotated[int, between(0, 2**53 - 1, whole)] = 0
    on_breaking: Literal["accept", "reject", "hold"] = "accept"
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.insecure and self.require_signature:
            raise UnfitError("cannot go together with require_signature", key="insecure")
        if self.needs_signature and not self.trusted_keys:
            why = "a registry from elsewhere must be signed" if self.url else "require_signature"
            raise UnfitError(f"is needed: {why}", key="trusted_keys")

    @property
    def needs_signature(self) -> bool:
        """May only what is signed be in force?"""
        return self.require_signature or bool(self.url and not self.insecure)


class Limits(Struct, frozen=True, kw_only=True):
    """What one caller may ask of us."""

    request_line_bytes: PositiveBytes = field(name="request_line", default=8 * 1024)
    head_bytes: PositiveBytes = field(name="head", default=32 * 1024)
    fields: Count = 128
    head_timeout_s: PositiveSeconds = field(name="head_timeout", default=10.0)
    idle_s: PositiveSeconds = field(name="idle", default=75.0)
    connections: Count = 10_000
    read_buffer_bytes: PositiveBytes = field(name="read_buffer", default=64 * 1024)
    high_water_bytes: PositiveBytes = field(name="high_water", default=256 * 1024)
    low_water_bytes: Bytes = field(name="low_water", default=64 * 1024)

    def __post_init__(self) -> None:
        if self.low_water_bytes > self.high_water_bytes:
            raise UnfitError("must not be above high_water", key="low_water")


class Cors(Struct, frozen=True, kw_only=True):
    """Which pages elsewhere may call; `headers` empty allows any that is asked for."""

    origins: Annotated[tuple[str, ...], each(_origin)] = ()
    headers: Names = ()
    credentials: bool = False
    max_age_s: Seconds = field(name="max_age", default=600.0)

    def __post_init__(self) -> None:
        if self.credentials and "*" in self.origins:
            raise UnfitError("cannot go together with the origin *", key="credentials")


class Secrets(Struct, frozen=True, kw_only=True):
    """What of the sidecar's secrets the registry may name: variables (or globs), one folder."""

    env: Names = ()
    dir: Annotated[str, _named] = "/run/secrets"

    def __post_init__(self) -> None:
        if not self.dir.startswith("/"):
            raise UnfitError("must be an absolute path", key="dir")


class Upstreams(Struct, frozen=True, kw_only=True):
    """Where no endpoint may lie: networks, and `unix:` paths with all below them."""

    deny: Annotated[tuple[str, ...], each(_denial)] = (
        "169.254.0.0/16",
        "fe80::/10",
        "unix:/run/docker.sock",
        "unix:/var/run/docker.sock",
        "unix:/run/containerd",
    )


UpToAMillion = Annotated[int, between(1, 1_000_000, whole)]


class Events(Struct, frozen=True, kw_only=True):
    """How many events are kept, and for whom; what is empty is off."""

    ring: UpToAMillion = 10_000
    max_subscribers: UpToAMillion = 10_000
    queue: UpToAMillion = 1_000
    queue_bytes: PositiveBytes = 1024 * 1024
    keepalive_s: Annotated[float, between(0.1, 3_600, duration_s)] = field(
        name="keepalive", default=15.0
    )
    journal: Annotated[str, or_nothing(file_path)] = ""
    journal_size_bytes: PositiveBytes = field(name="journal_size", default=10 * 1024 * 1024)
    journal_keep: Annotated[int, between(0, 1_000, whole)] = 5
    tail: Annotated[tuple[str, ...], each(file_path)] = ()
    bus: Annotated[str, or_nothing(redis_url)] = ""


class Tracing(Struct, frozen=True, kw_only=True):
    """Where spans go, and which part of the traces that begin here."""

    otlp: Annotated[str, or_nothing(http_url)] = ""
    sample: Annotated[float, between(0, 1, number)] = 1.0
