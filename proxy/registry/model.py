"""The registry as typed, immutable values: what is a server, and what is a tool?

Knows every key, its default and its grammar. Does not know files, secrets or other servers.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from msgspec import Struct, field
from msgspec.structs import force_setattr

from proxy.config.shape import (
    INFINITE,
    Count,
    PerTime,
    PlainMapping,
    PositiveBytes,
    PositiveSeconds,
    Seconds,
    UnfitError,
    between,
    fit,
    kind_of,
    number,
    plain,
    text,
    whole,
)
from proxy.registry.address import (
    Address,
    clean_path,
    parse_address,
    read_endpoint,
    read_health_url,
)
from proxy.wire.fields import Role, request_role

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}")
_FIELD_VALUE: Final = re.compile(r"[!-~](?:[ !-~]*[!-~])?")


def matching(pattern: str, expected: str, code: str = "BAD_VALUE") -> Callable[[object], str]:
    """Text of this grammar."""
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        found = text(value)
        if not compiled.fullmatch(found):
            raise UnfitError(f"expected {expected}", code=code)
        return found

    return read


def _path(value: object) -> str:
    return clean_path(text(value))


def _header_name(value: object) -> str:
    name = text(value).lower()
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected a header's name")
    if request_role(name.encode()) is Role.OURS:
        raise ValueError(f"{name} is the sidecar's own to set, never passed on or injected")
    return name


def _injected(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(f"expected a mapping of headers, got {kind_of(value)}")
    for name, template in value.items():
        try:
            _header_name(name)
        except ValueError as error:
            raise UnfitError(str(error), key=name) from None
        if not isinstance(template, str) or not _FIELD_VALUE.fullmatch(template):
            raise UnfitError("expected visible text", key=name)
    return {name.lower(): template for name, template in value.items()}


def _passthrough(value: object) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, list):
        raise TypeError(f"expected true, false or a list of paths, got {kind_of(value)}")
    return tuple(_path(prefix) for prefix in value)


def _balance(value: object) -> "Balance":
    if not isinstance(value, dict):
        return Balance(method=_unhashed(value))
    hashed, problems = fit(_Hashed, value)
    if hashed is None:
        raise UnfitError(problems[0].message, code=problems[0].code, key=str(problems[0].path[0]))
    return Balance(method="hash", key=hashed.hash)


Namespace = Annotated[
    str, matching(r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, _ and -", "BAD_NAME")
]
ToolName = Annotated[
    str, matching(r"[A-Za-z0-9_.-]{1,128}", "1 to 128 letters, digits, _, - and dots", "BAD_NAME")
]
ServerName = Annotated[
    str, matching(r"[!-~][ -~]{0,252}", "1 to 253 visible characters", "BAD_NAME")
]
UrlPath = Annotated[str, _path]
HeaderName = Annotated[str, _header_name]
Level = Literal["low", "medium", "high", "critical"]
Names = tuple[str, ...]
Share = Annotated[float, between(0, 1, number)]
Milliseconds = Annotated[float, between(0, INFINITE, number, above=True)]
StatusCode = Annotated[int, between(100, 599, whole)]
PortNumber = Annotated[int, between(1, 65535, whole)]
Whole = Annotated[int, between(0, INFINITE, whole)]


class HashKey(Struct, frozen=True, kw_only=True, gc=False):
    """What is hashed: a header, a cookie, or the peer's address."""

    header: HeaderName = ""
    cookie: Annotated[str, matching(_TOKEN.pattern, "a cookie's name")] = ""
    peer: bool = False

    def __post_init__(self) -> None:
        if bool(self.header) + bool(self.cookie) + self.peer != 1:
            raise ValueError("expected one of header, cookie and peer")


class _Hashed(Struct, frozen=True, kw_only=True):
    hash: HashKey


class Balance(Struct, frozen=True, kw_only=True, gc=False):
    """How an endpoint is chosen; `key` is there when `method` is `hash`."""

    method: Literal["least_request", "round_robin", "peak_ewma", "hash"] = "least_request"
    key: HashKey | None = None


class HealthCheck(Struct, frozen=True, kw_only=True, gc=False):
    """How endpoints are probed, if they are; with `expect` empty, 200 and 404 are healthy."""

    active: bool = True
    path: UrlPath = "/health"
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = "GET"
    expect: tuple[StatusCode, ...] = ()
    interval_s: PositiveSeconds | None = field(name="interval", default=None)
    fast_interval_s: PositiveSeconds = field(name="fast_interval", default=1.0)
    timeout_s: PositiveSeconds = field(name="timeout", default=2.0)
    healthy_after: Count = 2
    unhealthy_after: Count = 3


class Outlier(Struct, frozen=True, kw_only=True, gc=False):
    """When an endpoint is ejected for the answers that it gives to calls."""

    consecutive_errors: Count = 5
    base_ejection_s: PositiveSeconds = field(name="base_ejection", default=30.0)
    max_ejection_s: PositiveSeconds = field(name="max_ejection", default=300.0)
    max_ejected: Share = 0.5


class CircuitConfig(Struct, frozen=True, kw_only=True, gc=False):
    """When a server is given a rest."""

    failures: Count = 5
    open_for_s: PositiveSeconds = field(name="open_for", default=30.0)
    successes: Count = 2
    half_open_max: Count = 1


class RetryConfig(Struct, frozen=True, kw_only=True, gc=False):
    """How often one call may be tried, and after what; `attempts` counts them all."""

    attempts: Count = 2
    budget: Share = 0.2
    conditions: tuple[Literal["connect", "reused_reset"], ...] = ("connect", "reused_reset")


