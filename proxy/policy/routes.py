"""Routes: which of them does this request take?

The first that matches, in the order written. Compiled once; what a request costs does not grow
with the number of exact paths and prefixes. Knows nothing of who answers, or whether it is well.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Any, Final

from proxy.config.expressions import expression
from proxy.config.routes import RouteSettings
from proxy.wire.changes import Changes
from proxy.wire.head import RequestHead
from proxy.wire.paths import clean_path, refuse_dots
from proxy.wire.templates import Template, host_of

_LONGEST_HOST: Final = 255
_NEVER: Final = 1 << 30  # after every route that there is
_REQUEST_ID: Final = ("", "request_id", "")
# What varies from call to call and is written by `wire.trace`.
_TRACED: Final = frozenset({b"traceparent", b"tracestate", b"x-chora-trace-id", b"x-request-id"})


_NOTHING: Final = Template(("",))
_UNCHANGED: Final = Changes({})


class Rule:
    """One route, compiled. `index` is its place in the order; `spec` what was written."""

    __slots__ = (
        "_begins",
        "_begins_bytes",
        "_headers",
        "_methods",
        "_port",
        "_regex",
        "_rewrite",
        "_scheme",
        "answer",
        "body",
        "headers",
        "host",
        "index",
        "label",
        "plain",
        "renames",
        "request",
        "retraces",
        "spec",
        "status",
        "to",
    )

    def __init__(self, index: int, spec: RouteSettings) -> None:
        match = spec.match
        self.index = index
        self.spec = spec
        self.label = spec.label
        self.to = spec.to.encode()
        self._methods = frozenset(method.encode() for method in match.methods)
        self._scheme = match.scheme.encode()
        self._port = match.port
        self._headers = tuple(
            (name.lower().encode(), b"" if value == "*" else value.encode(), value == "*")
            for name, value in match.headers.items()
        )
        self.plain = not (self._methods or self._scheme or self._port or self._headers)
        self._regex: Any = expression(match.regex) if match.regex else None
        self._rewrite = spec.rewrite
        self._begins = _cleaned(match.prefix)
        self._begins_bytes = 0 if match.regex else len(self._begins)
        sent = {name: Template(parts) for name, parts in _asked(spec).items()}
        hosts = [name for name in sent if name.lower() == "host"]
        self.host = sent.pop(hosts[0]) if hosts else None
        self.request = Changes(sent, spec.request_headers.remove)
        said = spec.response_headers
        given = {name: Template(parts) for name, parts in said.set.items()}
        self.answer = Changes(given, said.remove)
        # Does it write the names of a call, which we would, on the way up or back?
        self.retraces = not self.request.names.isdisjoint(_TRACED)
        self.renames = not self.answer.names.isdisjoint(_TRACED)
        # Of an answer of our own, which is a response or a redirection.
        self.status, self.body, self.headers = _own_answer(spec)

    def __repr__(self) -> str:
        return f"<Rule {self.index} {self.label}>"

    @property
    def per_call(self) -> bool:
        """Is what goes upstream another each time, whatever the head says?"""
        return self.request.per_call or (self.host is not None and self.host.per_call)

    def holds(self, head: RequestHead, scheme: bytes, port: int) -> bool:
        """All but host and path."""
        if self._methods and head.method not in self._methods:
            return False
        if self._scheme and scheme != self._scheme:
            return False
        if self._port and port != self._port:
            return False
        return all(_has(head, *header) for header in self._headers)

    def groups(self, path: bytes) -> tuple[bytes, ...] | None:
        """The groups of its regular expression in this path, if it matches."""
        if self._regex is None:
            return ()
        if not path.startswith(self._begins):
            return None
        found = self._regex.search(path)
        return None if found is None else tuple([group or b"" for group in found.groups()])

    def rewritten(self, path: bytes, groups: tuple[bytes, ...]) -> bytes:
        """The path to ask the server for. Raises `BadValueError` for one that leads elsewhere."""
        parts = self._rewrite
        if not parts:
            return path
        made = parts[0].encode()
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            made += groups[int(name) - 1] + text.encode()
        if self._begins_bytes:
            made += path[self._begins_bytes :]
        refuse_dots(made)  # two harmless halves may make one
        return made


class Matched:
    """A request's way: the route that it takes, its path as it was matched, and what is asked for.

    Kept with the head, for when the same one comes again. `sent` is whatever was made of it for a
    server, as long as the table of servers is the one of that `generation`.
    """

    __slots__ = ("generation", "groups", "port", "rule", "sent", "table", "target", "uri")

    def __init__(
        self,
        table: "RouteTable",
        rule: Rule,
        uri: bytes,
        groups: tuple[bytes, ...],
        target: bytes,
        port: int,
    ) -> None:
        self.table = table
        self.rule = rule
        self.uri = uri
        self.groups = groups
        self.target = target
        self.port = port
        self.sent: object | None = None
        self.generation = -1

    def __repr__(self) -> str:
        return f"<Matched {self.rule.label}>"


class RouteTable:
    """All routes, in their order."""

    def __init__(
        self,
        routes: Sequence[RouteSettings],
        *,
        merge_slashes: bool = False,
        resolve_dots: bool = False,
    ) -> None:
        self._merge_slashes = merge_slashes
        self._resolve_dots = resolve_dots
        self.rules = [Rule(index, spec) for index, spec in enumerate(routes)]
        self._any = _Paths()
        self._hosts: dict[bytes, _Paths] = {}
        self._suffixes: dict[bytes, _Paths] = {}
        self._most_labels = 0  # of a suffix: no more need be looked at
        for rule in self.rules:
            for paths in self._places(rule.spec.match.host):
                paths.add(rule)
        for paths in (self._any, *self._hosts.values(), *self._suffixes.values()):
            paths.settle()

    def __repr__(self) -> str:
        return f"<RouteTable of {len(self.rules)}>"

    def match(self, head: RequestHead, scheme: bytes, port: int) -> Matched | None:
        """The way of a request that came by this scheme and port; `BadValueError` for its path."""
        asked, mark, query = head.target.partition(b"?")
        path = clean_path(asked, merge_slashes=self._merge_slashes, resolve_dots=self._resolve_dots)
        best: Rule | None = None
        for paths in self._paths_of(host_of(head.authority)):
            best = paths.first(path, head, scheme, port, best) or best
        if best is None:
            return None
        groups = best.groups(path) or ()
        target = best.rewritten(path, groups) + mark + query
        return Matched(self, best, path, groups, target, port)

    def _places(self, hosts: tuple[str, ...]) -> "list[_Paths]":
        if not hosts:
            return [self._any]
        places = []
        for host in dict.fromkeys(hosts):
            name = host.encode()
            if name.startswith(b"*."):
                self._most_labels = max(self._most_labels, name.count(b"."))
                places.append(self._suffixes.setdefault(name[2:], _Paths()))
            else:
                places.append(self._hosts.setdefault(name, _Paths()))
        return places

    def _paths_of(self, host: bytes) -> "list[_Paths]":
        found = [self._any]
        if not (self._hosts or self._suffixes) or len(host) > _LONGEST_HOST:
            return found
        if host in self._hosts:
            found.append(self._hosts[host])
        if self._suffixes:
            labels = host.split(b".")
            for kept in range(1, min(self._most_labels, len(labels) - 1) + 1):
                suffix = b".".join(labels[-kept:])
                if suffix in self._suffixes:
                    found.append(self._suffixes[suffix])
        return found


class _Paths:
    """The routes of one host, or one kind of hosts, by their paths."""

    def __init__(self) -> None:
        self._exact: dict[bytes, list[Rule]] = {}
        self._by_prefix: dict[bytes, list[Rule]] = {}
        self._regexes: list[Rule] = []
        self._prefixes: list[bytes] = []  # sorted
        self._chains: list[tuple[Rule, ...]] = []  # for each: the rules of all that it begins with
        self._parents: list[int] = []  # for each: the longest other one that it begins with, or -1

    def add(self, rule: Rule) -> None:
        """In their order."""
        match = rule.spec.match
        if match.exact:
            self._exact.setdefault(_cleaned(match.exact), []).append(rule)
        elif match.regex:
            self._regexes.append(rule)
        else:
            self._by_prefix.setdefault(_cleaned(match.prefix), []).append(rule)

    def settle(self) -> None:
        """All are there: prepare what each prefix comes to."""
        self._prefixes = sorted(self._by_prefix)
        for at, prefix in enumerate(self._prefixes):
            parent = at - 1
            while parent >= 0 and not prefix.startswith(self._prefixes[parent]):
                parent = self._parents[parent]
            rules = list(self._by_prefix[prefix])
            for rule in self._chains[parent] if parent >= 0 else ():
                insort(rules, rule, key=_place_of)
            self._parents.append(parent)
            self._chains.append(_that_can_win(rules))
        self._exact = {path: list(_that_can_win(rules)) for path, rules in self._exact.items()}

    def first(
        self, path: bytes, head: RequestHead, scheme: bytes, port: int, before: Rule | None
    ) -> Rule | None:
        """The first that holds, if it comes before the one that was found."""
        bound = _NEVER if before is None else before.index
        best: Rule | None = None
        for rules in (self._exact.get(path, ()), self._under(path)):
            for rule in rules:
                if rule.index >= bound:
                    break
                if rule.plain or rule.holds(head, scheme, port):
                    best, bound = rule, rule.index
        for rule in self._regexes:
            if rule.index >= bound:
                break
            if rule.holds(head, scheme, port) and rule.groups(path) is not None:
                return rule
        return best

    def _under(self, path: bytes) -> tuple[Rule, ...]:
        """The rules of all prefixes that the path begins with."""
        at = bisect_right(self._prefixes, path) - 1
        while at >= 0 and not path.startswith(self._prefixes[at]):
            at = self._parents[at]
        return self._chains[at] if at >= 0 else ()


def _that_can_win(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Up to the first that takes whatever comes."""
    found: list[Rule] = []
    for rule in rules:
        found.append(rule)
        if rule.plain:
            break
    return tuple(found)


