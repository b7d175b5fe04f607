"""What a sidecar says of its servers, and whether all that a trouble took is given back."""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from tests.support.hardening_holdings import Holdings, holdings
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

_MOST_GROWN_BYTES: Final = 16 << 20
_LOOKS: Final = 10
_APART_S: Final = 0.005


class Circuit(msgspec.Struct):
    """The figures of a server's breaker."""

    state: str
    failure_count: int
    success_count: int
    total_calls: int
    total_failures: int
    total_successes: int
    failure_rate: float
    state_changes: int
    last_failure_time: str | None
    retry_after_s: float


class Endpoint(msgspec.Struct):
    """What is known of one endpoint."""

    url: str
    weight: int
    status: str
    reason: str
    since: str | None
    usable: bool
    ejected: bool
    in_flight: int


class Server(msgspec.Struct):
    """What is known of one server."""

    namespace: str
    status: str
    usable: int  # of its endpoints
    queued: int
    in_flight: int
    panics: int
    circuit: Circuit
    endpoints: list[Endpoint]

    def endpoint(self, url: str) -> Endpoint:
        return next(each for each in self.endpoints if each.url == url)


class _Page(msgspec.Struct):
    servers: list[Server]


def servers_of(sidecar: Sidecar) -> list[Server]:
    return msgspec.json.decode(sidecar.get("/health").body, type=_Page).servers


def state_of(sidecar: Sidecar, namespace: str = "o") -> Server:
    return next(each for each in servers_of(sidecar) if each.namespace == namespace)


def status_of(sidecar: Sidecar, url: str) -> str:
    """The verdict on one endpoint of the server `o`."""
    return state_of(sidecar).endpoint(url).status


def metric(sidecar: Sidecar, name: str, **labels: str) -> float:
    """The sum of all samples of this name that have these labels."""
    text = sidecar.get("/metrics").body.decode()
    samples = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = {f'{label}="{value}"' for label, value in labels.items()}
    return sum(float(value) for found, value in samples if wanted <= set(found.split(",")))


@contextlib.contextmanager
def nothing_left_over(sidecar: Sidecar) -> Iterator[None]:
    """Whatever happens inside, afterwards the sidecar holds no more than it did before."""
    assert eventually(lambda: _all_probed(sidecar)), servers_of(sidecar)
    before, resident_bytes = _least_holdings(sidecar), sidecar.resident_bytes()
    yield
    assert eventually(lambda: _is_at_rest(sidecar)), servers_of(sidecar)
    # Again and again, since probes come and go.
    back = eventually(lambda: _fits(holdings(sidecar), before))
    assert back, f"{holdings(sidecar)} is more than {before}"
    assert sidecar.resident_bytes() - resident_bytes < _MOST_GROWN_BYTES
    sidecar.assert_no_traceback()


def _least_holdings(sidecar: Sidecar) -> Holdings:
    """What it holds when no probe is under way: they come and go at any time."""
    least = holdings(sidecar)
    for _ in range(_LOOKS):
        time.sleep(_APART_S)
        least = Holdings(*map(min, least, holdings(sidecar)))
    return least


def _fits(now: Holdings, before: Holdings) -> bool:
    return all(a <= b for a, b in zip(now, before, strict=True))


def _is_at_rest(sidecar: Sidecar) -> bool:
    servers = servers_of(sidecar)
    waiting = sum(each.queued + each.in_flight for each in servers)
    return not waiting and not any(e.in_flight for each in servers for e in each.endpoints)


def _all_probed(sidecar: Sidecar) -> bool:
    servers = servers_of(sidecar)
    return all(e.status != "unknown" for each in servers for e in each.endpoints)