class ServerLimits(Struct, frozen=True, kw_only=True, gc=False):
    """How much one server is asked at once."""

    max_connections: Count = 128
    max_requests: Count = 1024
    max_pending: Whole = 256
    # Not given it is 1 s, but the deadline where calls take turns (`concurrency_safe: false`).
    queue_timeout_s: Seconds | None = field(name="queue_timeout", default=None)


class KeepAlive(Struct, frozen=True, kw_only=True, gc=False):
    """How long an idle connection is kept, and for how many requests (0: any number)."""

    idle_s: Seconds = field(name="idle", default=15.0)
    max_requests: Whole = 0


class Tls(Struct, frozen=True, kw_only=True, gc=False):
    """Files for TLS to the endpoints, and the name to ask for."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    server_name: str | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("cert and key go together")


class Latency(Struct, frozen=True, kw_only=True, gc=False):
    """How long a call is expected to take, in milliseconds."""

    p50: Milliseconds | None = None
    p95: Milliseconds | None = None


class Dependencies(Struct, frozen=True, kw_only=True, gc=False):
    """What a tool needs of the world, in chora-compose's words."""

    services: Names = ()
    credentials_required: Names = ()
    optional_services: Names = ()
    expected_latency_ms: Latency | None = None
    stability: str = "stable"
    concurrency_safe: bool = True


class Parameter(Struct, frozen=True, kw_only=True, gc=False):
    """One parameter of a tool, for those who list tools; calls are not checked against it."""

    name: str
    type: str = "string"
    required: bool = False
    description: str = ""
    default: Annotated[Any, plain] = None
    enum: tuple[Annotated[Any, plain], ...] = ()


class Tool(Struct, frozen=True, kw_only=True, gc=False):
    """One tool of a server."""

    name: ToolName
    description: str = ""
    method: Literal["POST", "GET", "PUT", "PATCH", "DELETE"] = "POST"
    path: UrlPath = ""  # becomes /tools/{name}
    timeout_s: PositiveSeconds | None = field(name="timeout", default=None)
    idempotent: bool = False
    coalesce: bool = False
    required_capabilities: Names = ()
    parameters: tuple[Parameter, ...] = ()
    input_schema: PlainMapping = field(default_factory=dict)
    sensitive_params: Names = ()
    sensitivity_level: Level | None = None
    rate: PerTime | None = None
    upstream_dependencies: Dependencies | None = None

    def __post_init__(self) -> None:
        if not self.path:
            if not self.name.strip("."):  # `.` and `..` would be dot segments
                raise UnfitError("needs a path of its own", code="BAD_NAME", key="name")
            force_setattr(self, "path", f"/tools/{self.name}")


class Server(Struct, frozen=True, kw_only=True, gc=False):
    """One server of the registry: a namespace, where it is, how it is treated, and its tools."""

    namespace: Namespace
    name: ServerName
    docker_image: str = ""
    port: PortNumber | None = None  # stands for an endpoint at the server's name
    endpoints: tuple[Annotated[Address, read_endpoint], ...] = ()
    health_url: Annotated[str, read_health_url] | None = None
    capabilities_url: Annotated[str, read_health_url] | None = None
    health: HealthCheck = HealthCheck()
    balance: Annotated[Balance, _balance] = Balance()
    outlier: Outlier = Outlier()
    circuit: CircuitConfig = CircuitConfig()
    retry: RetryConfig = RetryConfig()
    limits: ServerLimits = ServerLimits()
    timeout_s: PositiveSeconds | None = field(name="timeout", default=None)
    # Not the server's own, so it comes after what tools are expected to take (`load` puts it here).
    default_timeout_s: PositiveSeconds | None = field(name="defaults.timeout", default=None)
    connect_timeout_s: PositiveSeconds = field(name="connect_timeout", default=1.0)
    idle_timeout_s: PositiveSeconds = field(name="idle_timeout", default=60.0)
    keepalive: KeepAlive = KeepAlive()
    tls: Tls | None = None
    forward_headers: tuple[HeaderName, ...] = ()
    inject_headers: Annotated[dict[str, str], _injected] = field(default_factory=dict)
    preserve_host: bool = False
    passthrough: Annotated[bool | tuple[str, ...], _passthrough] = False
    slow_start_s: Seconds = field(name="slow_start", default=10.0)
    max_body_bytes: PositiveBytes | None = field(name="max_body", default=None)
    rate: PerTime | None = None
    access_restrictions: PlainMapping = field(default_factory=dict)
    sensitivity_level: Level = "medium"
    authorized_teams: Names = ()
    upstream_dependencies: Dependencies = Dependencies()
    tools: tuple[Tool, ...] = ()

    def __post_init__(self) -> None:
        if self.endpoints:
            return
        if self.port is None:
            raise UnfitError("port or endpoints is required", code="MISSING_FIELD", key="endpoints")
        force_setattr(self, "endpoints", (_at_port(self.name, self.port),))


def _at_port(name: str, port: int) -> Address:
    if not _HOST.fullmatch(name):
        raise UnfitError("with a port, the name must be a host's", code="BAD_NAME", key="name")
    return parse_address(f"http://{name}:{port}")


def _unhashed(value: object) -> Literal["least_request", "round_robin", "peak_ewma"]:
    match value:
        case "least_request" | "round_robin" | "peak_ewma":
            return value
        case _:
            pass
    if not isinstance(value, str):
        raise TypeError(f"expected a name or a mapping, got {kind_of(value)}")
    raise ValueError("expected least_request, round_robin, peak_ewma or {hash: …}")
