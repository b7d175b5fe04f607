"""What happens to a cluster, and who wants to know of it."""

from typing import Protocol, TypeVar

from proxy.policy.health import Verdict
from proxy.policy.limits import Gate
from proxy.registry.endpoint import Endpoint

Room = tuple[int, int, int]  # how many calls may go at once, wait, and do either


class Parts(Protocol):
    """Where other processes carry calls too: what part is ours of what all have."""

    def fit(self, gate: Gate, name: str, room: Room) -> None: ...


ClusterT_contra = TypeVar("ClusterT_contra", contravariant=True)


class Witness(Protocol[ClusterT_contra]):
    """Who is told what happens to a cluster."""

    def health_changed(self, endpoint: Endpoint, previous: Verdict) -> None: ...

    def circuit_changed(self, cluster: ClusterT_contra, previous: str) -> None: ...

    def panicked(self, cluster: ClusterT_contra) -> None:
        """Ejections were undone, since too few endpoints were left."""

    def moved(self, cluster: ClusterT_contra) -> None:
        """Something of it changes with time alone: `tick` it until it is at rest."""

    def fit(self, gate: Gate, name: str, room: Room) -> None:
        """Give a gate what room there is."""

    # What only others of the same server need to hear (see `hearsay`).

    def attempt_failed(self, cluster: ClusterT_contra, endpoint: Endpoint, code: str) -> None:
        """An attempt failed there: it is worth looking at soon."""

    def call_failed(self, cluster: ClusterT_contra) -> None: ...

    def call_succeeded(self, cluster: ClusterT_contra, endpoint: Endpoint) -> None:
        """One ended well after one had not."""

    def ejected(self, cluster: ClusterT_contra, endpoint: Endpoint) -> None: ...

    def probed(
        self, cluster: ClusterT_contra, endpoint: Endpoint, result: Verdict, reason: str
    ) -> None: ...
