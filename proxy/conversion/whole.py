"""A configuration of nginx to two texts, and what was left out on the way.

Knows the order of things. What each part becomes is decided in the modules beside this one.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from proxy.config.expressions import expression
from proxy.conversion import listeners, written
from proxy.conversion.answers import refused
from proxy.conversion.directives import Directive, Level
from proxy.conversion.hosts import that_can_be_told_apart, turns
from proxy.conversion.matches import Draft, Match
from proxy.conversion.names import BLOCKS, CARRIED, is_silent, why
from proxy.conversion.notes import LeftOut, NotCarriedError, Notes
from proxy.conversion.overall import Setting, settings
from proxy.conversion.routes import NOTHING_HERE, server_routes
from proxy.conversion.scene import Scene
from proxy.conversion.templates import only
from proxy.conversion.upstreams import Upstreams

_NOT_CARRIED: Final = 501
_CAPTURE: Final = re.compile(r"(?<!\$)(?:\$\$)*\$\{?(\d)")
_ADMIN: Final = "127.0.0.1:9901"
_HEAD: Final = """\
From {source}, by toolproxy convert. What is commented with a place stands there.

What nginx does unasked and the sidecar does not: it rewrites Location (proxy_redirect), answers its
own errors in HTML, adds add_header without `always` to successful answers alone. What the sidecar
does unasked: it sets X-Forwarded-For, -Proto and -Host (what callers say of these counts only from
trusted_proxies), X-Request-Id, traceparent and Via, keeps Proxy-* to itself, and speaks HTTP/1.1
to upstreams."""
_REGISTRY_HEAD: Final = """\
From {source}, by toolproxy convert: where the routes of proxy.yaml lead.

nginx has neither probes nor a circuit: `active: false` switches the first off, and so many
`failures` never come together. Take both lines out to have the sidecar's own."""


class Conversion(NamedTuple):
    """Both files, and what they lack."""

    proxy: str
    registry: str
    left_out: list[LeftOut]


def convert(directives: Sequence[Directive], source: str, registry_path: str) -> Conversion:
    """The same as settings and a registry; `registry_path` is where the second will lie."""
    notes = Notes()
    _name_the_rest(directives, notes)
    top = Level(directives)
    blocks = top.own("http")
    http = Level(tuple(each for block in blocks for each in block.inside) or directives, top)
    servers = http.own("server")
    levels = [Level(server.inside, http) for server in servers]
    found = [
        each
        for server, level in zip(servers, levels, strict=True)
        for each in listeners.listening(server, level, notes)
    ]
    found = that_can_be_told_apart(found, notes)
    upstreams = Upstreams(http.own("upstream"), notes)
    routes = _without_last(_routes(http, found, upstreams, notes))
    said = settings(top, http, levels, notes)
    lines = _proxy_lines(list(listeners.written(found, notes)), said, routes, registry_path)
    registry = _registry_lines(upstreams)
    return Conversion(
        written.text_of([*written.remarks(_HEAD.format(source=source)), "", *lines]),
        written.text_of([*written.remarks(_REGISTRY_HEAD.format(source=source)), "", *registry]),
        notes.sorted(),
    )


def _name_the_rest(directives: Sequence[Directive], notes: Notes) -> None:
    """Whatever no module reads is left out by name."""
    for each in directives:
        if each.name in BLOCKS:
            if not each.first.startswith("@"):
                _name_the_rest(each.inside, notes)
        elif each.name not in CARRIED and not is_silent(each.name, each.first):
            notes.leave_out(each, why(each.name))


def _routes(
    http: Level, found: Sequence[listeners.Listening], upstreams: Upstreams, notes: Notes
) -> list[Draft]:
    maps = {only(block.args[1]): block for block in http.own("map") if len(block.args) > 1}
    used: set[str] = set()
    drafts: list[Draft] = []
    for turn in turns(found, notes):
        here = [each for each in found if each.server is turn.server]
        scene = Scene(
            notes=notes,
            upstreams=upstreams,
            maps=maps,
            used_maps=used,
            server=here[0].level,
            ports=(turn.port,) if turn.port else tuple(each.port for each in here),
        )
        condition = Match(hosts=turn.hosts, port=turn.port)
        drafts += _under(server_routes(scene, turn.server), condition, notes)
    for name, block in maps.items():
        if name not in used and block.first != "$http_upgrade":
            notes.leave_out(block, "only proxy_pass is chosen by a map; write routes by hand")
    return drafts


def _under(drafts: Sequence[Draft], condition: Match, notes: Notes) -> Iterator[Draft]:
    """Those of one turn, up to the first that takes all that comes; none that is taken already."""
    taken: set[str] = set()
    for draft in drafts:
        try:
            found = draft.under(condition)
        except NotCarriedError as error:
            notes.leave_out(draft.origin, str(error))
            continue
        asked = repr(found.match.written()) if found else ""
        if found is None or asked in taken:
            continue
        yield _with_its_captures(found, notes)
        taken.add(asked)
        if asked == repr(condition.written()):
            return


def _with_its_captures(draft: Draft, notes: Notes) -> Draft:
    """Closed, if it says what its own expression does not capture."""
    groups = expression(draft.match.path).groups if draft.match.kind == "regex" else 0
    if all(int(each) <= groups for each in _CAPTURE.findall(repr(draft.action))):
        return draft
    notes.leave_out(draft.origin, "$1 and on are captures of the location's own expression alone")
    return replace(
        draft, action=refused(_NOT_CARRIED, f"{draft.origin.place} was not carried over")
    )


def _without_last(drafts: list[Draft]) -> list[Draft]:
    """What no route takes is not found anyway."""
    while drafts and drafts[-1].action == NOTHING_HERE:
        drafts = drafts[:-1]
    return drafts


def _proxy_lines(
    found: Sequence[tuple[str, dict[str, object]]],
    said: Sequence[Setting],
    routes: Sequence[Draft],
    registry_path: str,
) -> Iterator[str]:
    yield "listen:"
    for place, listener in found:
        yield from written.remarks(place, 1)
        yield from written.item(listener)
    yield ""
    yield from written.remarks("The sidecar's own: /metrics, /health, /registry, the dashboard.")
    yield from written.entry("admin", _ADMIN)
    yield "registry:"
    yield from written.remarks("as seen from where the sidecar is started", 1)
    yield from written.entry("path", registry_path, 1)
    for remark, key, value in said:
        yield ""
        yield from written.remarks(remark)
        yield from written.entry(key, value)
    yield ""
    yield "routes:" if routes else "routes: []"
    for draft in routes:
        yield from written.remarks(f"{draft.origin.place} {draft.origin.name}", 1)
        yield from written.item(_entry(draft))


def _entry(draft: Draft) -> dict[str, Any]:
    match = draft.match.written()
    if "rewrite" in draft.action and not match.keys() & {"exact", "prefix", "regex"}:
        match["prefix"] = "/"  # what is rewritten must be said
    return ({"match": match} if match else {}) | draft.action


def _registry_lines(upstreams: Upstreams) -> Iterator[str]:
    yield 'version: "1.0"'
    servers = list(upstreams.written())
    yield "servers:" if servers else "servers: []"
    for place, server in servers:
        yield from written.remarks(place, 1)
        yield from written.item(server)
