"""Generators: what depends on something else, by the registry and by what upstreams say themselves.

Where both speak of one, the registry holds: it is what calls are checked against. Knows nothing of
how an upstream's document came here.
"""

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Final, NamedTuple

from msgspec.structs import replace

from proxy.control_plane.catalog import Pauses, encoded, in_order
from proxy.control_plane.upstream_documents import Generator
from proxy.policy.grants import Visitor
from proxy.registry.model import Dependencies
from proxy.registry.snapshot import LiveTool

_NONE: Final = Dependencies()
_UNTOLD: Final = Generator(source="registry")
_LOOKED_AT_AT_ONCE: Final = 200


class Entry(NamedTuple):
    """One generator: a tool, what its server says of it, or both."""

    name: str
    tool: LiveTool | None
    told: Generator

    def row(self, *, live: bool) -> bytes:
        """Its name and what is said of it, as they stand in a JSON object."""
        stated = None if self.tool is None else stated_of(self.tool)
        dependencies = self.told.upstream_dependencies if stated is None else stated
        said: dict[str, object] = {
            "type": self.told.type or self.name,
            "status": self.told.status if stated is None else stated.stability,
            "source": self.told.source,
            "upstream_dependencies": _written(dependencies),
        }
        if live:
            said["available"] = self.told.available and not (self.tool and self.tool.missing)
        return encoded(self.name) + b":" + encoded(said)


def stated_of(tool: LiveTool) -> Dependencies | None:
    """What the registry says that a tool depends on; None: nothing is said."""
    own, servers = tool.spec.upstream_dependencies, tool.server.spec.upstream_dependencies
    if own is None:
        return None if servers == _NONE else servers
    needed = dict.fromkeys((*servers.credentials_required, *own.credentials_required))
    return replace(own, credentials_required=tuple(needed))  # a call needs both


async def entries_of(
    namespace: str, tools: Sequence[LiveTool], told: Mapping[str, Generator], visitor: Visitor
) -> list[Entry]:
    """Those of one server that the visitor may call, by name; `tools` are those they may call."""
    pauses = Pauses()
    found: dict[str, Entry] = {}
    for number, tool in enumerate(tools):
        if tool.spec.name in told or stated_of(tool) is not None:
            found[tool.name] = Entry(tool.name, tool, told.get(tool.spec.name, _UNTOLD))
        if not number % _LOOKED_AT_AT_ONCE:
            await pauses.pause()
    for short, generator in told.items():
        name = f"{namespace}.{short}"
        if name not in found and visitor.may_call(name.encode()):
            found[name] = Entry(name, None, generator)
    return await in_order(tuple(found.values()), attrgetter("name"))


def _written(dependencies: Dependencies | None) -> dict[str, object] | None:
    """As chora-compose writes them; None: there are none."""
    if dependencies is None or replace(dependencies, stability=_NONE.stability) == _NONE:
        return None
    latency = dependencies.expected_latency_ms
    expected = {"p50": latency.p50, "p95": latency.p95} if latency else {}
    return {
        "services": dependencies.services,
        "credentials_required": dependencies.credentials_required,
        "optional_services": dependencies.optional_services,
        # What is not known is left out: readers take twice p95 for a time limit.
        "expected_latency_ms": {
            key: int(ms) if ms.is_integer() else ms
            for key, ms in expected.items()
            if ms is not None
        },
        "stability": dependencies.stability,
        "concurrency_safe": dependencies.concurrency_safe,
    }
