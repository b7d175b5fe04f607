"""What this sidecar can, allows and tells, in the words of its capability documents.

Knows the settings and the fixed facts. Knows nothing of tools, or of who asks.
"""

from typing import Final

from proxy.config.settings import Settings
from proxy.control_plane.sark import MOST_ROWS

_JSON: Final = "application/json"
_EVENT_STREAM: Final = "text/event-stream"
_USUAL_KEYS: Final = (
    "event_id",
    "timestamp",
    "event_type",
    "schema_version",
    "source",
    "trace_id",
    "status",
)
_MESSAGE: Final = ("message",)

DOCUMENTS: Final = (
    ("server", "What this sidecar is, can, and allows"),
    ("tools", "The tools that you may call, by server"),
    ("resources", "What can be read here"),
    ("generators", "The tools that depend on something: what they need, and are they available"),
    ("telemetry", "The events that are told, and where"),
)
_ELSEWHERE: Final = (
    ("/tools", "All tools, with how their servers are", _JSON),
    ("/health", "How the servers are", _JSON),
    ("/api/v1/servers", "Servers, page by page", _JSON),
    ("/api/v1/tools", "Tools, page by page", _JSON),
    ("/events", "What happens, as a stream", _EVENT_STREAM),
    ("/events?format=json", "What has happened", _JSON),
    ("/events/{trace_id}/summary", "What the events of a trace add up to", _JSON),
    ("/api/v1/audit/stream", "Calls and refusals, as a stream", _EVENT_STREAM),
    ("/api/v1/servers/{name}/stream", "What happens to one server, as a stream", _EVENT_STREAM),
)
RESOURCES: Final[list[dict[str, str]]] = [
    *(
        {
            "uri": f"capabilities://{name}",
            "path": f"/capabilities/{name}",
            "description": said,
            "mime_type": _JSON,
        }
        for name, said in DOCUMENTS
    ),
    *(
        {"uri": path, "path": path, "description": said, "mime_type": kind}
        for path, said, kind in _ELSEWHERE
    ),
]

# By type, the keys beside the usual ones. Those of failures are there only when something failed.
EVENT_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "tool_invoked": (
        "server_name",
        "tool_name",
        "duration_ms",
        "http_status",
        "endpoint",
        "attempts",
        "request_bytes",
        "response_bytes",
        "request_id",
        "upstream_ms",
    ),
    "server_registered": ("server_name", "changes"),
    "server_unregistered": ("server_name", "changes"),
    "server_changed": ("server_name", "changes"),
    "server_health": ("server_name", "endpoint", "previous", "reason"),
    "circuit_state": ("server_name", "state", "previous", "retry_after_s"),
    "registry_reloaded": (
        "generation",
        "identity",
        "change_class",
        "reason",
        "version",
        "signed_by",
        "counts",
        "problems",
    ),
    "registry_rejected": ("generation", "identity", "change_class", "problems", "codes"),
    "config_retrieval_started": ("client_id", "profile_id"),
    "config_retrieval_completed": ("client_id", "profile_id", "artifact_id"),
    "config_retrieval_failed": ("client_id", "profile_id"),
    "authorization_denied": ("subject", "tool_name", "reason", "count"),
    "gateway_started": _MESSAGE,
    "gateway_draining": _MESSAGE,
    "gateway_stopped": _MESSAGE,
    "error": _MESSAGE,
}
TELEMETRY: Final[dict[str, object]] = {
    "schema_version": "1.0",
    "usual_keys": _USUAL_KEYS,
    "keys_of_failures": ("error_code", "error_message"),
    "event_types": {kind: {"keys": keys} for kind, keys in EVENT_KEYS.items()},
    "statuses": {
        "usual": ("success", "failure"),
        "server_health": ("healthy", "unhealthy", "unreachable", "unknown"),
    },
    "formats": (_EVENT_STREAM, _JSON),
    "filters": ("types", "server", "trace_id", "status", "since", "limit", "last_event_id"),
    "endpoints": {
        "stream": "/events",
        "list": "/events?format=json",
        "summary": "/events/{trace_id}/summary",
        "audit": "/api/v1/audit/stream",
        "server": "/api/v1/servers/{name}/stream",
        "metrics": "/metrics",
    },
    "trace_header": "X-Chora-Trace-Id",
}


def features_of(settings: Settings, *, passthrough: bool, rated: bool) -> dict[str, bool]:
    """What is switched on; `rated` when a limit of the registry's holds, beside the settings'."""
    auth, events = settings.auth, settings.events
    return {
        "routing": True,
        "load_balancing": True,
        "health_checks": True,
        "retries": True,
        "circuit_breaker": True,
        "outlier_ejection": True,
        "hot_reload": True,
        "capability_discovery": True,
        "credential_checks": True,
        "idempotency": True,
        "event_stream": True,
        "event_queries": True,
        "metrics": True,
        "passthrough": passthrough,
        "authentication": auth.on,
        "policy": settings.policy.opa is not None,
        "rate_limits": rated
        or settings.rate.caller is not None
        or any(key.rate is not None for key in auth.api_keys),
        "shared_rate_limits": bool(settings.rate.redis),
        "admin_listener": settings.operators_apart,
        "cors": bool(settings.cors.origins),
        "event_journal": bool(events.journal),
        "event_tail": bool(events.tail),
        "event_bus": bool(events.bus),
        "access_log": bool(settings.access_log),
        "tracing": bool(settings.tracing.otlp),
    }


def limits_of(settings: Settings) -> dict[str, float]:
    """What a caller may ask of this sidecar."""
    limits, events = settings.limits, settings.events
    return {
        "max_request_line_bytes": limits.request_line_bytes,
        "max_head_bytes": limits.head_bytes,
        "max_header_fields": limits.fields,
        "max_connections": limits.connections,
        "max_timeout_seconds": settings.max_timeout_s,
        "max_page_rows": MOST_ROWS,
        "max_event_subscribers": events.max_subscribers,
        "events_kept": events.ring,
    }
