"""What a server's entry says between its lines.

Knows one entry. Knows nothing of what runs.
"""

from typing import Final

from proxy.registry.model import Server, Tool
from proxy.wire.affinity import Affinity

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


def takes_turns(tool: Tool) -> bool:
    return tool.upstream_dependencies is not None and (
        not tool.upstream_dependencies.concurrency_safe
    )


def affinity_of(spec: Server) -> Affinity | None:
    key = spec.balance.key
    return Affinity(header=key.header, cookie=key.cookie, peer=key.peer) if key else None
