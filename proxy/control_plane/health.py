"""`/health`, `/livez`, `/readyz`: how are the upstreams, and should this sidecar get calls?"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web

from proxy import errors
from proxy.control_plane.slices import answer_list
from proxy.control_plane.visitors import visitor_of
from proxy.generations.registrar import Registrar
from proxy.policy.circuit import Circuit
from proxy.policy.health import aggregate
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint

_SLICE: Final = 100  # servers encoded at a time: about a millisecond


def add_routes(
    app: web.Application,
    registrar: Registrar,
    draining: Callable[[], bool],
    problems: Callable[[], dict[str, str]],
) -> None:
    registry = registrar.live

    async def health(request: web.Request) -> web.StreamResponse:
        """Per namespace: healthy while one endpoint is usable."""
        servers = list(registry.current.servers.values())
        usable = [bool(server.cluster.usable) for server in servers]
        healthy = sum(usable)
        summary = {
            "status": aggregate(usable),
            "backends_total": len(usable),
            "backends_healthy": healthy,
            "backends_unhealthy": len(usable) - healthy,
        }
        if not visitor_of(request).admin:
            return json_answer(summary)
        start = orjson.dumps(summary)[:-1] + b',"servers":['
        moments = Moments(asyncio.get_running_loop().time())
        return await answer_list(
            request, start, servers, lambda server: row(server.cluster, moments), _SLICE
        )

    async def livez(_: web.Request) -> web.Response:
        return json_answer({"status": "alive"})

    async def readyz(request: web.Request) -> web.Response:
        table = registry.current
        if draining():
            raise errors.DrainingError("The sidecar is about to stop", retry_after_s=1)
        if not table.generation:
            why = registrar.problem or "Nobody has looked at it yet"
            raise errors.RegistryNotLoadedError(f"There is no registry: {why}", retry_after_s=1)
        if not visitor_of(request).admin:
            return json_answer({"status": "ready", "generation": table.generation})
        return json_answer(
            {
                "status": "ready",
                "generation": table.generation,
                "identity": table.identity,
                "problem": registrar.problem,
                "problems": problems(),
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


class Moments:
    """The loop's moments as people write them: UTC, RFC 3339. Made anew for each answer.

    With the same `offset_s`, the same moment is always written alike.
    """

    def __init__(self, now: float, offset_s: float | None = None) -> None:
        self.now = now
        self._offset_s = clocks_apart_s(now) if offset_s is None else offset_s

    def written(self, moment: float | None) -> str | None:
        """None stays None, and so does nought: it has not happened."""
        if not moment:
            return None
        return written(self._offset_s + moment)


def clocks_apart_s(now: float) -> float:
    """What to add to the loop's time, for seconds of the epoch."""
    return datetime.now(UTC).timestamp() - now


def written(epoch_s: float) -> str:
    """Seconds of the epoch: UTC, RFC 3339."""
    then = datetime.fromtimestamp(epoch_s, UTC)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def row(cluster: Cluster, moments: Moments) -> bytes:
    """One server as `/health` shows it."""
    return orjson.dumps(
        {
            "namespace": cluster.spec.namespace,
            "status": cluster.verdict.value,
            "usable": len(cluster.usable),
            "in_flight": cluster.gate.busy,
            "queued": cluster.queued,
            "panics": cluster.panics,
            "circuit": circuit_figures(cluster.circuit, moments),
            "endpoints": [endpoint_figures(each, moments) for each in cluster.endpoints],
        }
    )


def circuit_figures(circuit: Circuit, moments: Moments) -> dict[str, object]:
    """The contract's nine figures, and how long an open one will stay so."""
    return {
        "state": circuit.state.value,
        "failure_count": circuit.failure_count,
        "success_count": circuit.success_count,
        "total_calls": circuit.total_calls,
        "total_failures": circuit.total_failures,
        "total_successes": circuit.total_successes,
        "failure_rate": circuit.failure_rate,
        "state_changes": circuit.state_changes,
        "last_failure_time": moments.written(circuit.last_failure_at),
        "retry_after_s": circuit.retry_after_s(moments.now),
    }


def endpoint_figures(endpoint: Endpoint, moments: Moments) -> dict[str, object]:
    return {
        "url": endpoint.shown,
        "weight": endpoint.address.weight,
        "status": endpoint.verdict.value,
        "reason": endpoint.reason,
        "since": moments.written(endpoint.since),
        "usable": endpoint.usable,
        "ejected": endpoint.outlier.ejected,
        "in_flight": endpoint.active,
    }
