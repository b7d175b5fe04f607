"""What the gateway tells of servers, tools and events, as values.

Rows come from outside: what is missing or of the wrong type gets the default. `row` keeps all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

from proxy.client.codec import decoded, mapping

T = TypeVar("T")
D = TypeVar("D")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of the gateway (`GET /api/v1/servers`)."""

    server_id: str
    server_name: str
    server_url: str
    health_status: str = "unknown"  # healthy, unhealthy, unreachable, unknown
    tools_count: int = 0
    sensitivity_level: str = "medium"  # low, medium, high, critical
    authorized_teams: list[str] = field(default_factory=list)
    access_restrictions: object = None
    created_at: str | None = None  # RFC 3339
    updated_at: str | None = None
    circuit_breaker: Mapping[str, object] = field(default_factory=dict)
    endpoints: list[object] = field(default_factory=list)
    row: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Self:
        return cls(
            server_id=_as(str, row, "server_id", ""),
            server_name=_as(str, row, "server_name", ""),
            server_url=_as(str, row, "server_url", ""),
            health_status=_as(str, row, "health_status", "unknown"),
            tools_count=_as(int, row, "tools_count", 0),
            sensitivity_level=_as(str, row, "sensitivity_level", "medium"),
            authorized_teams=_texts(row, "authorized_teams"),
            access_restrictions=row.get("access_restrictions"),
            created_at=_as(str, row, "created_at", None),
            updated_at=_as(str, row, "updated_at", None),
            circuit_breaker=mapping(row.get("circuit_breaker")),
            endpoints=_as(list, row, "endpoints", []),
            row=row,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool (`GET /api/v1/tools`). `parameters` is a list of `{name, type, required}`."""

    tool_name: str
    server_name: str
    description: str = ""
    sensitivity_level: str = "medium"
    parameters: list[dict[str, object]] = field(default_factory=list)
    sensitive_params: list[str] = field(default_factory=list)
    required_capabilities: list[str] = field(default_factory=list)
    input_schema: Mapping[str, object] = field(default_factory=dict)
    available: bool = True  # false while the gateway misses a credential for it
    missing_credentials: list[str] = field(default_factory=list)  # their names
    row: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, row: Mapping[str, object]) -> Self:
        return cls(
            tool_name=_as(str, row, "tool_name", ""),
            server_name=_as(str, row, "server_name", ""),
            description=_as(str, row, "description", ""),
            sensitivity_level=_as(str, row, "sensitivity_level", "medium"),
            parameters=[mapping(each) for each in _as(list, row, "parameters", [])],
            sensitive_params=_texts(row, "sensitive_params"),
            required_capabilities=_texts(row, "required_capabilities"),
            input_schema=mapping(row.get("input_schema")),
            available=_as(bool, row, "available", True),  # noqa: FBT003 - a default, by its key
            missing_credentials=_texts(row, "missing_credentials"),
            row=row,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One message of an event stream. `data` is its text: a JSON document, for the gateway's.

    >>> Event("tool_invoked", '{"tool_name": "echo"}', "k3v9-1").document
    {'tool_name': 'echo'}
    """

    event_type: str
    data: str
    event_id: str = ""

    @property
    def document(self) -> dict[str, object]:
        """`data` decoded; raises `ValueError` where it is no JSON, and is empty for no object."""
        return mapping(decoded(self.data))


def _as(kind: type[T], row: Mapping[str, object], key: str, default: D) -> T | D:
    value = row.get(key)
    return value if isinstance(value, kind) else default


def _texts(row: Mapping[str, object], key: str) -> list[str]:
    return [each for each in _as(list, row, key, []) if isinstance(each, str)]
