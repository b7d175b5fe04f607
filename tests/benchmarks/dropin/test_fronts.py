"""Peers as they stand towards callers: over TLS, with routes, with workers."""

import ssl
import urllib.request
from pathlib import Path

import pytest
import yaml

from benchmarks import processes
from benchmarks.dropin.cases import CASES
from benchmarks.dropin.handshakes import trusting
from benchmarks.peers.haproxy import HAPROXY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.peer import Front, Peer, Place, running
from benchmarks.peers.toolproxy import MANY_ROUTES, TOOLPROXY
from benchmarks.processes import ALL_CORES, proxy_cores
from benchmarks.selection import named
from tests.support.starters import StartOrigin

PEERS = (NGINX, HAPROXY)
FRONTS = {
    "tools": (Front(), "/tools/bench.echo", b"/tools/echo"),
    "tls": (Front(tls=True), "/tools/bench.echo", b"/tools/echo"),
    "route": (Front(routed=True), "/api/echo", b"/echo"),
    "websockets-route": (Front(routed=True), "/ws/echo", b"/echo"),
    "workers": (Front(workers=2), "/tools/bench.echo", b"/tools/echo"),
}


@pytest.mark.sockets
@pytest.mark.parametrize(("front", "path", "target"), FRONTS.values(), ids=FRONTS)
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.key)
def test_each_peer_carries_the_call_as_its_front_says(
    peer: Peer, front: Front, path: str, target: bytes, start_origin: StartOrigin, tmp_path: Path
) -> None:
    if why := peer.missing():
        pytest.skip(f"{peer.title}: {why}")
    origin = start_origin()
    upstream = [f"127.0.0.1:{origin.port}"]

    with running(peer, tmp_path / "peer", upstream, ALL_CORES, front=front) as proxy:
        tls = trusting() if front.tls else None
        urllib.request.urlopen(proxy.url(path), b"{}", context=tls).close()  # noqa: S310 - its own

    assert [call.target for call in origin.calls] == [target]


@pytest.mark.sockets
def test_the_sidecar_carries_a_routed_call_over_tls(
    start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin()
    front = Front(tls=True, routed=True)

    upstream = [f"127.0.0.1:{origin.port}"]
    with running(TOOLPROXY, tmp_path / "peer", upstream, ALL_CORES, front=front) as proxy:
        url = proxy.url("/api/echo")
        urllib.request.urlopen(url, b"{}", context=trusting()).close()  # noqa: S310 - its own

    assert [call.target for call in origin.calls] == [b"/echo"]


def settings(peer: Peer, front: Front, folder: Path) -> dict[str, object]:
    launch = peer.launch(Place(folder, 8080, ["127.0.0.1:9"], front))
    said: dict[str, object] = yaml.safe_load(
        Path(launch.command[launch.command.index("-c") + 1]).read_text()
    )
    return said


def test_a_plain_sidecar_says_no_more_than_where_it_listens(tmp_path: Path) -> None:
    said = settings(TOOLPROXY, Front(), tmp_path)

    assert said["listen"] == "127.0.0.1:8080"
    assert not {"routes", "workers"} & said.keys()


def test_a_sidecar_is_told_of_tls_routes_and_workers(tmp_path: Path) -> None:
    said = settings(TOOLPROXY, Front(tls=True, routed=True, workers=2), tmp_path)

    files = {"cert": str(tmp_path / "bench.pem"), "key": str(tmp_path / "bench.key")}
    assert said["listen"] == {"address": "127.0.0.1:8080", "tls": {**files, "min_version": "1.3"}}
    assert said["workers"] == 2
    assert said["routes"] == [
        {"match": {"prefix": "/api/"}, "to": "bench", "rewrite": "/"},
        {"match": {"prefix": "/ws/"}, "to": "bench", "rewrite": "/"},
    ]


def test_a_thousand_routes_are_a_thousand(tmp_path: Path) -> None:
    routes = settings(MANY_ROUTES, Front(), tmp_path)["routes"]

    assert isinstance(routes, list)
    assert len({str(each["match"]) for each in routes}) == 1000


@pytest.mark.parametrize(
    ("asked", "keys"),
    [
        ("route,websocket", ["route", "routes", "websocket", "websocket16k"]),
        ("tls", ["tls", "handshakes"]),
        ("workers", ["workers", "worker"]),
        ("handshakes", ["handshakes"]),
    ],
)
def test_a_case_brings_its_other_rows_along(asked: str, keys: list[str]) -> None:
    assert [case.key for case in named("case", CASES, asked)] == keys


@pytest.mark.parametrize(
    ("cores", "workers", "own"),
    [
        ([0], 1, {0}),
        ([0, 1], 1, {0}),
        ([0, 1], 2, {0, 1}),
        ([0, 1, 2], 2, {0, 1}),
        ([4, 5, 6, 7], 2, {4, 5}),
    ],
)
def test_load_keeps_the_last_core_where_there_are_enough(
    cores: list[int], workers: int, own: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_CORES", cores)

    assert proxy_cores(workers) == own


def test_the_loads_certificate_is_not_checked_and_its_protocol_is() -> None:
    context = trusting()

    assert context.verify_mode is ssl.CERT_NONE
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
