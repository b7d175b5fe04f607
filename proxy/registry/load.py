"""Loading: which servers does a registry's text define, and what is wrong with the rest?

Knows the whole text and the operator's rules. Does not know what ran before, or when to look again.

One bad server is set aside with its reasons and never hurts the others; only a text that is no
registry at all, or any error under `strict`, is rejected whole.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from proxy.config.document import (
    Document,
    DocumentError,
    Finding,
    FindingsError,
    Path,
    Problem,
    Severity,
    read_document,
)
from proxy.config.settings import Settings
from proxy.config.shape import did_you_mean, fit, kind_of
from proxy.registry import secrets
from proxy.registry.address import is_denied, parse_address
from proxy.registry.identity import Canonical, canonical_of
from proxy.registry.model import Server, Tool

_KEYS: Final = ("version", "defaults", "servers")
_DEFAULT_TIMEOUT: Final = "defaults.timeout"  # the model's key for it
_PORT_DIGITS: Final = 5
_MOST_SERVERS: Final = 10_000


class LoadRules(Struct, frozen=True, kw_only=True):
    """What the operator's settings say about registries."""

    defaults: dict[str, object]
    strict: bool
    secrets_env: tuple[str, ...]
    secrets_dir: str
    deny: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> "LoadRules":
        return cls(
            defaults=settings.defaults,
            strict=settings.registry.strict,
            secrets_env=settings.secrets.env,
            secrets_dir=settings.secrets.dir,
            deny=settings.upstreams.deny,
        )


class Quarantined(Struct, frozen=True):
    """A server that was set aside: `servers[index]`, and why."""

    namespace: str | None
    index: int
    findings: tuple[Finding, ...]


class Loaded(Struct, frozen=True, kw_only=True):
    """What a text defines; `findings` are all there are, those of quarantined servers too."""

    servers: tuple[Server, ...]
    quarantined: tuple[Quarantined, ...]
    findings: tuple[Finding, ...]
    identity: str  # of the whole document (see `identity`)


class RegistryRejectedError(FindingsError):
    """The text is no registry, or `strict` and not free of errors: what runs goes on."""


class _Entry:
    """One entry of `servers` while the whole is read; without a server it is set aside."""

    def __init__(self, index: int, raw: object) -> None:
        self.index = index
        self.raw = raw
        self.server: Server | None = None
        self.problems: list[Problem] = []

    @property
    def namespace(self) -> str | None:
        name = _mapping(self.raw).get("namespace")
        return name if isinstance(name, str) else None

    def warn(self, key: Path, code: str, message: str) -> None:
        self.problems.append(Problem(("servers", self.index, *key), code, message, "warning"))

    def refuse(self, key: Path, code: str, message: str) -> None:
        self.problems.append(Problem(("servers", self.index, *key), code, message))
        self.server = None


def load(text: bytes, file: str, rules: LoadRules, environ: Mapping[str, str]) -> Loaded:
    """What the text defines; RegistryRejectedError when it is rejected whole."""
    document = read_registry(text, file)
    canonical = canonical_in(document, shares=document.may_share)
    return load_document(document, canonical.identity, rules, environ)


def load_document(
    document: Document, identity: str, rules: LoadRules, environ: Mapping[str, str]
) -> Loaded:
    """The same, of a document that was read and named already."""
    root, raw_servers = _servers_of(document)
    unknown: Severity = "error" if rules.strict else "warning"
    problems = list(_top_problems(root, unknown))
    # Without its defaults no server is what was meant: who may call it, for one.
    reject = any(problem.severity == "error" for problem in problems)
    defaults = _late_timeout(_merged(rules.defaults, _mapping(root.get("defaults"))))
    entries = [_Entry(index, raw) for index, raw in enumerate(raw_servers)]
    for entry in entries:
        _read(entry, defaults, unknown)
        _check_rules(entry, rules, environ)
    servers = _joined(entries)
    findings = document.report(problems + [p for entry in entries for p in entry.problems])
    found = tuple(dict.fromkeys(document.findings + findings))  # a bad default is found every time
    if reject or (rules.strict and any(finding.severity == "error" for finding in found)):
        raise RegistryRejectedError(found)
    return Loaded(
        servers=servers,
        quarantined=tuple(_quarantined(entries, iter(findings[len(problems) :]))),
        findings=found,
        identity=identity,
    )


