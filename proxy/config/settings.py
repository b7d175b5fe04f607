"""Settings: what did the operator set, in file, environment and flags, and what holds otherwise?

Knows every key, its default and its type. Does not know what anybody does with it.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from msgspec import Struct, field

from proxy.config.document import (
    Document,
    DocumentError,
    Finding,
    FindingsError,
    Path,
    Problem,
    read_document,
)
from proxy.config.shape import (
    Bytes,
    Count,
    PlainMapping,
    PositiveBytes,
    PositiveSeconds,
    Seconds,
    UnfitError,
    fit,
    kind_of,
    text,
)


class SettingsError(FindingsError):
    """The settings cannot be used; one line for each thing that is wrong."""


def _each(read: Callable[[object], str]) -> Callable[[object], tuple[str, ...]]:
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


def _network(value: object) -> str:
    try:
        return str(ipaddress.ip_network(text(value)))
    except ValueError as error:
        raise ValueError(f"expected a network such as 10.0.0.0/8: {error}") from None


def _denial(value: object) -> str:
    denied = text(value)
    return denied if denied.startswith("unix:/") else _network(denied)


def _origin(value: object) -> str:
    origin = text(value).lower()
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise ValueError("expected an origin such as https://example.com, or *")
    return origin


class Listen(Struct, frozen=True):
    """Where callers come in; port 0 takes any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listen(value: object) -> Listen:
    match = _LISTEN.fullmatch(text(value))
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
    return Listen(six or host, int(port))


Names = Annotated[tuple[str, ...], _each(_named)]


class RegistrySettings(Struct, frozen=True, kw_only=True):
    """Where the registry is and how it is taken."""

    path: Annotated[str, _named] = "/app/config/registry.yaml"
    poll_interval_s: PositiveSeconds = field(name="poll_interval", default=60.0)
    strict: bool = False


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

    origins: Annotated[tuple[str, ...], _each(_origin)] = ()
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

    deny: Annotated[tuple[str, ...], _each(_denial)] = (
        "169.254.0.0/16",
        "fe80::/10",
        "unix:/run/docker.sock",
        "unix:/var/run/docker.sock",
        "unix:/run/containerd",
    )


class Settings(Struct, frozen=True, kw_only=True):
    """All that an operator may set, with what holds when nothing is said."""

    listen: Annotated[Listen, _listen] = Listen("0.0.0.0", 8080)  # noqa: S104  # a sidecar serves its pod
    registry: RegistrySettings = RegistrySettings()
    health_check_interval_s: PositiveSeconds = field(name="health_check_interval", default=60.0)
    defaults: PlainMapping = field(default_factory=dict)
    max_timeout_s: PositiveSeconds = field(name="max_timeout", default=600.0)
    limits: Limits = Limits()
    half_close: bool = False
    underscores: Literal["drop", "allow"] = "drop"
    allowed_hosts: Names = ()  # empty: any
    trusted_proxies: Annotated[tuple[str, ...], _each(_network)] = ()
    cors: Cors = Cors()
    secrets: Secrets = Secrets()
    upstreams: Upstreams = Upstreams()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    drain_delay_s: Seconds = field(name="drain_delay", default=0.0)
    drain_timeout_s: Seconds = field(name="drain_timeout", default=25.0)

    @property
    def host(self) -> str:
        return self.listen.host

    @property
    def port(self) -> int:
        return self.listen.port


