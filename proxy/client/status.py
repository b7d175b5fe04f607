"""How is the gateway, as seen from here? In the guide's dictionaries."""

from collections.abc import Mapping
from typing import Final

from proxy.client.answers import document_of
from proxy.client.codec import mapping
from proxy.client.deadline import after, until
from proxy.client.errors import GatewayError
from proxy.client.http import HttpTransport, Request
from proxy.client.sse import SseTransport

_CHECK_WITHIN_S: Final = 5.0


async def of_http(http: HttpTransport, fields: Mapping[str, str]) -> dict[str, object]:
    """`healthy` where the gateway answers; what it says of its servers is in `gateway`."""
    found: dict[str, object] = {"cache_hit_rate": http.cache.hit_rate}
    request = Request(target="/health", what="health_check", fields=fields)
    try:
        async with until(after(_CHECK_WITHIN_S, asked=True), request.what):
            answer = await http.attempt(request)
        gateway = mapping(document_of(answer.body, request.what))
    except GatewayError as error:
        word = "unhealthy" if error.status else "unreachable"
        return {"status": word, **found, "reason": error.detail}
    return {"status": "healthy", **found, "gateway": gateway}


async def of_sse(sse: SseTransport, request: Request) -> dict[str, object]:
    """`connected` where a stream is open, or can be had now."""
    try:
        if not sse.connected:
            await sse.probe(request)
    except GatewayError as error:
        word = "disconnected"
        return {"status": word, "connection_state": word, "reason": error.detail}
    return {
        "status": "connected",
        "connection_state": "connected",
        "streams": sse.connected,
        "reconnects": sse.reconnects,
    }