def read_registry(text: bytes, file: str) -> Document:
    """The text as plain values; RegistryRejectedError when it has none."""
    try:
        return read_document(text, file)
    except DocumentError as error:
        if error.findings[0].code == "EMPTY_DOCUMENT":
            raise rejected("EMPTY_REGISTRY", "empty", file) from None
        raise RegistryRejectedError(error.findings) from None


def canonical_in(document: Document, *, shares: bool) -> Canonical:
    """Its canonical form; RegistryRejectedError when there can be none."""
    try:
        return canonical_of(document.root, shares=shares)
    except ValueError as error:
        raise rejected("TOO_LARGE", str(error), document.file) from None


def _servers_of(document: Document) -> tuple[dict[str, Any], list[object]]:
    root = document.root
    if root is None:
        raise rejected("EMPTY_REGISTRY", "empty", document.file)
    if not isinstance(root, dict):
        wrong = Problem((), "BAD_TYPE", f"expected a mapping with servers, got {kind_of(root)}")
    elif "servers" not in root:
        wrong = Problem(("servers",), "MISSING_FIELD", "required, but missing")
    elif not isinstance(root["servers"], list):
        got = kind_of(root["servers"])
        wrong = Problem(("servers",), "BAD_TYPE", f"expected a list, got {got}")
    elif len(root["servers"]) > _MOST_SERVERS:
        message = f"{len(root['servers'])} servers, and {_MOST_SERVERS} are the most"
        wrong = Problem(("servers",), "TOO_MANY_SERVERS", message)
    else:
        return root, root["servers"]
    raise RegistryRejectedError(document.report([wrong]))


def rejected(code: str, message: str, file: str) -> RegistryRejectedError:
    """With one finding, of the whole text."""
    return RegistryRejectedError([Finding(code, message, "error", "", None, file)])


