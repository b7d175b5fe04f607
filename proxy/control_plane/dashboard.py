"""`/`: the dashboard, one static page. Its files are read once, when the sidecar starts.

Knows nothing of what the page shows: the page asks `/events`, `/health`, `/tools` and `/readyz`.
"""

import hashlib
from collections.abc import Awaitable, Callable
from importlib import resources
from typing import Final

from aiohttp import ETag, web

_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_PAGE: Final = "index.html"
_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_Handler = Callable[[web.Request], Awaitable[web.Response]]


def add_routes(app: web.Application) -> None:
    for file in (resources.files(__package__) / "page").iterdir():
        suffix = file.name[file.name.rfind(".") :]
        if suffix in _TYPES:
            path = "/" if file.name == _PAGE else f"/dashboard/{file.name}"
            app.router.add_get(path, _handler(file.read_bytes(), _TYPES[suffix]))


def _handler(body: bytes, content_type: str) -> _Handler:
    etag = ETag(hashlib.sha256(body).hexdigest()[:16])

    async def file(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in (etag.value, "*") for each in known):
            response = web.Response(status=304, headers=_HEADERS)
        else:
            response = web.Response(
                body=body, content_type=content_type, charset="utf-8", headers=_HEADERS
            )
        response.etag = etag
        return response

    return file
