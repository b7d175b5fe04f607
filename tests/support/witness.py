"""Who is told what happens to clusters, and remembers it (see `proxy.registry.witness.Witness`)."""

from proxy.policy.health import Verdict
from proxy.policy.limits import Gate
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.witness import Room


class Heard:
    """A witness: `told` is what it was told, as a person would say it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.doubts: list[Endpoint] = []
        self.restless: set[Cluster] = set()

    def health_changed(self, endpoint: Endpoint, previous: Verdict) -> None:
        self.told.append(f"{endpoint.url} {previous.value} -> {endpoint.verdict.value}")

    def circuit_changed(self, cluster: Cluster, previous: str) -> None:
        self.told.append(f"circuit {previous} -> {cluster.circuit.state.value}")

    def panicked(self, cluster: Cluster) -> None:
        self.told.append(f"panic in {cluster.spec.namespace}")

    def fit(self, gate: Gate, name: str, room: Room) -> None:
        del name
        gate.configure(*room)

    def attempt_failed(self, cluster: Cluster, endpoint: Endpoint, code: str) -> None:
        del cluster, code
        self.doubts.append(endpoint)

    def call_failed(self, cluster: Cluster) -> None:
        """The circuit says it."""

    def call_succeeded(self, cluster: Cluster, endpoint: Endpoint) -> None:
        """Likewise."""

    def ejected(self, cluster: Cluster, endpoint: Endpoint) -> None:
        """`health_changed` says it."""

    def probed(self, cluster: Cluster, endpoint: Endpoint, result: Verdict, reason: str) -> None:
        """Likewise."""

    def moved(self, cluster: Cluster) -> None:
        self.restless.add(cluster)

    def tick(self, now: float) -> None:
        self.restless = {cluster for cluster in self.restless if cluster.tick(now)}
