"""Routes as a door has them, made of what settings say."""

from collections.abc import Mapping

from proxy.config.routes import RouteSettings
from proxy.config.shape import fit
from proxy.policy.routes import RouteTable
from tests.support.transcript import Begin, Transcript


def table(*raw: Mapping[str, object], **how: bool) -> RouteTable:
    """The table of these routes, each as it stands in a file."""
    specs, problems = fit(tuple[RouteSettings, ...], list(raw))
    assert not problems, problems
    return RouteTable(specs, **how)


def routed(begin: Begin, *raw: Mapping[str, object], server: str = "") -> Transcript:
    """A transcript whose door has these routes."""
    t = begin(server)
    t.door.routes = table(*raw)
    return t
