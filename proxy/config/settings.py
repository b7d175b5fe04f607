"""Settings: what did the operator set, in file, environment and flags, and what holds otherwise?

Knows every key, its default and its type. Does not know what anybody does with it.
"""

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
from proxy.config.sections import (
    Cors,
    Events,
    Limits,
    Listen,
    Names,
    RegistrySettings,
    Secrets,
    Tracing,
    Upstreams,
    admin_of,
    each,
    file_path,
    listen_of,
    network,
    or_nothing,
)
from proxy.config.shape import PlainMapping, PositiveSeconds, Seconds, fit, kind_of


class SettingsError(FindingsError):
    """The settings cannot be used; one line for each thing that is wrong."""


class Settings(Struct, frozen=True, kw_only=True):
    """All that an operator may set, with what holds when nothing is said."""

    listen: Annotated[Listen, listen_of] = Listen("0.0.0.0", 8080)  # noqa: S104  # a sidecar serves its pod
    admin: Annotated[Listen | None, admin_of] = None
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
        yield ("listen",), _relisten(root, said), ("environment", name)
    for name, value in sorted(said.items()):
        if name.startswith(_PREFIX) and not _LINK.fullmatch(f"{name}={value}"):
            key = tuple(name.removeprefix(_PREFIX).lower().split("__"))
            yield key, _parsed(value), ("environment", name)


def _relisten(root: dict[str, object], said: Mapping[str, str]) -> str:
    """The address of the file, with the parts that the environment replaces."""
    try:
        before = listen_of(root.get("listen") or str(Settings().listen))
    except (TypeError, ValueError):
        before = Settings().listen
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
    mapping = root if isinstance(root, dict) else {}
    return {**mapping, key[0]: _with(mapping.get(key[0]), key[1:], value)}


def _emptied(auth: object) -> list[Problem]:
    """No keys at all are likelier a template that came out empty than a wish to let all in."""
    if isinstance(auth, dict) and auth.get("api_keys") == [] and not auth.get("jwt"):
        why = "an empty list would let anybody call; leave the key out if that is meant"
        return [Problem(("auth", "api_keys"), "BAD_VALUE", why)]
    return []


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
