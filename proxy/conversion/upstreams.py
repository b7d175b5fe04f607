"""nginx's `upstream` blocks, and the hosts that `proxy_pass` names, as servers of the registry.

Knows `upstream` and the registry's words for it. Does not know routes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.config.shape import UnfitError
from proxy.conversion.directives import Directive
from proxy.conversion.measures import milliseconds, span
from proxy.conversion.notes import NotCarriedError, Notes
from proxy.conversion.templates import only
from proxy.registry.address import parse_address

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?")
_PORTS: Final = {"http": 80, "https": 443}
_MOST_NAME: Final = 56
_MANY: Final = 10_000
_NEVER: Final = 1_000_000
_OPTIONS: Final = ("weight", "backup", "max_fails", "fail_timeout", "max_conns", "resolve")


class Address(NamedTuple):
    """Where an endpoint is; the name is what nginx's `Host` says by itself."""

    scheme: str
    authority: str  # or unix:/path

    @property
    def url(self) -> str:
        if self.authority.startswith("unix:"):
            return self.authority
        host, port = _parts(self.authority)
        return f"{self.scheme}://{host}:{port or _PORTS[self.scheme]}"

    def check(self) -> None:
        """`NotCarriedError` for what the registry would not take."""
        try:
            parse_address(self.url)
        except UnfitError as error:
            raise NotCarriedError(str(error)) from None


class Treatment(NamedTuple):
    """What locations say of the servers that they pass to."""

    connect_timeout_ms: int
    tries: int | None
    tls: dict[str, str]


class Endpoint(NamedTuple):
    """One `server` of an `upstream`."""

    authority: str
    options: Mapping[str, str]
    origin: Directive


