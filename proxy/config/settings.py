"""Settings: what did the operator set, in file, environment and flags, and what holds otherwise?

Knows every key, its default and its type. Does not know what anybody does with it.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

from msgspec import Struct, field

from proxy.config.access import Auth, Limited, Policy, Rates
from proxy.config.document import (
    Document,
    DocumentError,
    Finding,
    FindingsError,
    Path,
    Problem,
    read_document,
)
from proxy.config.listeners import (
    Admin,
    Listener,
    Listeners,
    Tcp,
    Workers,
    first_tcp,
    is_unix,
    tcp_of,
)
from proxy.config.routes import Routes
from proxy.config.sections import (
    Cors,
    Events,
    Limits,
    Names,
    RegistrySettings,
    Secrets,
    Tracing,
    Upstreams,
    each,
    file_path,
    network,
    or_nothing,
)
from proxy.config.shape import (
    PlainMapping,
    PositiveSeconds,
    Seconds,
    UnfitError,
    fit,
    kind_of,
)


class SettingsError(FindingsError):
    """The settings cannot be used; one line for each thing that is wrong."""


_EVERYWHERE: Final = Tcp("0.0.0.0", 8080)  # noqa: S104 - a sidecar serves its pod


_EVERYBODYS: Final = frozenset({"/events", "/health", "/livez", "/readyz", "/tools"})
_OPERATORS: Final = frozenset({"/", "/metrics", "/registry"})


class Settings(Struct, frozen=True, kw_only=True):
    """All that an operator may set, with what holds when nothing is said."""

    listen: Listeners = (Listener(address=_EVERYWHERE),)
    admin: Admin = None
    workers: Workers = 1  # 0: one for each core
    registry: RegistrySettings = RegistrySettings()
    health_check_interval_s: PositiveSeconds = field(name="health_check_interval", default=60.0)
    defaults: PlainMapping = field(default_factory=dict)
    max_timeout_s: PositiveSeconds = field(name="max_timeout", default=600.0)
    limits: Limits = Limits()
    half_close: bool = False
    underscores: Literal["drop", "allow"] = "drop"
    allowed_hosts: Names = ()  # empty: any
    trusted_proxies: Annotated[tuple[str, ...], each(network)] = ()
    cors: Cors = Cors()
    routes: Routes = ()
    merge_slashes: bool = False
    dot_segments: Literal["reject", "resolve"] = "reject"
    secrets: Secrets = Secrets()
    upstreams: Upstreams = Upstreams()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    auth: Auth = Auth()
    policy: Policy = Policy()
    rate: Limited = Rates()
    events: Events = Events()
    log_format: Literal["text", "json"] = "text"
    access_log: Annotated[str, or_nothing(file_path)] = ""
    access_format: Literal["combined", "json"] = "combined"
    tracing: Tracing = Tracing()
    drain_delay_s: Seconds = field(name="drain_delay", default=0.0)
    drain_timeout_s: Seconds = field(name="drain_timeout", default=25.0)

    def __post_init__(self) -> None:
        asks = any(each.tls is not None and each.tls.client_ca for each in self.listen)
        if self.auth.certificates and not asks:
            raise UnfitError("nobody is asked for one: no listener has tls.client_ca", key="auth")

    @property
    def workers_wanted(self) -> int:
        """How many carry calls: as said, or one for each core that we may use."""
        return self.workers or len(os.sched_getaffinity(0))

    @property
    def ports(self) -> frozenset[int]:
        """Of all listeners; none where they are not known before a start."""
        addresses = [listener.address for _, listener in self.listeners]
        ports = frozenset(each.port if isinstance(each, Tcp) else 0 for each in addresses)
        return ports if all(ports) else frozenset()

    @property
    def kept_paths(self) -> frozenset[str]:
        """What no listener leaves to routes, of the paths that people give to routes."""
        public = [listener for _, listener in self.listeners if listener.serves != "admin"]
        if any(listener.serves == "routes" for listener in public):
            return frozenset()
        return _EVERYBODYS if self.operators_apart else _EVERYBODYS | _OPERATORS

    @property
    def listeners(self) -> tuple[tuple[str, Listener], ...]:
        """All of them, each with its key."""
        alone = len(self.listen) == 1
        named = [("listen" if alone else f"listen[{at}]", it) for at, it in enumerate(self.listen)]
        if self.admin is not None:
            named.append(("admin", Listener(address=self.admin, serves="admin")))
        return tuple(named)

    @property
    def operators_apart(self) -> bool:
        """Have operators a listener of their own?"""
        return any(listener.serves == "admin" for _, listener in self.listeners)


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
    for said, value, origin in (*_from_environment(environ, root), *_from_flags(flags)):
        key = _aimed(root, said, value)
        origins[key] = origin
        root = _with(root, key, value)
    settings, problems = fit(Settings, root)
    problems += _emptied(root.get("auth"))
    if (
        settings is None or problems or document.findings
    ):  # an operator's own file may as well be free of traps
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
        yield _LISTEN, _relisten(root, said), ("environment", name)
    for name, value in sorted(said.items()):
        if name.startswith(_PREFIX) and not _LINK.fullmatch(f"{name}={value}"):
            key = tuple(name.removeprefix(_PREFIX).lower().split("__"))
            yield key, _parsed(value), ("environment", name)


def _aimed(root: Mapping[str, object], key: Path, value: object) -> Path:
    """A plain address given from outside is that of the first TCP listener; the others stay."""
    if key == _LISTEN and isinstance(value, str) and not is_unix(value):
        return (*_LISTEN, *first_tcp(root.get("listen")))
    return key


def _relisten(root: Mapping[str, object], said: Mapping[str, str]) -> str:
    """The address of the file, with the parts that the environment replaces."""
    written = root.get("listen")
    try:
        for step in first_tcp(written):
            written = written[step]  # type: ignore[index]  # `first_tcp` has been there
        before = tcp_of(written or str(_EVERYWHERE))
    except (LookupError, TypeError, ValueError):
        before = _EVERYWHERE
    host = said.get("HOST", before.host).strip("[]")
    port = said.get("PORT", before.port)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _from_flags(flags: Mapping[str, str]) -> Iterator[Override]:
    for name, value in flags.items():
        yield tuple(name.split(".")), _parsed(value), ("", f"--set {name}")


def _parsed(value: str) -> object:
    """A value as YAML; what is none, such as `*` or `[::1]:8080`, is text, and so is `-`."""
    if value == "-":
        return value
    try:
        return read_document(value).root
    except DocumentError:
        return value


def _with(root: object, key: Path, value: object) -> Any:
    """The mapping with one value put in, on the way down replacing what is no mapping."""
    if not key:
        return value
    if isinstance(root, list) and isinstance(key[0], int):
        before, behind = root[: key[0]], root[key[0] :]
        return [*before, _with(behind[0] if behind else None, key[1:], value), *behind[1:]]
    mapping = root if isinstance(root, dict) else {}
    return {**mapping, key[0]: _with(mapping.get(key[0]), key[1:], value)}


def _emptied(auth: object) -> list[Problem]:
    """No keys at all are likelier a template that came out empty than a wish to let all in."""
    if not isinstance(auth, dict) or any(auth.get(key) for key in _CREDENTIALS):
        return []
    why = "an empty list would let anybody call; leave the key out if that is meant"
    return [Problem(("auth", key), "BAD_VALUE", why) for key in _CREDENTIALS if auth.get(key) == []]


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
    return [*map(_discreet, document.report(in_file)), *findings]


def _discreet(finding: Finding) -> Finding:
    """What stands where a key's name belongs may be the key itself."""
    if finding.code == "UNKNOWN_KEY" and finding.path.startswith("auth."):
        above = finding.path.rpartition(".")[0]
        return replace(finding, path=above, message="unknown key")
    return finding


def _upwards(path: Path) -> Iterator[Path]:
    return (path[:end] for end in range(len(path), 0, -1))


_LISTEN: Final = ("listen",)
_CREDENTIALS: Final = ("api_keys", "certificates", "jwt")
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
