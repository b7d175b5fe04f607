"""Facts about one endpoint: its verdict of three sources, its URL, what a reload renews."""

import pytest

from proxy.policy.health import Verdict
from proxy.registry.endpoint import Endpoint, url_of
from proxy.registry.model import Outlier
from tests.support.clusters import server_of

UNKNOWN, HEALTHY, UNHEALTHY, UNREACHABLE = Verdict


def endpoint_of(address: str, more: str = "tls: null", ip: str = "") -> Endpoint:
    server = server_of(f"endpoints: [{address}], {more}")
    return Endpoint("o", server.endpoints[0], ip, server)


def probed(endpoint: Endpoint, result: Verdict) -> None:
    endpoint.health.probed(result, "the probe's reason", 5.0, healthy_after=2, unhealthy_after=3)


# --- one verdict ---


@pytest.mark.parametrize(
    ("by_probes", "ejected", "verdict", "reason", "since"),
    [
        pytest.param(UNKNOWN, False, UNKNOWN, "not probed yet", 0.0, id="nothing-known"),
        pytest.param(HEALTHY, False, HEALTHY, "the probe's reason", 5.0, id="probed"),
        pytest.param(UNKNOWN, True, UNHEALTHY, "the calls' reason", 9.0, id="ejected"),
        pytest.param(HEALTHY, True, UNHEALTHY, "the calls' reason", 9.0, id="probed-and-ejected"),
        pytest.param(UNHEALTHY, True, UNHEALTHY, "the probe's reason", 5.0, id="ill-and-ejected"),
        pytest.param(
            UNREACHABLE, True, UNREACHABLE, "the probe's reason", 5.0, id="off-and-ejected"
        ),
        pytest.param(UNREACHABLE, False, UNREACHABLE, "the probe's reason", 5.0, id="off"),
    ],
)
def test_verdict_has_a_reason_and_a_moment(
    by_probes: Verdict, verdict: Verdict, reason: str, since: float, *, ejected: bool
) -> None:
    endpoint = endpoint_of("http://a")
    if by_probes is not UNKNOWN:
        probed(endpoint, by_probes)
    if ejected:
        endpoint.outlier.eject(Outlier(), "the calls' reason", 9.0)

    assert (endpoint.verdict, endpoint.reason, endpoint.since) == (verdict, reason, since)


def test_reason_of_the_probes_returns_with_the_end_of_the_ejection() -> None:
    endpoint = endpoint_of("http://a")
    probed(endpoint, HEALTHY)
    endpoint.outlier.eject(Outlier(), "the calls' reason", 9.0)

    endpoint.outlier.take_back(12.0)

    assert (endpoint.verdict, endpoint.reason, endpoint.since) == (
        HEALTHY,
        "the probe's reason",
        5.0,
    )


@pytest.mark.parametrize(
    ("results", "ejected", "settled"),
    [
        pytest.param([], False, False, id="unknown"),
        pytest.param([HEALTHY], False, True, id="up"),
        pytest.param([HEALTHY, UNREACHABLE], False, False, id="doubted"),
        pytest.param([HEALTHY], True, False, id="ejected"),
        pytest.param([UNREACHABLE], False, False, id="down"),
    ],
)
def test_settled_endpoint_is_up_by_all_accounts(
    results: list[Verdict], *, ejected: bool, settled: bool
) -> None:
    endpoint = endpoint_of("http://a")
    for result in results:
        probed(endpoint, result)
    if ejected:
        endpoint.outlier.eject(Outlier(), "", 9.0)

    assert endpoint.settled is settled


def test_new_endpoint_is_unknown_and_takes_traffic() -> None:
    endpoint = endpoint_of("{url: 'http://a', weight: 3}")

    assert (repr(endpoint), endpoint.usable, endpoint.gone, endpoint.active, endpoint.weight) == (
        "<Endpoint o http://a:80 UNKNOWN>",
        True,
        False,
        0,
        3.0,
    )


# --- where it is ---


@pytest.mark.parametrize(
    ("address", "ip", "url"),
    [
        pytest.param("http://svc", "", "http://svc:80", id="not-resolved"),
        pytest.param("http://svc:8/base", "10.0.0.1", "http://10.0.0.1:8/base", id="resolved"),
        pytest.param("https://svc", "fd00::1", "https://[fd00::1]:443", id="ipv6"),
        pytest.param("'unix:/run/x.sock:/b'", "", "unix:/run/x.sock:/b", id="socket"),
    ],
)
def test_url_shows_what_a_name_stands_for(address: str, ip: str, url: str) -> None:
    endpoint = endpoint_of(address, ip=ip)

    assert (endpoint.url, url_of(endpoint.address, ip)) == (url, url)


def test_place_among_keys_is_that_of_the_address_it_settles_at() -> None:
    settled = endpoint_of("http://svc")
    before = settled.seed

    settled.settle_at("10.0.0.1")

    resolved = endpoint_of("http://svc", ip="10.0.0.1")
    assert (settled.ip, settled.url, settled.seed) == (resolved.ip, resolved.url, resolved.seed)
    assert settled.seed != before


@pytest.mark.parametrize(
    ("address", "host"),
    [
        pytest.param("http://svc", b"svc", id="name"),
        pytest.param("https://svc:443", b"svc", id="default-port-of-https"),
        pytest.param("http://svc:443", b"svc:443", id="other-port"),
        pytest.param("'http://[fd00::1]:8'", b"[fd00::1]:8", id="ipv6"),
        pytest.param("'unix:/run/x.sock'", b"origin", id="socket"),
    ],
)
def test_host_field_is_of_the_address_whatever_it_stands_for(address: str, host: bytes) -> None:
    endpoint = endpoint_of(address)

    endpoint.settle_at("10.0.0.1")

    assert endpoint.host == host


def test_reload_renews_what_is_configured_and_keeps_what_was_learnt() -> None:
    endpoint = endpoint_of("http://svc", ip="10.0.0.1")
    probed(endpoint, UNREACHABLE)
    endpoint.outlier.errors = 3
    server = server_of("endpoints: [{url: 'http://svc', weight: 4}], timeout: 3s")

    endpoint.configure(server.endpoints[0], server)

    assert (endpoint.server is server, endpoint.full_weight, endpoint.url) == (
        True,
        4.0,
        "http://10.0.0.1:80",
    )
    assert (endpoint.verdict, endpoint.outlier.errors) == (UNREACHABLE, 3)
