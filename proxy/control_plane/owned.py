"""Which paths are the control plane's, asked before any of its requests is written.

Taken once from the router. Knows nothing of methods: a path is somebody's whatever is done there.
"""

from typing import NamedTuple

from aiohttp import web

from proxy.control_plane.visitors import Audience, is_shown


class Owned(NamedTuple):
    """Paths as they are, and what the others begin with."""

    exact: frozenset[bytes]
    prefixes: tuple[bytes, ...]

    def has(self, path: bytes) -> bool:
        return path in self.exact or path.startswith(self.prefixes)


def owned(app: web.Application, audience: Audience) -> Owned:
    """What this audience is answered at; operators' paths are free where they have their own."""
    paths = {resource.canonical for resource in app.router.resources()}
    shown = [path for path in paths if is_shown(audience, path)]
    return Owned(
        frozenset(path.encode() for path in shown if "{" not in path),
        tuple(sorted(path.partition("{")[0].encode() for path in shown if "{" in path)),
    )
