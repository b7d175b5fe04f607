"""Who is told what happens to clusters, and remembers it (see `proxy.registry.cluster.Witness`)."""

from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint


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

    def doubted(self, endpoint: Endpoint) -> None:
        self.doubts.append(endpoint)

    def moved(self, cluster: Cluster) -> None:
        self.restless.add(cluster)

    def tick(self, now: float) -> None:
        self.restless = {cluster for cluster in self.restless if cluster.tick(now)}
