"""What most scenes of the chaos suite have in common: replicas of one server, probed quickly."""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from tests.support.chaos_process import Upstream
from tests.support.sidecar import Server, server

# A healthy endpoint is asked seldom, so that nothing but calls finds out; use `WATCHED` otherwise.
QUICK: Final = {"fast_interval": "100ms", "timeout": "500ms", "unhealthy_after": 2}
WATCHED: Final = {**QUICK, "interval": "200ms"}
# What one mechanism does is seen when the others keep still.
NEVER_EJECTED: Final = {"consecutive_errors": 1_000_000}
FORGIVEN_SOON: Final = {"base_ejection": "200ms", "max_ejection": "500ms"}
NEVER_OPEN: Final = {"failures": 1_000_000}


class StartUpstreams(Protocol):
    """Starts so many upstream processes, named a, b, c and so on; the test's end kills them."""

    def __call__(self, count: int) -> list[Upstream]: ...


def replicas(
    upstreams: Iterable[Upstream],
    *,
    namespace: str = "o",
    tools: Sequence[object] = ("call",),
    **keys: object,
) -> Server:
    """One server with an endpoint at each; one that comes back has its full share at once."""
    endpoints = [upstream.url for upstream in upstreams]
    usual = {"endpoints": endpoints, "health": QUICK, "slow_start": 0}
    return server(namespace, "", tools=tools, **(usual | keys))
