"""`/metrics`: the text that Prometheus reads, or OpenMetrics where it is asked for."""

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from proxy.telemetry.metrics import Metrics


def add_routes(app: web.Application, metrics: Metrics) -> None:
    collectors = metrics.registry()

    async def scrape(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # The type carries a version and a charset, which aiohttp's own argument refuses.
        return web.Response(body=encode(collectors), headers={"Content-Type": content_type})

    app.router.add_get("/metrics", scrape)
