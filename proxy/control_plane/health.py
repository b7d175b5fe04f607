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
from proxy.policy.health import aggregate
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.telemetry.elsewhere import ACTIVE, ENDED, HOW_CALLS_END, IN_FLIGHT, QUEUED, Elsewhere

_SLICE: Final = 100  # servers encoded at a time: about a millisecond


def add_routes(
    app: web.Application,
    registrar: Registrar,
    draining: Callable[[], bool],
    problems: Callable[[], dict[str, str]],
    elsewhere: Elsewhere,
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
        await elsewhere.renew()
        start = orjson.dumps(summary)[:-1] + b',"servers":['
        moments = Moments(asyncio.get_running_loop().time())
        return await answer_list(
            request, start, servers, lambda server: row(server.cluster, moments, elsewhere), _SLICE
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


def row(cluster: Cluster, moments: Moments, elsewhere: Elsewhere) -> bytes:
    """One server as `/health` shows it."""
    namespace = cluster.spec.namespace
    return orjson.dumps(
        {
            "namespace": namespace,
            "status": cluster.verdict.value,
            "usable": len(cluster.usable),
            "in_flight": cluster.gate.busy + int(elsewhere.number(IN_FLIGHT, namespace)),
            "queued": cluster.queued + int(elsewhere.number(QUEUED, namespace)),
            "panics": cluster.panics,
            "circuit": circuit_figures(cluster, moments, elsewhere),
            "endpoints": [endpoint_figures(each, moments, elsewhere) for each in cluster.endpoints],
        }
    )


def circuit_figures(cluster: Cluster, moments: Moments, elsewhere: Elsewhere) -> dict[str, object]:
    """The contract's nine figures, and how long an open one will stay so."""
    circuit, namespace = cluster.circuit, cluster.spec.namespace
    failures, successes, abandoned = (
        int(elsewhere.number(ENDED, namespace, how)) for how in HOW_CALLS_END
    )
    failures += circuit.total_failures
    successes += circuit.total_successes
    proved = failures + successes
    return {
        "state": circuit.state.value,
        "failure_count": circuit.failure_count,
        "success_count": circuit.success_count,
        "total_calls": proved + circuit.abandoned + abandoned,
        "total_failures": failures,
        "total_successes": successes,
        "failure_rate": failures / proved if proved else 0.0,
        "state_changes": circuit.state_changes,
        "last_failure_time": moments.written(circuit.last_failure_at),
        "retry_after_s": circuit.retry_after_s(moments.now),
    }


def endpoint_figures(
    endpoint: Endpoint, moments: Moments, elsewhere: Elsewhere
) -> dict[str, object]:
    active = elsewhere.number(ACTIVE, endpoint.namespace, endpoint.url)
    return {
        "url": endpoint.shown,
        "weight": endpoint.address.weight,
        "backup": endpoint.address.backup,
        "status": endpoint.verdict.value,
        "reason": endpoint.reason,
        "since": moments.written(endpoint.since),
        "usable": endpoint.usable,
        "ejected": endpoint.outlier.ejected,
        "in_flight": endpoint.active + int(active),
    }
