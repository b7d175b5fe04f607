"""`/metrics`: the text that Prometheus reads, or OpenMetrics where it is asked for."""

from typing import cast

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from proxy.control_plane.slices import answer_pieces
from proxy.telemetry.exposition import Encode, written
from proxy.telemetry.metrics import Metrics


def add_routes(app: web.Application, metrics: Metrics) -> None:
    async def scrape(request: web.Request) -> web.StreamResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # The type carries a version and a charset, which aiohttp's own argument refuses.
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await metrics.elsewhere.renew()
        text = written(metrics.pieces(), cast("Encode", encode))
        return await answer_pieces(request, response, text)

    app.router.add_get("/metrics", scrape)
