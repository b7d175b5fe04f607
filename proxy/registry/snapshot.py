"""The live table: servers and tools, and for each server the cluster of its endpoints.

A snapshot is replaced whole, never changed; a call keeps the one that it started with. A cluster
that stays keeps what was learnt and gets what was newly configured. Knows nothing of files, pools.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from proxy import errors
from proxy.policy import routing
from proxy.policy.health import Verdict
from proxy.policy.limits import Gate
from proxy.registry.address import Address
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.load import Loaded, Quarantined
from proxy.registry.model import Server, Tool
from proxy.registry.surroundings import Surroundings, filled_in, missing_credentials
from proxy.registry.traits import (
    affinity_of,
    deadline_s,
    guard_of,
    looks_around,
    opened,
    repeats,
    takes_turns,
)
from proxy.wire.forwarding import Onward


class Since(NamedTuple):
    """Since when a server is known, and its entry as it is; in seconds of the epoch."""

    created_at: float
    updated_at: float


class LiveServer:
    """One server of the registry, ready to be called."""

    def __init__(
        self, spec: Server, cluster: Cluster, injected: dict[str, str], stale: str, since: Since
    ) -> None:
        self.spec = spec
        self.since = since
        self.cluster = cluster
        self.stale = stale  # why the newest entry is not in force; empty when it is
        self.filled: dict[str, str] = {}  # what templates stood for
        self.injected = b"".join(
            f"{name}: {value}\r\n".encode("latin-1") for name, value in injected.items()
        )
        self.injected_names = frozenset(name.lower().encode() for name in spec.inject_headers)
        self.credentials = frozenset(name.encode() for name in spec.forward_headers)
        self.passthrough = opened(spec)
        self.tool_paths = frozenset(routing.plain_path(tool.path.encode()) for tool in spec.tools)
        self.guarded = guard_of(spec)
        self.affinity = affinity_of(spec)

    def __repr__(self) -> str:
        return f"<LiveServer {self.spec.namespace} {self.verdict.name}>"

    @property
    def verdict(self) -> Verdict:
        return self.cluster.verdict

    def onward(self, endpoint: Endpoint, method: bytes, path: bytes) -> Onward:
        """Where a request to this path of an endpoint goes."""
        return Onward(
            method,
            endpoint.address.base.encode() + path,
            b"Host: %b\r\n%b" % (endpoint.host, self.injected),
            self.credentials,
            self.injected_names,
        )


class LiveTool:
    """One tool, ready to be called: a `Route` that is made once."""

    __slots__ = (
        "_onward",
        "coalesce",
        "deadline_s",
        "keeps_host",
        "key",
        "max_body_bytes",
        "method",
        "missing",
        "name",
        "path",
        "repeatable",
        "serial",
        "server",
        "spec",
        "wants_object",
    )

    upgrades: Final = False

    def __init__(self, server: LiveServer, spec: Tool, missing: tuple[str, ...]) -> None:
        self.server = server
        self.spec = spec
        self.name = f"{server.spec.namespace}.{spec.name}"
        self.key = self.name.encode()  # kept, so that it is freed with the tool and not all at once
        self.method = spec.method.encode()
        self.path = spec.path.encode()
        self.deadline_s = deadline_s(server.spec, spec)
        self.repeatable = repeats(server.spec, spec.idempotent or self.method in _IDEMPOTENT)
        self.coalesce = spec.coalesce
        self.serial = server.cluster.serial_gate(spec.name) if takes_turns(spec) else None
        self.keeps_host = server.spec.preserve_host
        self.max_body_bytes = server.spec.max_body_bytes
        self.wants_object = self.method in _TAKES_A_BODY
        self.missing = missing  # names of required credentials that are not set
        self._onward: dict[str, Onward] = {}  # by address: endpoints come and go

    def __repr__(self) -> str:
        return f"<LiveTool {self.name}>"

    @property
    def tool_name(self) -> str:
        return self.spec.name

    def onward(self, endpoint: Endpoint, query: bytes) -> Onward:
        """Where a call goes; made once per address, since only the query ever differs."""
        onward = self._onward.get(endpoint.address.url)
        if onward is None:
            onward = self.server.onward(endpoint, self.method, self.path)
            same = (it.way for it in self._onward.values() if it.target == onward.target)
            onward = onward._replace(way=next(same, None) or object())
            self._onward[endpoint.address.url] = onward
        return onward._replace(target=onward.target + query, way=None) if query else onward


class Passage:
    """One request through a server's passthrough, in the same words as a `LiveTool`."""

    __slots__ = ("deadline_s", "keeps_host", "max_body_bytes", "method", "repeatable", "server")

    tool_name: Final = ""
    upgrades: Final = True  # may a request become a tunnel?
    missing: Final[tuple[str, ...]] = ()
    serial: Final[Gate | None] = None
    wants_object: Final = False
    coalesce: Final = False

    def __init__(self, server: LiveServer, method: bytes) -> None:
        self.server = server
        self.method = method
        self.keeps_host = server.spec.preserve_host
        self.max_body_bytes = server.spec.max_body_bytes
        self.deadline_s = deadline_s(server.spec, None)
        self.repeatable = repeats(server.spec, method in _IDEMPOTENT)

    @property
    def name(self) -> str:
        return self.server.spec.namespace

    def onward(self, endpoint: Endpoint, path: bytes) -> Onward:
        """Where the request goes: the path as it was sent."""
        return self.server.onward(endpoint, self.method, path)


