"""Facts about the probes' schedule."""

import asyncio

import pytest

from proxy.config.settings import Settings
from proxy.control_plane import prober
from proxy.control_plane.prober import Around, Prober
from proxy.registry.load import LoadRules, load
from proxy.registry.snapshot import Snapshot, succeed
from proxy.registry.surroundings import Surroundings
from proxy.registry.tls import TlsContexts
from tests.support.transcript import resolves_nothing
from tests.support.witness import Heard


def table(servers: int) -> Snapshot:
    entries = "".join(f"- {{namespace: s{n}, name: s, port: 9}}\n" for n in range(servers))
    loaded = load(f"servers:\n{entries}".encode(), "r.yaml", LoadRules.of(Settings()), {})
    *_, new = succeed(Snapshot(), loaded, Surroundings(lambda text: text, lambda _: True, Heard()))
    return new


@pytest.mark.parametrize(
    ("servers", "within_s"), [(1, 0.05), (500, 1.0), (5000, 3.0)], ids=["one", "many", "too-many"]
)
async def test_endpoints_that_come_together_are_probed_apart(
    monkeypatch: pytest.MonkeyPatch, servers: int, within_s: float
) -> None:
    spreads: set[tuple[float, float]] = set()

    def drawn(least: float, most: float) -> float:
        spreads.add((least, most))
        return 100.0

    monkeypatch.setattr(prober, "uniform", drawn)
    probing = Prober(3.0, Around(TlsContexts(), resolves_nothing, lambda: 0.0))

    probing.follow(table(servers), [])
    await asyncio.sleep(0)

    await probing.stop()
    assert spreads == {(0, within_s)}
