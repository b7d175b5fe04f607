"""Facts about the control plane's paths: which are its own, and for whom."""

from aiohttp import web

from proxy.control_plane.owned import owned
from proxy.control_plane.visitors import Audience


async def nothing(_: web.Request) -> web.Response:
    return web.Response()


def application() -> web.Application:
    app = web.Application()
    for path in ("/", "/health", "/events/{trace_id}/summary", "/dashboard/page.js"):
        app.router.add_get(path, nothing)
    return app


def test_path_is_its_own_exactly_or_from_a_variable_on() -> None:
    found = owned(application(), Audience.EVERYBODY)

    own = (b"/", b"/health", b"/events/x/summary", b"/events/x", b"/dashboard/page.js")
    assert [found.has(path) for path in own] == [True] * len(own)
    others = (b"/healthz", b"/events", b"/dashboard/", b"//", b"/%68ealth", b"")
    assert [found.has(path) for path in others] == [False] * len(others)


def test_operators_paths_are_free_where_they_have_their_own_listener() -> None:
    found = owned(application(), Audience.EVERYBODY_ELSE)

    assert [found.has(path) for path in (b"/", b"/dashboard/page.js", b"/health")] == [
        False,
        False,
        True,
    ]
