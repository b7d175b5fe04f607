"""A server of several endpoints in a transcript: callers, replicas that answer, time, reloads."""

from math import ceil
from typing import Final

from proxy.data_plane.door import SWEEP_S
from proxy.policy.health import Verdict
from proxy.registry.endpoint import Endpoint
from tests.support.messages import get
from tests.support.successor import successor
from tests.support.transcript import Peer, Transcript

FIRST: Final = "10.0.0.9"
SECOND: Final = "10.0.0.8"
THIRD: Final = "10.0.0.7"
# In turn, so that a test knows who is next.
ONE: Final = f"endpoints: [http://{FIRST}]\nbalance: round_robin"
TWO: Final = f"endpoints: [http://{FIRST}, http://{SECOND}]\nbalance: round_robin"
THREE: Final = f"endpoints: [http://{FIRST}, http://{SECOND}, http://{THIRD}]\nbalance: round_robin"
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LONG: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n"
EVENTS: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def status(code: int) -> bytes:
    """An empty answer."""
    return b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % code


def asking(t: Transcript, request: bytes = b"", address: str = "10.0.0.7") -> Peer:
    """Another caller, with one call (by default a GET)."""
    peer = t.another_client((address, 4711))
    peer.sends(request or get("/servers/o/x"))
    return peer


def asked(t: Transcript) -> Peer | None:
    """The upstream connection on which a call has come that was not looked at yet."""
    live = (each for each in t.upstreams if each.fate == "open")
    return next((each for each in live if each.transport.take()), None)


def answered(peer: Peer) -> int:
    """The status of the one answer that has come; 0 when none has."""
    return int(peer.transport.take()[9:12] or 0)


def call(t: Transcript, answers: dict[str, int], request: bytes = b"") -> tuple[str, int]:
    """One call from its begin to its end: which host was asked, and what the caller got.

    The host answers with the status in `answers`, 200 where there is none.
    """
    caller = asking(t, request)
    upstream = asked(t)
    if upstream is not None:
        upstream.sends(status(answers.get(upstream.host, 200)))
    came = answered(caller)
    caller.ends()
    return upstream.host if upstream is not None else "", came


def endpoint(t: Transcript, host: str) -> Endpoint:
    return next(each for each in t.cluster.endpoints if each.address.host == host)


def probed(t: Transcript, host: str, result: Verdict, times: int = 1) -> None:
    """Active probes come to this result."""
    for _ in range(times):
        t.cluster.probed(endpoint(t, host), result, "as the test says", t.loop.time())


def waits(t: Transcript, seconds: float) -> None:
    """Time goes by as where nothing holds up the loop; `passes` is a stall as long as it is."""
    for _ in range(ceil(round(seconds / SWEEP_S, 6))):
        t.passes(SWEEP_S)


def reloads(t: Transcript, server: str, others: str = "") -> None:
    """The registry's entry of `o` is another, with other servers beside it."""

    def take_up() -> None:
        t.current, removed = successor(t.current, t.witness, server, others, t.loop.time())
        t.plane.pools.forget(removed)

    t.does(take_up)
