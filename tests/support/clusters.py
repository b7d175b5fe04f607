"""Clusters of a test's own, made of what stands between the braces of a registry entry."""

from typing import Final

from proxy.config.settings import Settings
from proxy.registry.cluster import Cluster
from proxy.registry.load import LoadRules, load
from proxy.registry.model import Server
from tests.support.witness import Heard

ABC: Final = "endpoints: ['http://a', 'http://b', 'http://c']"
NAME: Final = "endpoints: ['http://svc']"


def server_of(entry: str) -> Server:
    text = f"servers:\n- {{namespace: o, name: origin, {entry}}}\n"
    loaded = load(text.encode(), "registry.yaml", LoadRules.of(Settings()), {})
    assert not loaded.findings, loaded.findings
    (server,) = loaded.servers
    return server


def cluster_of(entry: str) -> tuple[Cluster, Heard]:
    """A cluster, and who is told what happens to it."""
    heard = Heard()
    return Cluster(server_of(entry), heard), heard


def urls(cluster: Cluster) -> list[str]:
    return [each.url for each in cluster.endpoints]
