"""One endpoint: an address of a server, and what was learnt of it.

Composes the verdict of three sources: probes, calls, and connections that could not be had. Knows
nothing of the other endpoints, so what is decided between them is in `cluster`.
"""

from typing import Final

from proxy.policy.balancing import Latency, seed_of
from proxy.policy.health import Health, Verdict
from proxy.policy.outlier import Outlier
from proxy.registry.address import Address
from proxy.registry.model import Server

LONG_AGO: Final = float("-inf")


class Endpoint:
    """One address of a server and what was learnt of it; kept over reloads.

    Keyed by namespace, address and (where the address is a name) what the name stands for: two
    servers may share an address and disagree on its health.
    """

    __slots__ = (
        "active",
        "address",
        "came_at",
        "credit",
        "full_weight",
        "gone",
        "health",
        "host",
        "ip",
        "latency",
        "namespace",
        "outlier",
        "seed",
        "server",
        "shown",
        "url",
        "usable",
        "weight",
    )

    def __init__(self, namespace: str, address: Address, ip: str, server: Server) -> None:
        self.namespace = namespace
        self.address = address
        self.ip = ip  # empty: the address is no name, or its answer is not known yet
        self.server = server  # the newest settings; replaced by `configure`
        self.health = Health()
        self.outlier = Outlier()
        self.latency = Latency()
        self.usable = True  # kept by the cluster
        self.gone = False  # no generation has it any more; its last calls may still run
        self.active = 0  # attempts in flight
        self.credit = 0.0
        self.weight = self.full_weight = float(address.weight)
        self.came_at = LONG_AGO
        self.host = _host_field(address, server)
        self.url = ""
        self.shown = ""  # to people: where a socket lies is nobody's business outside
        self.seed = 0
        self.settle_at(ip)

    def __repr__(self) -> str:
        return f"<Endpoint {self.namespace} {self.url} {self.verdict.name}>"

    def settle_at(self, ip: str) -> None:
        """The address's name stands for this."""
        self.ip = ip
        self.url = url_of(self.address, ip)
        self.shown = self._shown()
        self.seed = seed_of(self.url)

    def configure(self, address: Address, server: Server) -> None:
        """Take up what a new generation says."""
        self.address = address
        self.server = server
        self.host = _host_field(address, server)
        self.full_weight = float(address.weight)
        self.shown = self._shown()

    def _shown(self) -> str:
        return f"http://{self.server.name}" if self.address.scheme == "unix" else self.url

    # --- one verdict of three sources ---

    @property
    def verdict(self) -> Verdict:
        """What probes say; or what calls say, where probes have nothing against it."""
        probed = self.health.verdict
        return Verdict.UNHEALTHY if self.outlier.ejected and probed.usable else probed

    @property
    def reason(self) -> str:
        ejected = self.outlier.ejected and self.health.verdict.usable
        return self.outlier.reason if ejected else self.health.reason

    @property
    def since(self) -> float:
        """Since when the verdict holds, by the loop's clock; nought before the first."""
        ejected = self.outlier.ejected and self.health.verdict.usable
        return self.outlier.since if ejected else self.health.since

    @property
    def settled(self) -> bool:
        """Is it up by all accounts? Else it is worth probing sooner."""
        return self.health.settled and not self.outlier.ejected


def url_of(address: Address, ip: str) -> str:
    """The address's URL, with what its name stands for where that is known."""
    if not ip:
        return address.url
    host = f"[{ip}]" if ":" in ip else ip
    return f"{address.scheme}://{host}:{address.port}{address.base}"


def _host_field(address: Address, server: Server) -> bytes:
    if address.scheme == "unix":
        return server.name.encode()
    host = f"[{address.host}]" if ":" in address.host else address.host
    default = 443 if address.scheme == "https" else 80
    return (host if address.port == default else f"{host}:{address.port}").encode()
