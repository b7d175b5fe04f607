"""What one process learns of a server, told to the others, who then know it as well as if seen.

Facts are plain tuples: what, which namespace, and what else. Knows nothing of how they travel.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

from proxy.policy.circuit import Standing
from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.snapshot import Snapshot

Fact = tuple[Any, ...]

_ATTEMPT_FAILED: Final = "attempt failed"
_CALL_FAILED: Final = "call failed"
_CALL_SUCCEEDED: Final = "call succeeded"
_EJECTED: Final = "ejected"
_PROBED: Final = "probed"
_CIRCUIT: Final = "circuit"


class Hearsay:
    """Tells what happens to clusters here, and takes up what has happened elsewhere."""

    def __init__(self, tell: Callable[[Fact], None]) -> None:
        self._tell = tell
        self._hearing = False  # what was told us is not told on from here

    # --- what happens here (as `witness.Witness` says) ---

    def attempt_failed(self, cluster: Cluster, endpoint: Endpoint, code: str) -> None:
        self._say(_ATTEMPT_FAILED, cluster, endpoint.url, code)

    def call_failed(self, cluster: Cluster) -> None:
        self._say(_CALL_FAILED, cluster)

    def call_succeeded(self, cluster: Cluster, endpoint: Endpoint) -> None:
        self._say(_CALL_SUCCEEDED, cluster, endpoint.url)

    def ejected(self, cluster: Cluster, endpoint: Endpoint) -> None:
        self._say(_EJECTED, cluster, endpoint.url, endpoint.outlier.reason)

    def probed(self, cluster: Cluster, endpoint: Endpoint, result: Verdict, reason: str) -> None:
        self._say(_PROBED, cluster, endpoint.url, result, reason)

    def circuit_changed(self, cluster: Cluster) -> None:
        self._say(_CIRCUIT, cluster, cluster.circuit.standing)

    def _say(self, what: str, cluster: Cluster, *more: object) -> None:
        if not self._hearing:
            self._tell((what, cluster.spec.namespace, *more))

    # --- what has happened elsewhere ---

    def hear(self, table: Snapshot, fact: Fact) -> None:
        """Take it up; what is said of a server or an endpoint that is not here means nothing."""
        server = table.servers.get(fact[1].encode())
        if server is None:
            return
        self._hearing = True
        try:
            _take_up(server.cluster, fact, asyncio.get_running_loop().time())
        finally:
            self._hearing = False


def all_of(table: Snapshot) -> Iterator[Fact]:
    """All that is known, for whoever knows nothing yet."""
    for server in table.servers.values():
        cluster = server.cluster
        name = cluster.spec.namespace
        for each in cluster.endpoints:
            if each.health.verdict is not Verdict.UNKNOWN:
                yield _PROBED, name, each.url, each.health.verdict, each.health.reason
            if each.outlier.ejected:
                yield _EJECTED, name, each.url, each.outlier.reason
        if not cluster.circuit.closed:
            yield _CIRCUIT, name, cluster.circuit.standing


def _take_up(cluster: Cluster, fact: Fact, now: float) -> None:
    circuit, previous = cluster.circuit, cluster.circuit.state.value
    match fact:
        case (what, _) if what == _CALL_FAILED:
            circuit.blame(now, partly_well=cluster.partly_well)
            cluster.tell_circuit(previous)
        case (what, _, Standing() as standing) if what == _CIRCUIT:
            circuit.stand(standing)
            cluster.tell_circuit(previous)
        case (_, _, str(url), *_):
            endpoint = next((each for each in cluster.endpoints if each.url == url), None)
            if endpoint is not None:
                _take_up_of(cluster, endpoint, fact, now)
        case _:
            pass


def _take_up_of(cluster: Cluster, endpoint: Endpoint, fact: Fact, now: float) -> None:
    match fact:
        case (what, _, _, str(code)) if what == _ATTEMPT_FAILED:
            cluster.attempt_failed(endpoint, code, now)
        case (what, _, _) if what == _CALL_SUCCEEDED:
            endpoint.outlier.succeed()
            cluster.circuit.clear()
        case (what, _, _, str(reason)) if what == _EJECTED and not endpoint.outlier.ejected:
            cluster.eject(endpoint, reason, now)
        case (what, _, _, Verdict() as result, str(reason)) if what == _PROBED:
            cluster.probed(endpoint, result, reason, now)
        case _:
            pass