def _place_of(rule: Rule) -> int:
    return rule.index


def _cleaned(path: str) -> bytes:
    return clean_path(path.encode())


def _own_answer(spec: RouteSettings) -> tuple[int, Template, Changes]:
    said = spec.respond
    if said is not None:
        written = {"Content-Type": said.content_type} if said.body != ("",) else {}
        written |= said.headers
        status, body = said.status, Template(said.body)
    elif spec.redirect is not None:
        written = {"Location": spec.redirect.to}
        status, body = spec.redirect.status, _NOTHING
    else:
        return 0, _NOTHING, _UNCHANGED
    return status, body, Changes({name: Template(parts) for name, parts in written.items()})


def _asked(spec: RouteSettings) -> dict[str, tuple[str, ...]]:
    """The fields that are set for the server; our own request id goes up anyway."""
    return {
        name: parts
        for name, parts in spec.request_headers.set.items()
        if name.lower() != "x-request-id" or parts != _REQUEST_ID
    }


def _has(head: RequestHead, name: bytes, value: bytes, anything: bool) -> bool:  # noqa: FBT001 - of one tuple
    found = _values(head, name)
    return bool(found) if anything else value in found


def _values(head: RequestHead, name: bytes) -> list[bytes]:
    if name == b"host":
        return [head.authority]
    noted = head.noted.get(name)
    if noted is not None:
        return [noted]
    lines = [line.partition(b":") for line in head.lines.split(b"\r\n")[1:]]
    return [found.strip(b" \t") for said, _, found in lines if said.lower() == name]
