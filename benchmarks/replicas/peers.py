"""Who is tried with a bad replica: the sidecar by its ways of balancing, and the others'."""

from typing import Final

from benchmarks.peers.builds import OURS
from benchmarks.peers.envoy import FULL_SCAN, LEAST_REQUEST
from benchmarks.peers.haproxy import LEASTCONN
from benchmarks.peers.nginx import LEAST_CONN, NGINX
from benchmarks.peers.peer import Peer
from benchmarks.peers.toolproxy import Setup

# As many as Envoy's: a balancer that goes on calling a slow endpoint fills it up.
_LIMITS: Final = "limits: {max_connections: 1024}"


def _sidecar(balance: str, colour: str) -> Peer:
    setup = Setup(home=OURS.best_home, server_keys=(f"balance: {balance}", _LIMITS))
    return Peer(
        key=balance,
        title=f"toolproxy, {balance}",
        colour=colour,
        apart="compiled where that is possible; everything on that"
        f" `benchmarks/conf/everything.yaml` has, with `balance: {balance}` and `{_LIMITS}`",
        prepare=OURS.prepare,
        missing=lambda: None,
        version=setup.version,
        launch=setup.launch,
    )


ROBIN: Final = _sidecar("round_robin", "#9db8ee")
LEAST: Final = _sidecar("least_request", "#2f5fc4")
EWMA: Final = _sidecar("peak_ewma", "#17316b")

PEERS: Final = (NGINX, LEAST_CONN, LEASTCONN, LEAST_REQUEST, FULL_SCAN, ROBIN, LEAST, EWMA)
