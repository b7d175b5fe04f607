"""One `server` of nginx as routes, the first that matches is nginx's answer.

Knows what a location can lead to. Does not know hosts and ports: those are its turn's.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from proxy.conversion.answers import refused, respond, sent_to
from proxy.conversion.directives import Directive, Level
from proxy.conversion.locations import Location, in_order, named
from proxy.conversion.matches import ANY, Draft, Match
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.passing import passed
from proxy.conversion.rewrites import Phase
from proxy.conversion.scene import Scene
from proxy.conversion.templates import Meanings

_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_NOT_CARRIED: Final = 501
_MOVED: Final = 301
_NOT_HTTP: Final = ("fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass")
_SPEAKS_HTTP: Final = "upstreams are spoken to in HTTP/1.1; put a server of HTTP in front of it"
_NO_FILES: Final = "the sidecar serves no files; leave them to a server of files, and route to it"
_CLOSED: Final = (
    "callers are let in by keys, tokens and certificates (auth); until then it is closed"
)
NOTHING_HERE: Final = {"respond": {"status": _NOT_FOUND}}


def server_routes(scene: Scene, server: Directive) -> list[Draft]:
    """All routes of this server; the last of them takes what is left."""
    locations = in_order(scene.server, scene.notes)
    phase = Phase(scene, scene.server, {}, partial(_searched, scene, locations), ANY)
    own: list[Draft] = []
    if not phase.ended:
        exact = [each for each in locations if each.match.kind == "exact"]
        for location in exact:
            own += _of_location(scene, location, locations)
        own += _slashes(scene, locations, {each.path for each in exact})
        for location in locations[len(exact) :]:
            own += _of_location(scene, location, locations)
        own.append(_rest(scene, server))
    return phase.around(own)


def _of_location(scene: Scene, location: Location, locations: Sequence[Location]) -> list[Draft]:
    def onward(found: Match, becomes: str, captures: Meanings, flag: str) -> Iterator[Draft]:
        if flag != "break":
            yield from _searched(scene, locations, found, becomes, captures, flag)
            return
        for draft in _handled(scene, location, captures, becomes):
            changed = draft.under(found)
            if changed:
                yield changed

    phase = Phase(scene, location.level, location.captures, onward, location.match)
    own = [] if phase.ended else list(_handled(scene, location, location.captures, None))
    return phase.around(own)


def _handled(
    scene: Scene, location: Location, captures: Meanings, rewrite: str | None
) -> Iterator[Draft]:
    """What the location does with what is left to it."""
    level, origin = location.level, location.directive
    closed = _closed(scene, level)
    if level.own("internal"):
        yield Draft(match=ANY, action=_refused(scene, level, _NOT_FOUND), origin=origin)
    elif closed:
        yield Draft(match=ANY, action=closed, origin=origin)
    else:
        yield from _limited(scene, level, _leading(scene, level, origin, captures, rewrite))


def _leading(
    scene: Scene, level: Level, origin: Directive, captures: Meanings, rewrite: str | None
) -> Iterator[Draft]:
    for directive in level.block:
        if directive.name == "proxy_pass":
            yield from _passed(scene, directive, level, captures, rewrite)
            return
        if directive.name in _NOT_HTTP:
            scene.notes.leave_out(directive, _SPEAKS_HTTP)
            yield _not_carried(directive)
            return
    yield from _files(scene, level, origin, captures, rewrite)


def _passed(
    scene: Scene, directive: Directive, level: Level, captures: Meanings, rewrite: str | None
) -> list[Draft]:
    try:
        return list(passed(scene, directive, level, captures, rewrite))
    except NotCarriedError as error:
        scene.notes.leave_out(directive, str(error))
        return [_not_carried(directive)]


def _files(
    scene: Scene, level: Level, origin: Directive, captures: Meanings, rewrite: str | None
) -> Iterator[Draft]:
    """There are none here; but what `try_files` falls back to may be an application."""
    tried = level.said("try_files")
    fallback = named(scene.server).get(tried.args[-1]) if tried and tried.args else None
    is_one = origin.first.startswith("@")  # a second step may lead back to the first
    if tried is not None and fallback is not None and not is_one:
        scene.notes.leave_out(tried, f"{_NO_FILES}; all of it goes to {fallback.first}")
        inner = Level(fallback.inside, scene.server)
        yield from _leading(scene, inner, fallback, captures, rewrite)
        return
    own = [each for name in ("try_files", "alias", "root") for each in level.own(name)]
    scene.notes.leave_out(own[0] if own else origin, _NO_FILES)
    yield Draft(match=ANY, action=_refused(scene, level, _NOT_FOUND), origin=origin)


def _closed(scene: Scene, level: Level) -> dict[str, Any] | None:
    """The answer where not everybody may come in."""
    for name in ("auth_basic", "auth_request"):
        directive = level.said(name)
        if directive is not None and directive.first != "off":
            scene.notes.leave_out(directive, _CLOSED)
            return refused(_FORBIDDEN, f"{directive.place}: {name} was not carried over")
    rules = _rules(level)
    if not rules or (rules[0].name == "allow" and rules[0].first == "all"):
        return None
    if rules[0].name == "deny" and rules[0].first == "all":
        return _refused(scene, level, _FORBIDDEN)
    for directive in rules:
        scene.notes.leave_out(directive, f"callers are not told apart by address; {_CLOSED}")
    return refused(_FORBIDDEN, f"{rules[0].place}: {rules[0].name} was not carried over")


def _rules(level: Level) -> list[Directive]:
    for outer in level.outwards():
        found = [each for each in outer.block if each.name in {"allow", "deny"}]
        if found:
            return found
    return []


def _limited(scene: Scene, level: Level, drafts: Iterator[Draft]) -> Iterator[Draft]:
    """`limit_except GET { deny all; }`: these methods alone."""
    limits = level.own("limit_except")
    if not limits:
        yield from drafts
        return
    methods = dict.fromkeys(limits[0].args)
    if "GET" in methods:
        methods["HEAD"] = None
    for draft in drafts:
        found = draft.under(Match(methods=tuple(methods)))
        if found:
            yield found
    if [(each.name, each.args) for each in limits[0].inside] != [("deny", ("all",))]:
        scene.notes.leave_out(limits[0], f"only deny all is followed; {_CLOSED}")
    yield Draft(match=ANY, action=_refused(scene, level, _FORBIDDEN), origin=limits[0])


def _searched(
    scene: Scene,
    locations: Sequence[Location],
    found: Match,
    becomes: str,
    captures: Meanings,
    _flag: str,
) -> list[Draft]:
    """Where a path goes that was changed; only where what it begins with says so."""
    literal, dollar, _ = becomes.partition("$")
    if any(each.match.kind == "regex" for each in locations):
        raise NotCarriedError(
            "where the changed path goes is not sure; use break, and pass it on here"
        )
    if any(dollar and each.path.startswith(literal) and each.path != literal for each in locations):
        raise NotCarriedError(
            "where the changed path goes is not sure; use break, and pass it on here"
        )
    for each in locations:
        exact = each.match.kind == "exact"
        if (literal == each.path and not dollar) or (not exact and literal.startswith(each.path)):
            drafts = _handled(scene, each, captures, becomes)
            return [changed for draft in drafts if (changed := draft.under(found))]
    raise NotCarriedError("the changed path goes nowhere; take the rewrite out")


def _slashes(scene: Scene, locations: Sequence[Location], taken: set[str]) -> Iterator[Draft]:
    """Callers of /app are sent to /app/ where that is passed on."""
    for location in locations:
        path = location.path[:-1]
        if location.match.kind != "prefix" or not location.path.endswith("/") or not path:
            continue
        passing = location.level.own("proxy_pass") and not location.level.own("internal")
        if passing and path not in taken:
            taken.add(path)
            where = location.path.replace("$", "$$") + "$is_args$args"
            action = sent_to(scene, location.level, where, _MOVED, {})
            match = Match(kind="exact", path=path)
            yield Draft(match=match, action=action, origin=location.directive)


def _rest(scene: Scene, server: Directive) -> Draft:
    if scene.server.own("root") and not any(each.name == "location" for each in server.inside):
        scene.notes.leave_out(scene.server.own("root")[0], _NO_FILES)
    return Draft(match=ANY, action=_refused(scene, scene.server, _NOT_FOUND), origin=server)


def _refused(scene: Scene, level: Level, status: int) -> dict[str, Any]:
    """As nginx does it by itself, with the headers that it adds."""
    return respond(scene, level, status, "", scene.meanings(level, {}))


def _not_carried(directive: Directive) -> Draft:
    why = f"{directive.place}: {directive.name} was not carried over"
    return Draft(match=ANY, action=refused(_NOT_CARRIED, why), origin=directive)
