"""What a server's entry says between its lines.

Knows one entry. Knows nothing of what runs.
"""

from typing import Final

from proxy.policy.retry import REUSED_RESET
from proxy.registry.model import Dependencies, Server, Tool
from proxy.wire.affinity import Affinity

_DEFAULT_TIMEOUT_S: Final = 30.0
_SENSITIVE: Final = frozenset({"high", "critical"})


def guard_of(spec: Server) -> str:
    """Why passthrough would go round a rule per tool; empty when nothing does."""
    for tool in spec.tools:
        dependencies = tool.upstream_dependencies or spec.upstream_dependencies
        if (tool.sensitivity_level or spec.sensitivity_level) in _SENSITIVE:
            return f"the sensitivity of {tool.name} is high"
        if dependencies.credentials_required or spec.upstream_dependencies.credentials_required:
            return f"{tool.name} needs credentials"
        if tool.rate is not None or spec.rate is not None:
            return f"{tool.name} has a rate limit"
    return "the server is for certain teams" if spec.authorized_teams else ""


def looks_around(spec: Server) -> bool:
    """Does the server depend on what may change without the registry changing?"""
    return bool(
        spec.inject_headers
        or spec.upstream_dependencies.credentials_required
        or any(tool.upstream_dependencies for tool in spec.tools)
    )


def opened(spec: Server) -> bool | tuple[bytes, ...]:
    """What can be asked for beside the tools: nothing, everything, or what begins with these."""
    if isinstance(spec.passthrough, bool):
        return spec.passthrough
    return tuple(prefix.encode() for prefix in spec.passthrough)


def takes_turns(tool: Tool) -> bool:
    return tool.upstream_dependencies is not None and (
        not tool.upstream_dependencies.concurrency_safe
    )


def affinity_of(spec: Server) -> Affinity | None:
    key = spec.balance.key
    return Affinity(header=key.header, cookie=key.cookie, peer=key.peer) if key else None


def repeats(spec: Server, idempotent: bool) -> bool:  # noqa: FBT001 - the question itself
    """May a call that was sent be sent again? Then its body is held as it goes."""
    return idempotent and spec.retry.attempts > 1 and REUSED_RESET in spec.retry.conditions


def deadline_s(server: Server, tool: Tool | None) -> float:
    """The contract's order: the tool's, the server's, twice p95, the defaults', 30 s."""
    choices = (
        tool.timeout_s if tool else None,
        server.timeout_s,
        _twice_p95(tool.upstream_dependencies if tool else None),
        _twice_p95(server.upstream_dependencies),
        server.default_timeout_s,
    )
    return next((choice for choice in choices if choice is not None), _DEFAULT_TIMEOUT_S)


def _twice_p95(dependencies: Dependencies | None) -> float | None:
    latency = dependencies.expected_latency_ms if dependencies else None
    return 2 * latency.p95 / 1000 if latency and latency.p95 else None


def room_of(spec: Server, tool: str = "") -> tuple[str, tuple[int, int, int]]:
    """How many calls may go at once, wait, and do either: at a server, or a tool that takes turns.

    With the name of what that is said of.
    """
    limits = spec.limits
    one = tool or not spec.upstream_dependencies.concurrency_safe
    room = 1 if one else limits.max_connections, limits.max_pending, limits.max_requests
    return f"{spec.namespace}.{tool}" if tool else spec.namespace, room
