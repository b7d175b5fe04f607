"""`/health`, `/livez`, `/readyz`: how are the upstreams, and should this sidecar get calls?"""

from collections.abc import Callable
from http import HTTPStatus

import orjson
from aiohttp import web

from proxy import errors
from proxy.policy.health import aggregate
from proxy.registry.live import LiveRegistry


def add_routes(app: web.Application, registry: LiveRegistry, draining: Callable[[], bool]) -> None:
    async def health(_: web.Request) -> web.Response:
        """Per namespace: healthy while one endpoint is usable."""
        usable = [server.verdict.usable for server in registry.current.servers.values()]
        healthy = sum(usable)
        return json_answer(
            {
                "status": aggregate(usable),
                "backends_total": len(usable),
                "backends_healthy": healthy,
                "backends_unhealthy": len(usable) - healthy,
            }
        )

    async def livez(_: web.Request) -> web.Response:
        return json_answer({"status": "alive"})

    async def readyz(_: web.Request) -> web.Response:
        table = registry.current
        if draining():
            raise errors.DrainingError("The sidecar is about to stop", retry_after_s=1)
        return json_answer(
            {
                "status": "ready",
                "generation": table.generation,
                "problem": registry.problem,
                "quarantined": [
                    {
                        "server": broken.namespace or f"servers[{broken.index}]",
                        "problems": [str(finding) for finding in broken.findings],
                    }
                    for broken in table.quarantined
                ],
            }
        )

    app.router.add_get("/health", health)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)


def json_answer(document: object, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(document), content_type="application/json")
