"""The control plane's routes, and what holds for all of them.

Errors are problem+json here too; every answer carries the ids of its request. One module per
surface says what is answered.
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import HttpVersion11, web
from aiohttp.typedefs import Middleware

from proxy import errors
from proxy.config.settings import Settings
from proxy.control_plane import (
    capabilities,
    catalog,
    dashboard,
    events,
    health,
    registry,
    sark,
    scrape,
)
from proxy.control_plane.inner import failed, matched
from proxy.control_plane.upstream_documents import UpstreamDocuments
from proxy.control_plane.visitors import Audience, Desk, visits
from proxy.events.hub import Hub
from proxy.generations.registrar import Registrar
from proxy.policy.browser import CorsRules, cors_fields
from proxy.registry.live import LiveRegistry
from proxy.registry.tls import TlsContexts
from proxy.telemetry.metrics import Metrics
from proxy.wire.problem import problem
from proxy.wire.trace import Trace

_LOG = logging.getLogger("toolproxy")
_IDS: Final = ("X-Chora-Trace-Id", "X-Request-Id")  # given by the bridge with every request
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Surfaces(NamedTuple):
    """What the control plane shows."""

    registry: LiveRegistry
    registrar: Registrar
    metrics: Metrics
    hub: Hub
    kept: Callable[[], list[list[Path]]]  # files of past events
    problems: Callable[[], dict[str, str]]  # of what works beside calls
    instance: str
    draining: Callable[[], bool]
    cors: Callable[[], CorsRules | None]
    desk: Callable[[], Desk]
    settings: Callable[[], Settings]
    tls: TlsContexts


def application(surfaces: Surfaces, audience: Audience) -> web.Application:
    """The aiohttp application behind the bridge."""
    app = web.Application(
        middlewares=[_problems(surfaces.instance), visits(audience, surfaces.desk)]
    )
    app.on_response_prepare.append(_finish(surfaces))
    elsewhere = surfaces.metrics.elsewhere
    health.add_routes(app, surfaces.registrar, surfaces.draining, surfaces.problems, elsewhere)
    listed = catalog.Catalog(surfaces.registry)
    catalog.add_routes(app, listed)
    sark.add_routes(app, listed, elsewhere)
    upstreams = UpstreamDocuments(surfaces.registry, surfaces.tls)
    capabilities.add_routes(app, listed, upstreams, surfaces.settings)
    scrape.add_routes(app, surfaces.metrics)
    dashboard.add_routes(app)
    events.add_routes(app, surfaces.hub, surfaces.registry, surfaces.kept)
    registry.add_routes(app, surfaces.registrar, surfaces.hub)
    return app


def _problems(instance: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except errors.ProxyError as error:
            return _answer(error, instance, request)
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            return _answer(
                errors.MethodNotAllowedError(
                    f"{request.path} takes {allowed}", headers=(("Allow", allowed),)
                ),
                instance,
                request,
            )
        except web.HTTPException as error:
            if error.status < 400:  # noqa: PLR2004 - a redirection is no error
                raise
            return _answer(_KNOWN.get(error.status, _not_found)(request), instance, request)
        except Exception:  # noqa: BLE001 - a bug here is one answer, logged; calls go on
            _LOG.exception("A bug of ours in %s %s", request.method, request.path)
            bug = errors.InternalError("The sidecar failed; its log says why")
            return _answer(bug, instance, request)

    return middleware


def _not_found(request: web.Request) -> errors.ProxyError:
    return errors.ToolNotFoundError(f"Nothing is served at {request.path}; tools are at /tools")


def _too_large(request: web.Request) -> errors.ProxyError:
    return errors.BodyTooLargeError(f"The body may have {request.client_max_size} bytes here")


_KNOWN: Final = {404: _not_found, 413: _too_large}


def _answer(error: errors.ProxyError, instance: str, request: web.Request) -> web.Response:
    failed(request, error)
    trace_id, request_id = (request.headers.get(name, "").encode() for name in _IDS)
    parts = problem(error, instance, Trace(trace_id, request_id, b"", b""))
    response = web.Response(status=parts.status, reason=parts.reason, body=parts.body)
    response.headers.extend(dict(parts.headers))
    return response


def _finish(
    surfaces: Surfaces,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Headers of every answer."""

    async def finish(request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        matched(request, resource.canonical if resource is not None else "unmatched")
        response.headers["Server"] = "toolproxy"
        for name in _IDS:
            response.headers[name] = request.headers.get(name, "")
        if surfaces.desk().asks_who and "Cache-Control" not in response.headers:
            response.headers["Cache-Control"] = "private, no-cache"  # it is for who asked
        if request.version < HttpVersion11 and not request.keep_alive:
            response.headers["Connection"] = "close"  # we answer as HTTP/1.1, where it must be said
        rules = surfaces.cors()
        if rules is not None and "Origin" in request.headers:
            noted = {b"origin": request.headers["Origin"].encode()}
            for line in cors_fields(noted, rules).decode().splitlines():
                name, _, value = line.partition(": ")
                response.headers[name] = value

    return finish
