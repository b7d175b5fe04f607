"""nginx's `listen` and its TLS as our listeners.

Knows both words for addresses and certificates. Does not know which server answers there.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from proxy.conversion.directives import Directive, Level
from proxy.conversion.notes import Notes

_DEFAULT_PORT: Final = 80
_MOST_PORT: Final = 65535
_LISTEN: Final = re.compile(
    r"(?:(\[[0-9A-Fa-f:.]+\]|\*|[A-Za-z0-9._-]+?)(?::(\d{1,5}))?|(\d{1,5}))"
)
_UNIX: Final = re.compile(r"unix:/[!-~]+")
_HARMLESS: Final = re.compile(
    r"default(_server)?|ssl|proxy_protocol|deferred|bind|reuseport|ipv6only=on"
    r"|(backlog|rcvbuf|sndbuf|fastopen|setfib|accept_filter|so_keepalive)=.*"
)
_EVERYWHERE: Final = ("0.0.0.0", "[::]")  # noqa: S104 - what nginx listens on, too
_VERIFY: Final = {"on": "required", "optional": "optional"}
_VERSIONS: Final = {"TLSv1.2": "1.2", "TLSv1.3": "1.3"}


class Listening(NamedTuple):
    """One `listen` of one server; a Unix socket has the port 0."""

    address: str
    port: int
    words: tuple[str, ...]
    server: Directive
    level: Level
    origin: Directive

    @property
    def is_default(self) -> bool:
        return "default_server" in self.words or "default" in self.words


def listening(server: Directive, level: Level, notes: Notes) -> Iterator[Listening]:
    """Where this server listens."""
    said = [each for each in server.inside if each.name == "listen"]
    if not said:
        yield Listening(
            f"{_EVERYWHERE[0]}:{_DEFAULT_PORT}", _DEFAULT_PORT, (), server, level, server
        )
    for directive in said:
        address = _address(directive.first)
        if address is None:
            notes.leave_out(directive, "expected a port, an address with one, or unix:/path")
            continue
        for word in directive.args[1:]:
            if not _HARMLESS.fullmatch(word):
                spoken = (
                    "callers speak HTTP/1.1" if word in {"http2", "quic", "spdy"} else "do without"
                )
                notes.leave_out(directive, f"{word} has no counterpart: {spoken}")
        yield Listening(*address, directive.args[1:], server, level, directive)


def written(found: Sequence[Listening], notes: Notes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each listener with the place that it comes from."""
    addresses: dict[str, list[Listening]] = {}
    for each in found:
        addresses.setdefault(each.address, []).append(each)
    for address, here in addresses.items():
        host = address.rpartition(":")[0]
        if host not in _EVERYWHERE and any(
            f"{everywhere}:{here[0].port}" in addresses
            for everywhere in _EVERYWHERE
            if (everywhere == "[::]") == host.startswith("[")
        ):
            continue  # the kernel has one socket for both
        yield here[0].origin.place, _listener(address, here, notes)


def has_tls(each: Listening) -> bool:
    return "ssl" in each.words


def _listener(address: str, here: Sequence[Listening], notes: Notes) -> dict[str, Any]:
    entry: dict[str, Any] = {"address": address, "serves": "routes"}
    if any(has_tls(each) for each in here):
        tls = _tls(sorted(here, key=lambda each: not each.is_default), notes)
        if tls:
            entry["tls"] = tls
    if any("proxy_protocol" in each.words for each in here):
        entry["proxy_protocol"] = True
    return entry


def _tls(here: Sequence[Listening], notes: Notes) -> dict[str, Any]:
    certificates: list[dict[str, str]] = []
    for each in here:
        pair = _certificate(each, notes)
        if pair and pair not in certificates:
            certificates.append(pair)
    if not certificates:
        notes.leave_out(here[0].origin, "no server here has a certificate; name cert and key")
        return {}
    found: dict[str, Any] = (
        dict(certificates[0]) if len(certificates) == 1 else {"certificates": certificates}
    )
    asked = _asked_of_callers(here[0], notes)
    for each in here[1:]:
        if _asked_of_callers(each, notes) != asked:
            directive = each.level.said("ssl_verify_client") or each.origin
            notes.leave_out(directive, "client certificates are asked for by listener, not by name")
    return found | asked | _version(here[0].level, notes)


def _certificate(each: Listening, notes: Notes) -> dict[str, str] | None:
    pairs = list(
        zip(
            each.level.nearest("ssl_certificate"),
            each.level.nearest("ssl_certificate_key"),
            strict=False,
        )
    )
    if not pairs:
        return None
    for directive, _ in pairs[1:]:
        notes.leave_out(directive, "a name has one certificate; the first is shown")
    cert, key = pairs[0]
    for directive in (cert, key):
        if "$" in directive.first or directive.first.startswith(("data:", "engine:")):
            notes.leave_out(directive, "a certificate and its key are files; name them")
            return None
    return {"cert": cert.first, "key": key.first}


def _asked_of_callers(each: Listening, notes: Notes) -> dict[str, str]:
    asked = each.level.word("ssl_verify_client", "off")
    if asked == "off":
        return {}
    ca = each.level.said("ssl_client_certificate")
    directive = each.level.said("ssl_verify_client") or each.origin
    if asked not in _VERIFY or ca is None:
        why = "expected on or optional, beside ssl_client_certificate: others are not believed"
        notes.leave_out(directive, why)
        return {}
    return {"client_ca": ca.first, "client_certificate": _VERIFY[asked]}


def _version(level: Level, notes: Notes) -> dict[str, str]:
    directive = level.said("ssl_protocols")
    if directive is None:
        return {}
    spoken = sorted(_VERSIONS[each] for each in directive.args if each in _VERSIONS)
    old = [each for each in directive.args if each not in _VERSIONS]
    if old:
        notes.leave_out(
            directive, f"{' '.join(old)}: only TLS 1.2 and 1.3 are spoken; nothing to do"
        )
    if spoken and spoken[-1] != "1.3":
        notes.leave_out(directive, "TLS 1.3 is spoken too; nothing to do")
    return {"min_version": spoken[0]} if spoken else {}


def _address(text: str) -> tuple[str, int] | None:
    if _UNIX.fullmatch(text):
        return text, 0
    match = _LISTEN.fullmatch(text)
    if match is None:
        return None
    host, port, alone = match.groups()
    if host is not None and host.isdecimal() and port is None:
        host, alone = None, host
    number = int(alone or port or _DEFAULT_PORT)
    if not 1 <= number <= _MOST_PORT:
        return None
    host = _EVERYWHERE[0] if host in {None, "*"} else host
    return f"{host}:{number}", number
