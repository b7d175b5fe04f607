"""Peers before an upstream of three endpoints."""

import urllib.request
from pathlib import Path

import pytest
import yaml

from benchmarks.peers.aiohttp_plain import AIOHTTP
from benchmarks.peers.fastapi_httpx import FASTAPI
from benchmarks.peers.peer import Peer, running
from benchmarks.peers.table import PEERS
from benchmarks.peers.toolproxy import COMPILED, registry
from benchmarks.processes import ALL_CORES
from benchmarks.replicas.peers import EWMA
from benchmarks.replicas.peers import PEERS as BALANCING
from tests.support.starters import StartOrigin

# Two of one endpoint, one that is run like another, and one that prefers whom it knows.
_LEFT_OUT = (AIOHTTP, FASTAPI, COMPILED, EWMA)
_ALL = {peer.key: peer for peer in (*PEERS, *BALANCING) if peer not in _LEFT_OUT}
_CALLS = 60


@pytest.mark.sockets
@pytest.mark.parametrize("peer", _ALL.values(), ids=_ALL)
def test_calls_are_spread_over_all_endpoints(
    peer: Peer, start_origin: StartOrigin, tmp_path: Path
) -> None:
    if why := peer.missing():
        pytest.skip(f"{peer.title}: {why}")
    origins = [start_origin() for _ in range(3)]
    upstream = [f"127.0.0.1:{origin.port}" for origin in origins]

    with running(peer, tmp_path / "peer", upstream, ALL_CORES) as proxy:
        url = f"http://127.0.0.1:{proxy.port}/tools/bench.echo"
        for _ in range(_CALLS):
            urllib.request.urlopen(url, b"{}").close()

    targets = [{call.target for call in origin.calls} for origin in origins]
    assert targets == [{b"/tools/echo"}] * 3
    assert sum(len(origin.calls) for origin in origins) == _CALLS


def test_a_registry_has_keys_for_each_server_and_each_tool() -> None:
    text = registry(["a:1", "b:2"], {"x": ["t", "u"]}, ["balance: peak_ewma"], ", idempotent: true")

    assert yaml.safe_load(text)["servers"] == [
        {
            "namespace": "x",
            "name": "x",
            "endpoints": ["http://a:1", "http://b:2"],
            "balance": "peak_ewma",
            "tools": [{"name": "t", "idempotent": True}, {"name": "u", "idempotent": True}],
        }
    ]