Route = LiveTool | Passage

_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
_TAKES_A_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


class Snapshot:
    """The whole table of one generation."""

    __slots__ = (
        "generation",
        "identity",
        "quarantined",
        "rated",
        "servers",
        "shared",
        "tools",
        "tools_of",
    )

    def __init__(
        self,
        generation: int = 0,
        identity: str = "",
        quarantined: tuple[Quarantined, ...] = (),
    ) -> None:
        self.generation = generation
        self.identity = identity
        self.quarantined = quarantined
        self.rated = False  # is there a limit to how often anything may be called?
        self.servers: dict[bytes, LiveServer] = {}
        self.tools: dict[bytes, LiveTool] = {}
        # Here and not on the server: a tool knows its server, and what is in no circle is freed as
        # soon as it is let go; the collector takes 150 ms for 100 000 tools.
        # Who shares an address: one's passthrough may not go round another's rules.
        self.shared: dict[str, list[LiveServer]] = {}
        self.tools_of: dict[bytes, tuple[LiveTool, ...]] = {}

    def __repr__(self) -> str:
        return f"<Snapshot {self.generation}: {len(self.servers)} servers, {len(self.tools)} tools>"

    def add(self, server: LiveServer, tools: tuple[LiveTool, ...]) -> None:
        """Only while it is being built."""
        namespace = server.spec.namespace.encode()
        self.servers[namespace] = server
        self.tools_of[namespace] = tools
        for address in server.spec.endpoints:
            self.shared.setdefault(_place(address), []).append(server)
        self.rated = self.rated or server.spec.rate is not None
        for tool in tools:
            self.tools[tool.key] = tool
            self.rated = self.rated or tool.spec.rate is not None

    def endpoints(self) -> Iterator[Endpoint]:
        for server in self.servers.values():
            yield from server.cluster.endpoints

    def tool_called(self, target: bytes) -> tuple[LiveTool, bytes]:
        """The tool that a target under `/tools/` names, and the query; raises if there is none."""
        name, mark, query = target[len(routing.TOOLS) :].partition(b"?")
        tool = self.tools.get(name)
        if tool is None:
            raise self._missing(target)
        return tool, mark + query

    def namespace_in(self, target: bytes) -> str:
        """The server whose tool a target under `/tools/` may have meant; else nothing."""
        name = target[len(routing.TOOLS) :].partition(b"?")[0]
        server = self.servers.get(routing.namespace_of(name))
        return "" if server is None else server.spec.namespace

    def server_called(self, method: bytes, target: bytes) -> tuple[Passage, bytes]:
        """The server that a target under `/servers/` names, and the path; raises if it is shut."""
        if not self.generation:
            raise not_loaded()
        server, path = routing.match_passthrough(self.servers, target)
        self.check_neighbours(server, path)
        return Passage(server, method), path

    def check_neighbours(self, server: LiveServer, path: bytes, *, but: object = None) -> None:
        """Raises `ToolNotFoundError` where a tool is at the same address; `but` may have it."""
        for address in server.spec.endpoints:
            there = [other for other in self.shared[_place(address)] if other is not but]
            asked = address.base.encode() + path.partition(b"?")[0]
            if any(_is_tool(asked, address, other) for other in there):
                raise errors.ToolNotFoundError(
                    "A tool of another server is there; tools are called under /tools/"
                )

    def _missing(self, target: bytes) -> errors.ProxyError:
        if not self.generation:
            return not_loaded()
        name = target[len(routing.TOOLS) :].partition(b"?")[0]
        namespace = routing.namespace_of(name).decode("ascii", "replace")
        for broken in self.quarantined:
            if broken.namespace == namespace and namespace.encode() not in self.servers:
                why = "; ".join(str(finding) for finding in broken.findings)
                return errors.ServerQuarantinedError(
                    f"The registry's entry for {namespace} is broken: {why}", retry_after_s=60
                )
        if b"." in name and namespace.encode() not in self.servers:
            return errors.NamespaceNotFoundError(
                f"Tool not found: {name.decode('ascii', 'replace')}"
            )
        return routing.tool_not_found(target)