def _top_problems(root: dict[str, Any], unknown: Severity) -> Iterator[Problem]:
    for key in root:
        if key not in _KEYS:
            hint = did_you_mean(key, _KEYS)
            yield Problem((key,), "UNKNOWN_KEY", f"unknown key{hint}", unknown)
    version, defaults = root.get("version"), root.get("defaults")
    if isinstance(version, bool) or not isinstance(version, str | int | float | None):
        message = f"expected a string or a number, got {kind_of(version)}"
        yield Problem(("version",), "BAD_TYPE", message, "warning")
    if not isinstance(defaults, dict | None):
        yield Problem(("defaults",), "BAD_TYPE", f"expected a mapping, got {kind_of(defaults)}")
    if not root["servers"]:
        yield Problem(("servers",), "EMPTY_REGISTRY", "no servers", "warning")


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Both, mapping by mapping; where they differ `over` holds. A null says nothing."""
    whole = dict(under)
    for key, value in over.items():
        below = under.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            whole[key] = _merged(below, value)
        elif value is not None or key not in under:
            whole[key] = value
    return whole


def _late_timeout(defaults: dict[str, Any]) -> dict[str, Any]:
    """A default timeout comes after what a tool is expected to take, so it has its own place."""
    return {_DEFAULT_TIMEOUT if key == "timeout" else key: item for key, item in defaults.items()}


def _read(entry: _Entry, defaults: dict[str, Any], unknown: Severity) -> None:
    raw = entry.raw
    whole = _merged(defaults, raw) if isinstance(raw, dict) else raw
    if isinstance(whole, dict) and _is_digits(whole.get("port")):
        entry.warn(("port",), "BAD_TYPE", "expected a number, got digits in quotes; taken as one")
        whole["port"] = int(whole["port"])
    server, problems = fit(Server, whole, ("servers", entry.index), unknown=unknown)
    entry.problems += [_blamed(problem, raw, defaults) for problem in problems]
    if server is not None:
        tools = _last_of_each(entry, {}, server.tools)
        entry.server = server if len(tools) == len(server.tools) else replace(server, tools=tools)


def _is_digits(port: object) -> bool:
    return isinstance(port, str) and port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS


def _blamed(problem: Problem, raw: object, defaults: dict[str, Any]) -> Problem:
    """The problem where its cause stands: in the entry, or in the defaults."""
    below = problem.path[2:]
    if below[:1] == (_DEFAULT_TIMEOUT,):
        return problem._replace(path=("defaults", "timeout"))
    if _reaches(defaults, below) and not _reaches(raw, below):
        return problem._replace(path=("defaults", *below))
    return problem


def _reaches(value: Any, path: Path) -> bool:
    try:
        for step in path:
            value = value[step]
    except (LookupError, TypeError):
        return False
    return True


def _last_of_each(
    entry: _Entry, known: dict[str, Tool], tools: tuple[Tool, ...]
) -> tuple[Tool, ...]:
    named = dict(known)
    for at, tool in enumerate(tools):
        if tool.name in named:
            message = f"{tool.name} was there before; the last one holds"
            entry.warn(("tools", at, "name"), "DUPLICATE_TOOL", message)
        named[tool.name] = tool
    return tuple(named.values())


def _check_rules(entry: _Entry, rules: LoadRules, environ: Mapping[str, str]) -> None:
    server = entry.server
    if server is None:
        return
    for at, address in enumerate(server.endpoints):
        if is_denied(address, rules.deny):
            key: Path = ("endpoints", at) if _reaches(entry.raw, ("endpoints", at)) else ("port",)
            entry.refuse(
                key, "BAD_URL", f"{address.url} is denied by upstreams.deny of the settings"
            )
    for name, url in (
        ("health_url", server.health_url),
        ("capabilities_url", server.capabilities_url),
    ):
        if url and is_denied(parse_address(url.partition("?")[0]), rules.deny):
            entry.refuse((name,), "BAD_URL", "denied by upstreams.deny of the settings")
    allowed = secrets.Rules(rules.secrets_env, rules.secrets_dir)
    for name, template in server.inject_headers.items():
        for code, message, is_error in secrets.flaws(template, allowed, environ):
            note = entry.refuse if is_error else entry.warn
            note(("inject_headers", name), code, message)


def _joined(entries: list[_Entry]) -> tuple[Server, ...]:
    """Of one namespace, the entries with the same address are one server."""
    first: dict[str, _Entry] = {}
    joined: dict[str, Server] = {}
    for entry in entries:
        server = entry.server
        if server is None:
            continue
        before = joined.get(server.namespace)
        joined.setdefault(server.namespace, server)
        if before is None:
            first[server.namespace] = entry
        elif _places(before) != _places(server):
            message = f"servers[{first[server.namespace].index}] has it, with another address"
            entry.refuse(("namespace",), "DUPLICATE_NAMESPACE", message)
        else:
            joined[server.namespace] = _with_tools_of(
                before, server, entry, first[server.namespace]
            )
    return tuple(joined.values())


def _with_tools_of(before: Server, server: Server, entry: _Entry, first: _Entry) -> Server:
    if replace(before, tools=()) != replace(server, tools=()):
        message = f"what servers[{first.index}] says of this server holds; only tools are added"
        entry.warn(("namespace",), "DUPLICATE_NAMESPACE", message)
    known = {tool.name: tool for tool in before.tools}
    return replace(before, tools=_last_of_each(entry, known, server.tools))


def _places(server: Server) -> set[str]:
    return {address.url for address in server.endpoints}


def _quarantined(entries: list[_Entry], findings: Iterator[Finding]) -> Iterator[Quarantined]:
    for entry in entries:
        own = tuple(islice(findings, len(entry.problems)))
        if entry.server is None:
            yield Quarantined(entry.namespace, entry.index, own)
