"""`proxy_pass` and what holds for it, as a route to a server of the registry.

Knows addresses, URIs and time-outs. Does not know which paths come here.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from proxy.conversion.directives import Directive, Level
from proxy.conversion.headers import to_caller, to_upstream
from proxy.conversion.matches import ANY, Draft, Match, path_as_sent
from proxy.conversion.measures import milliseconds, octets, size, span
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.patterns import path_of
from proxy.conversion.scene import Scene
from proxy.conversion.templates import Meanings, constant, template, variables
from proxy.conversion.upstreams import Address, Treatment

_URL: Final = re.compile(r"(https?)://(unix:/[^:$]+|[^/$]+):?(.*)")
_UNCHANGED: Final = ("", "$request_uri", "$uri$is_args$args")
_QUERY: Final = "$is_args$args"
_DEFAULT_MS: Final = 60_000  # of all of nginx's time-outs
_DEFAULT_BODY: Final = "1m"
_TRIES_OFF: Final = 1


class Passage(NamedTuple):
    """One way out of a location: where to, by which URI, and only when."""

    when: Match
    address: Address
    uri: str


def passed(
    scene: Scene, directive: Directive, level: Level, captures: Meanings, rewrite: str | None
) -> Iterator[Draft]:
    """The routes of one `proxy_pass`; `rewrite` stands over its URI."""
    meanings = scene.meanings(level, captures)
    for way in _ways(scene, directive, level, meanings):
        name = scene.upstreams.use(way.address, _treatment(scene, level, way), directive)
        host = {"proxy_host": _host(scene, way.address)}
        becomes = _rewrite(scene, directive, way.uri, meanings) if rewrite is None else rewrite
        action = {
            "to": name,
            "rewrite": becomes,
            "request_headers": to_upstream(level, meanings | host, scene.notes),
            "response_headers": to_caller(level, meanings, scene.notes),
            **_bounds(scene, level),
        }
        said = {key: value for key, value in action.items() if value}
        yield Draft(match=way.when, action=said, origin=directive)


def _ways(
    scene: Scene, directive: Directive, level: Level, meanings: Meanings
) -> Iterator[Passage]:
    names = [name for name in variables(directive.first) if _is_chosen(scene, name, level)]
    if not names:
        yield _passage(ANY, directive.first, meanings)
        return
    for when, value in scene.choices(names[0], level):
        text = re.sub(rf"\$(?:{names[0]}\b|{{{names[0]}}})", _always(value), directive.first)
        yield _passage(when, text, meanings)


def _always(text: str) -> Callable[[re.Match[str]], str]:
    return lambda _: text


def _is_chosen(scene: Scene, name: str, level: Level) -> bool:
    return name in scene.maps or any(
        outer.own("set") and _sets(outer, name) for outer in level.outwards()
    )


def _sets(level: Level, name: str) -> bool:
    return any(directive.first == f"${name}" for directive in level.own("set"))


def _passage(when: Match, text: str, meanings: Meanings) -> Passage:
    match = _URL.fullmatch(text)
    if match is None:
        constant(text, meanings)  # says which variable it is
        raise NotCarriedError("expected http:// or https:// and a host")
    scheme, authority, uri = match.groups()
    return Passage(when, Address(scheme, constant(authority, meanings)), uri)


def _rewrite(scene: Scene, directive: Directive, uri: str, meanings: Meanings) -> str | None:
    if uri in _UNCHANGED:
        return None
    if "$" not in uri:
        if "?" in uri:
            raise NotCarriedError("a rewrite changes the path alone; let the application see to it")
        return path_as_sent(uri)
    path, query, rest = uri.partition(_QUERY)
    if not query or rest:
        why = "the query goes on as it came; write $is_args$args behind the path"
        scene.notes.leave_out(directive, why)
    return path_of(template(path, meanings))


def _host(scene: Scene, address: Address) -> str:
    """What nginx says by itself, where that is not what an endpoint is called anyway."""
    if address.authority.startswith("unix:"):
        return "localhost"
    name = address.authority.removesuffix({"http": ":80", "https": ":443"}[address.scheme])
    return "" if ":" in name and not scene.upstreams.is_block(name) else name


def _treatment(scene: Scene, level: Level, way: Passage) -> Treatment:
    connect_ms = _span_ms(scene, level, "proxy_connect_timeout")
    tls = _tls(scene, level) if way.address.scheme == "https" else {}
    return Treatment(connect_ms, _tries(scene, level), tls)


def _tries(scene: Scene, level: Level) -> int | None:
    directive = level.said("proxy_next_upstream")
    if directive is not None:
        if "off" in directive.args:
            return _TRIES_OFF
        answers = [word for word in directive.args if word not in {"error", "timeout"}]
        if answers:
            why = f"{' '.join(answers)}: a call that was answered, or sent, is not made again"
            scene.notes.leave_out(directive, why)
    tries = level.word("proxy_next_upstream_tries", "0")
    return int(tries) or None if tries.isdecimal() else None


def _tls(scene: Scene, level: Level) -> dict[str, str]:
    found = {
        key: directive.first
        for key, name in (
            ("ca", "proxy_ssl_trusted_certificate"),
            ("cert", "proxy_ssl_certificate"),
            ("key", "proxy_ssl_certificate_key"),
            ("server_name", "proxy_ssl_name"),
        )
        if (directive := level.said(name)) and "$" not in directive.first
    }
    if level.word("proxy_ssl_verify", "off") == "off":
        directive = level.said("proxy_ssl_verify") or level.said("proxy_pass")
        if directive is not None:
            why = "an upstream's certificate is always verified; name its CA as the server's tls.ca"
            scene.notes.leave_out(directive, why)
    return found


def _bounds(scene: Scene, level: Level) -> dict[str, Any]:
    """Time-outs, and how much a caller may send."""
    read_ms = _span_ms(scene, level, "proxy_read_timeout")
    silent_ms = max(read_ms, _span_ms(scene, level, "proxy_send_timeout"))
    most = _octets(scene, level)
    found = {"timeout": span(read_ms), "idle_timeout": span(silent_ms)}
    return found | ({"max_body": size(most)} if most else {})


def _span_ms(scene: Scene, level: Level, name: str) -> int:
    directive = level.said(name)
    if directive is None:
        return _DEFAULT_MS
    try:
        return milliseconds(directive.first) or _DEFAULT_MS
    except NotCarriedError as error:
        scene.notes.leave_out(directive, str(error))
        return _DEFAULT_MS


def _octets(scene: Scene, level: Level) -> int:
    directive = level.said("client_max_body_size")
    try:
        return octets(directive.first if directive else _DEFAULT_BODY)
    except NotCarriedError as error:
        if directive is not None:
            scene.notes.leave_out(directive, str(error))
        return octets(_DEFAULT_BODY)