def not_loaded() -> errors.ProxyError:
    return errors.RegistryNotLoadedError(
        "The registry's source has not answered yet", retry_after_s=1
    )


def succeed(old: Snapshot, loaded: Loaded, around: Surroundings) -> Iterator[Snapshot]:
    """Build the next snapshot beside the old one, a server at a time.

    Yields the unfinished snapshot after each server, so that 100 000 tools need not stall the loop;
    the last one yielded is complete. Nothing of the old one changes until `adopt`.
    """
    new = Snapshot(old.generation + 1, loaded.identity, loaded.quarantined)
    for spec in loaded.servers:
        new.add(*_next_server(old, spec, "", around))
        yield new
    for broken in loaded.quarantined:
        key = (broken.namespace or "").encode()
        if key in old.servers and key not in new.servers:
            why = "; ".join(str(finding) for finding in broken.findings)
            new.add(*_next_server(old, old.servers[key].spec, why, around))
    yield new


def adopt(old: Snapshot, new: Snapshot, now: float) -> list[Endpoint]:
    """Put what was newly configured into clusters that stay; give the endpoints that are gone."""
    removed: list[Endpoint] = []
    kept: set[int] = set()
    for server in new.servers.values():
        kept.add(id(server.cluster))
        if server.cluster.spec is not server.spec:
            removed += server.cluster.configure(server.spec, now)
    for server in old.servers.values():
        if id(server.cluster) not in kept:
            removed += server.cluster.retire()
    return removed


def _next_server(
    old: Snapshot, spec: Server, stale: str, around: Surroundings
) -> tuple[LiveServer, tuple[LiveTool, ...]]:
    namespace = spec.namespace.encode()
    before = old.servers.get(namespace)
    same = before is not None and before.spec == spec
    if before and same and before.stale == stale and not looks_around(spec):
        return before, old.tools_of[namespace]
    if before and _is_same(before.spec, spec):
        cluster = before.cluster
    else:  # what was learnt of other addresses is not true of these
        cluster = Cluster(spec, around.witness)
    filled = filled_in(spec, around, before.filled if before else {})
    injected = {name: filled[template] for name, template in spec.inject_headers.items()}
    since = Since(around.moment, around.moment)
    if before:
        since = before.since if same else before.since._replace(updated_at=around.moment)
    server = LiveServer(spec, cluster, {n: v for n, v in injected.items() if v}, stale, since)
    server.filled = filled
    return server, tuple(
        LiveTool(server, tool, missing_credentials(spec, tool, around)) for tool in spec.tools
    )


def _place(address: Address) -> str:
    return address.socket or f"{address.host}:{address.port}"


def _is_tool(asked: bytes, address: Address, server: LiveServer) -> bool:
    """Is this path of the address one of the server's tools?"""
    bases = {it.base.encode() for it in server.spec.endpoints if _place(it) == _place(address)}
    return any(
        asked.startswith(base) and routing.plain_path(asked[len(base) :]) in server.tool_paths
        for base in bases
    )


def _is_same(before: Server, now: Server) -> bool:
    """Is it still the same server? While one of its addresses is."""
    urls = {address.url for address in before.endpoints}
    return any(address.url in urls for address in now.endpoints)
