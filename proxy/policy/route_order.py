"""Routes in their order: which can never match, since one before takes all that they would?

One route that covers another is found; several that cover it together are not. Knows nothing of
requests.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from proxy.config.expressions import expression
from proxy.config.routes import Match, RouteSettings

# Of all listeners but those that serve routes alone.
_BUILT_IN: Final = ("/tools/", "/servers/", "/api/v1/invoke")


def out_of_reach(
    routes: Sequence[RouteSettings],
    *,
    kept: Collection[str] = (),
    ports: Collection[int] = (),
) -> Iterator[tuple[int, str]]:
    """The place of each route that can never match, and why.

    `kept` are the sidecar's own paths on every listener, `ports` those of all listeners, if they
    are known.
    """
    before = _Before()
    for place, route in enumerate(routes):
        match = route.match
        path = match.exact or match.prefix
        if path.startswith(_BUILT_IN):
            yield place, f"{path} is built in; it is reached on a listener that serves routes alone"
        if match.exact in kept:
            why = "is the sidecar's own; it is reached on a listener that serves routes alone"
            yield place, f"{match.exact} {why}"
        if match.port and ports and match.port not in ports:
            yield place, f"can never match: no listener has the port {match.port}"
        for other in before.candidates(match):
            if _covers(routes[other].match, match):
                shown = routes[other].label
                yield place, f"can never match: routes[{other}] ({shown}) takes all that it would"
                break
        before.add(place, match)


def lost(routes: Sequence[RouteSettings], namespaces: Collection[str]) -> Iterator[tuple[int, str]]:
    """The place of each route that leads to no server of the registry, and where it leads."""
    for place, route in enumerate(routes):
        if route.to and route.to not in namespaces:
            yield place, f"leads to {route.to}, which the registry does not have"


class _Before:
    """The routes so far, by their paths."""

    def __init__(self) -> None:
        self._exact: dict[str, list[int]] = {}
        self._prefixes: dict[str, list[int]] = {}
        self._regexes: list[tuple[int, str]] = []

    def add(self, place: int, match: Match) -> None:
        if match.exact:
            self._exact.setdefault(match.exact, []).append(place)
        elif match.regex:
            self._regexes.append((place, match.regex))
        else:
            self._prefixes.setdefault(match.prefix or "/", []).append(place)

    def candidates(self, match: Match) -> Iterator[int]:
        """Those whose paths take all of this one's."""
        path = match.exact or match.prefix or "/"
        for end in range(1, len(path) + 1):
            yield from self._prefixes.get(path[:end], ())
        if match.exact:
            yield from self._exact.get(path, ())
        for place, regex in self._regexes:
            same = regex == match.regex
            if same or (match.exact and expression(regex).search(path.encode())):
                yield place


def _covers(wide: Match, narrow: Match) -> bool:
    """Does it take whatever the other takes, but for the path?"""
    return (
        _covers_hosts(wide.host, narrow.host)
        and (not wide.methods or (bool(narrow.methods) and {*narrow.methods} <= {*wide.methods}))
        and wide.scheme in {"", narrow.scheme}
        and wide.port in {0, narrow.port}
        and _covers_headers(wide, narrow)
        and not (wide.regex and wide.prefix and not _begins(narrow, wide.prefix))
    )


def _begins(match: Match, prefix: str) -> bool:
    return (match.exact or match.prefix).startswith(prefix)


def _covers_hosts(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    if not wide:
        return True
    return bool(narrow) and all(any(_covers_host(one, host) for one in wide) for host in narrow)


def _covers_host(wide: str, host: str) -> bool:
    return wide == host or (wide.startswith("*.") and host.endswith(wide[1:]))


def _covers_headers(wide: Match, narrow: Match) -> bool:
    asked = {name.lower(): value for name, value in narrow.headers.items()}
    return all(
        name.lower() in asked and value in {"*", asked[name.lower()]}
        for name, value in wide.headers.items()
    )