class Upstreams:
    """All servers that something is passed to."""

    def __init__(self, blocks: Sequence[Directive], notes: Notes) -> None:
        self._blocks = {block.first: block for block in blocks}
        self._notes = notes
        self._names: dict[Address, str] = {}
        self._origins: dict[Address, Directive] = {}
        self._treatments: dict[Address, Treatment] = {}

    def __repr__(self) -> str:
        return f"<Upstreams {list(self._names.values())}>"

    def is_block(self, authority: str) -> bool:
        return authority in self._blocks

    def use(self, address: Address, treatment: Treatment, directive: Directive) -> str:
        """The namespace of the server that stands for it."""
        if not self.is_block(address.authority):
            address.check()
        name = self._names.get(address)
        if name is None:
            name = self._names[address] = self._new_name(address)
            self._origins[address] = self._blocks.get(address.authority, directive)
        self._treat(address, treatment, directive)
        return name

    def written(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Each server with the place that it comes from."""
        for address, name in self._names.items():
            entry: dict[str, Any] = {"namespace": name, "name": name}
            block = self._blocks.get(address.authority)
            if block is None:
                entry["endpoints"] = [address.url]
            else:
                entry |= self._block(block, address.scheme)
            if not entry["endpoints"]:
                self._notes.leave_out(self._origins[address], "it has no server that is in use")
                entry["endpoints"] = [
                    "http://127.0.0.1:9"
                ]  # nobody is there, as nginx finds nobody
            yield self._origins[address].place, entry | self._rest(entry, self._treatments[address])

    def _new_name(self, address: Address) -> str:
        plain = _NOT_A_NAME.sub("-", address.authority.removeprefix("unix:")).strip("-")
        name = wanted = plain[:_MOST_NAME] or "server"
        taken = set(self._names.values())
        number = 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        return name

    def _treat(self, address: Address, wanted: Treatment, directive: Directive) -> None:
        wanted = wanted._replace(tries=wanted.tries or self._most_tries(address))
        before = self._treatments.setdefault(address, wanted)
        if before == wanted:
            return
        longest_ms = max(before.connect_timeout_ms, wanted.connect_timeout_ms)
        self._treatments[address] = before._replace(connect_timeout_ms=longest_ms)
        self._notes.leave_out(
            directive,
            "time to connect, tries and TLS are a server's, not a location's: the longest time to"
            " connect holds, of the rest the first; name the server twice if they must differ",
        )

    def _most_tries(self, address: Address) -> int:
        """Each endpoint once; one alone again, when a kept connection turns out to be gone."""
        block = self._blocks.get(address.authority)
        used = [each for each in block.inside if each.name == "server"] if block else []
        return max(2, sum("down" not in each.args for each in used))

    def _rest(self, entry: dict[str, Any], treatment: Treatment) -> dict[str, Any]:
        found: dict[str, Any] = {
            "connect_timeout": span(treatment.connect_timeout_ms),
            "health": {"active": False},
            "circuit": {"failures": _NEVER},
            "limits": {"max_connections": _MANY, "max_requests": _MANY, "max_pending": _MANY}
            | entry.get("limits", {}),
            "slow_start": 0,
        }
        found["retry"] = {"attempts": treatment.tries}
        if treatment.tls:
            found["tls"] = treatment.tls
        return found

    def _block(self, block: Directive, scheme: str) -> dict[str, Any]:
        found: dict[str, Any] = {"balance": "round_robin"}
        endpoints = []
        for each in block.inside:
            if each.name == "server":
                endpoint = self._endpoint(each)
                endpoints += [endpoint] if endpoint else []
            else:
                self._option(each, found)
        found["endpoints"] = [self._placed(endpoint, scheme) for endpoint in endpoints]
        try:
            found |= self._failures(endpoints)
        except NotCarriedError as error:
            self._notes.leave_out(block, str(error))
        return found

    def _placed(self, endpoint: Endpoint, scheme: str) -> object:
        url = Address(scheme, endpoint.authority).url
        found: dict[str, object] = {"url": url}
        weight = endpoint.options.get("weight", "1")
        if weight != "1" and weight.isdecimal():
            found["weight"] = int(weight)
        if "backup" in endpoint.options:
            found["backup"] = True
        return found if len(found) > 1 else url

    def _endpoint(self, directive: Directive) -> Endpoint | None:
        pairs = [each.partition("=") for each in directive.args[1:]]
        options = {name: value for name, _, value in pairs}
        if "down" in options:
            return None  # nginx does not use it either
        for name in options:
            if name not in _OPTIONS:
                self._notes.leave_out(directive, f"{name} has no counterpart; do without")
        try:
            Address("http", directive.first).check()
        except NotCarriedError as error:
            self._notes.leave_out(directive, str(error))
            return None
        return Endpoint(directive.first, options, directive)

    def _option(self, directive: Directive, found: dict[str, Any]) -> None:
        try:
            match directive.name:
                case "least_conn" | "random":
                    found["balance"] = "least_request"
                case "least_time":
                    found["balance"] = "peak_ewma"
                case "ip_hash":
                    found["balance"] = {"hash": {"peer": True}}
                case "hash":
                    found["balance"] = {"hash": _hashed(directive.first)}
                case "keepalive_timeout":
                    found.setdefault("keepalive", {})["idle"] = span(milliseconds(directive.first))
                case "keepalive_requests":
                    found.setdefault("keepalive", {})["max_requests"] = _count(directive.first)
                case "keepalive" | "keepalive_time" | "zone" | "resolver" | "resolver_timeout":
                    pass  # connections are kept as they are needed; names are followed
                case _:
                    self._notes.leave_out(directive, "balancing has no such thing; do without")
        except NotCarriedError as error:
            self._notes.leave_out(directive, str(error))

    def _failures(self, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
        """When an endpoint is left alone, and for how long; how much is asked of all."""
        found: dict[str, Any] = {}
        outlier: dict[str, Any] = {}
        fails = self._same(endpoints, "max_fails")
        if fails is not None:
            outlier["consecutive_errors"] = _count(fails) or _NEVER
        rest_ms = milliseconds(self._same(endpoints, "fail_timeout") or "10s")
        if rest_ms:
            outlier |= {"base_ejection": span(rest_ms), "max_ejection": span(rest_ms)}
        else:
            outlier["consecutive_errors"] = _NEVER
        if any("backup" in each.options for each in endpoints):
            outlier["max_ejected"] = 1  # else some that fail would keep the backup waiting
        found["outlier"] = outlier
        limits = [_count(each.options.get("max_conns", "0")) for each in endpoints]
        if limits and all(limits):
            found["limits"] = {"max_connections": sum(limits)}
            if len(limits) > 1:
                why = "connections are limited by server: it has the sum, not each endpoint its own"
                self._notes.leave_out(endpoints[0].origin, why)
        elif any(limits):
            why = "max_conns is carried over only where all servers have it; give limits yourself"
            self._notes.leave_out(endpoints[0].origin, why)
        return found

    def _same(self, endpoints: Sequence[Endpoint], option: str) -> str | None:
        said = [endpoint for endpoint in endpoints if option in endpoint.options]
        for endpoint in said[1:]:
            if endpoint.options[option] != said[0].options[option]:
                why = f"{option} is one for all endpoints: that of {said[0].origin.place} holds"
                self._notes.leave_out(endpoint.origin, why)
        return said[0].options[option] if said else None


def _parts(authority: str) -> tuple[str, int | None]:
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise NotCarriedError("this is no host; write host:port")
    return match[1], int(match[2]) if match[2] else None


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:  # noqa: PLR2004 - what nginx takes, too
        raise NotCarriedError("expected a number")
    return int(text)


def _hashed(key: str) -> dict[str, object]:
    name = only(key)
    if name in {"remote_addr", "binary_remote_addr"}:
        return {"peer": True}
    if name.startswith("http_"):
        return {"header": name.removeprefix("http_").replace("_", "-")}
    if name.startswith("cookie_"):
        return {"cookie": name.removeprefix("cookie_")}
    raise NotCarriedError("what is hashed is a header, a cookie or the peer's address; choose one")
