"""A registry, edits of it as whoever writes it makes them, and how it is loaded."""

import json  # noqa: TID251 - a document as anybody writes it
from collections.abc import Generator, Iterable
from copy import deepcopy
from typing import Any, Final

from msgspec.structs import replace

from proxy.config.settings import Settings
from proxy.generations.comparison import Comparison, compare
from proxy.registry.load import LoadRules, load
from proxy.registry.model import Server

RULES: Final = replace(LoadRules.of(Settings()), secrets_env=("*",))
GONE: Final = object()
Path = tuple[str | int, ...]
Edit = tuple[Path, object]

SEARCH: Final[dict[str, Any]] = {
    "name": "search",
    "description": "Find notes",
    "method": "POST",
    "path": "/search",
    "timeout": "10s",
    "required_capabilities": ["read"],
    "sensitive_params": ["password"],
    "parameters": [
        {"name": "text", "type": "string", "required": True},
        {"name": "order", "type": "string", "enum": ["new", "old"]},
        {"name": "password", "default": "letmein"},
    ],
    "input_schema": {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "what to look for"},
            "order": {"type": "string", "enum": ["new", "old"], "default": "new"},
            "where": {
                "type": "object",
                "properties": {"folder": {"type": "string"}},
                "required": ["folder"],
            },
        },
        "required": ["text"],
    },
}
BASE: Final[dict[str, Any]] = {
    "version": "1.0",
    "defaults": {"connect_timeout": "2s"},
    "servers": [
        {
            "namespace": "notes",
            "name": "notes-server",
            "endpoints": [{"url": "http://10.0.0.5:80", "weight": 2}, "http://10.0.0.6:80"],
            "health_url": "http://10.0.0.5:80/health?key=sesame",
            "circuit": {"failures": 5},
            "forward_headers": ["authorization", "x-tenant"],
            "inject_headers": {"x-key": "Bearer ${KEY}"},
            "passthrough": ["/mcp", "/files"],
            "authorized_teams": ["red", "blue"],
            "upstream_dependencies": {"credentials_required": ["A_KEY"]},
            "access_restrictions": {"roles": ["reader"], "api_token": "sesame"},
            "tools": [SEARCH, {"name": "list"}],
        },
        {"namespace": "mail", "name": "mail", "port": 8081, "tools": [{"name": "send"}]},
    ],
}


def edited(*edits: Edit, document: dict[str, Any] = BASE) -> dict[str, Any]:
    """A copy in which other values stand at these paths, or nothing (`GONE`)."""
    copy = deepcopy(document)
    for path, value in edits:
        at: Any = copy
        for step in path[:-1]:
            at = at[step]
        if value is GONE:
            del at[path[-1]]
        elif isinstance(at, list) and path[-1] == len(at):
            at.append(value)
        else:
            at[path[-1]] = value
    return copy


def table(document: object) -> dict[str, Server]:
    """As the sidecar loads it; nothing in it may be wrong."""
    loaded = load(json.dumps(document).encode(), "registry.yaml", RULES, {"KEY": "sesame"})
    assert not loaded.quarantined, loaded.findings
    return {server.namespace: server for server in loaded.servers}


def finished(steps: Generator[None, None, Comparison]) -> Comparison:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison


def compared(old: object, new: object) -> Comparison:
    """Two documents."""
    return finished(compare(table(old), table(new)))


def paths_of(comparison: Comparison) -> list[str]:
    """What changed, with a tool's name in front."""
    return [
        ":".join(filter(None, (modified.tool, change.path)))
        for modified in comparison.modified
        for change in modified.changes
    ]


def entries_of(entries: Iterable[Any]) -> list[str]:
    return [".".join(filter(None, (entry.server, entry.tool))) for entry in entries]