def load_settings(
    path: str | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> Settings:
    """Flags over environment over file over defaults; SettingsError names all that is wrong.

    `flags` are dotted keys with their values as text: `{"limits.head": "64KiB"}`.
    """
    document = _file_document(path)
    root = {} if document.root is None else document.root
    if not isinstance(root, dict):
        wrong = Problem((), "BAD_TYPE", f"expected a mapping of settings, got {kind_of(root)}")
        raise SettingsError(document.report([wrong]))
    origins: dict[Path, tuple[str, str]] = {}
    for key, value, origin in (*_from_environment(environ, root), *_from_flags(flags)):
        origins[key] = origin
        root = _with(root, key, value)
    settings, problems = fit(Settings, root)
    if settings is None or document.findings:  # an operator's own file may as well be free of traps
        raise SettingsError(_findings(document, problems, origins))
    return settings  # type: ignore[no-any-return]


def _file_document(path: str | None) -> Document:
    if path is None:
        return Document({}, (), "", b"")
    try:
        return read_document(FilePath(path).read_bytes(), path)
    except OSError as error:
        why = f"cannot read {path}: {error.strerror}"
        raise SettingsError([Finding("UNREADABLE", why, "error", "", None, path)]) from None
    except DocumentError as error:
        if error.findings[0].code == "EMPTY_DOCUMENT":  # all of it commented out
            return Document({}, (), path, b"")
        raise SettingsError(error.findings) from None


Override = tuple[Path, object, tuple[str, str]]


def _from_environment(environ: Mapping[str, str], root: dict[str, object]) -> Iterator[Override]:
    said = {name: value for name, value in environ.items() if value}
    for name, key in _LEGACY.items():
        if name in said:
            yield key, said[name], ("environment", name)
    if "HOST" in said or "PORT" in said:
        name = "PORT" if "PORT" in said else "HOST"
        yield ("listen",), _relisten(root, said), ("environment", name)
    for name, value in sorted(said.items()):
        if name.startswith(_PREFIX) and not _LINK.fullmatch(f"{name}={value}"):
            key = tuple(name.removeprefix(_PREFIX).lower().split("__"))
            yield key, _parsed(value), ("environment", name)


def _relisten(root: dict[str, object], said: Mapping[str, str]) -> str:
    """The address of the file, with the parts that the environment replaces."""
    try:
        before = _listen(root.get("listen") or str(Settings().listen))
    except (TypeError, ValueError):
        before = Settings().listen
    host = said.get("HOST", before.host).strip("[]")
    port = said.get("PORT", before.port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _from_flags(flags: Mapping[str, str]) -> Iterator[Override]:
    for name, value in flags.items():
        yield tuple(name.split(".")), _parsed(value), ("", f"--set {name}")


def _parsed(value: str) -> object:
    """A value as YAML; what is none, such as `*` or `[::1]:8080`, is text."""
    try:
        return read_document(value).root
    except DocumentError:
        return value


def _with(root: object, key: Path, value: object) -> Any:
    """The mapping with one value put in, on the way down replacing what is no mapping."""
    if not key:
        return value
    mapping = root if isinstance(root, dict) else {}
    return {**mapping, key[0]: _with(mapping.get(key[0]), key[1:], value)}


def _findings(
    document: Document, problems: list[Problem], origins: Mapping[Path, tuple[str, str]]
) -> list[Finding]:
    """Each problem where it was said: in the environment, by a flag, or in the file."""
    findings = [replace(trap, severity="error") for trap in document.findings]
    in_file = []
    for problem in problems:
        origin = next((origins[at] for at in _upwards(problem.path) if at in origins), None)
        if origin is None:
            in_file.append(problem)
        else:
            file, shown = origin
            findings.append(Finding(problem.code, problem.message, "error", shown, None, file))
    return [*document.report(in_file), *findings]


def _upwards(path: Path) -> Iterator[Path]:
    return (path[:end] for end in range(len(path), 0, -1))


_MAX_PORT: Final = 65535
_PREFIX: Final = "TOOLPROXY_"
_LEGACY: Final[dict[str, Path]] = {
    "REGISTRY_PATH": ("registry", "path"),
    "POLL_INTERVAL": ("registry", "poll_interval"),
    "HEALTH_CHECK_INTERVAL": ("health_check_interval",),
}
# Kubernetes and Docker set these by themselves for services called `toolproxy` or `toolproxy-any`.
_LINK: Final = re.compile(
    r"TOOLPROXY_(\w+_)?"
    r"(SERVICE_(HOST|PORT(_\w+)?)=.*|PORT=\w+://.*|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?=.*)"
)
_VISIBLE: Final = re.compile(r"[!-~]+")
_LISTEN: Final = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
_ORIGIN: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]+")
