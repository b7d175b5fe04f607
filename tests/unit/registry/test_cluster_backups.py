"""Facts about backups: they get calls while no other endpoint can, and only then."""

from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from tests.support.clusters import cluster_of, server_of

BACKED = "endpoints: ['http://a', {url: 'http://b', backup: true}]"
NOW = 7.0


def in_use(cluster: Cluster) -> str:
    return "".join(each.address.host for each in cluster.usable)


def down(cluster: Cluster, at: int) -> None:
    cluster.probed(cluster.endpoints[at], Verdict.UNREACHABLE, "as the test says", NOW)


def test_backup_waits_while_another_is_up() -> None:
    cluster, _ = cluster_of(BACKED)

    assert in_use(cluster) == "a"


def test_backup_is_used_while_no_other_is_up() -> None:
    cluster, _ = cluster_of(BACKED)

    down(cluster, 0)
    assert in_use(cluster) == "b"

    for _ in range(2):
        cluster.probed(cluster.endpoints[0], Verdict.HEALTHY, "as the test says", NOW)
    assert in_use(cluster) == "a"


def test_second_try_goes_to_the_backup_where_all_others_have_failed() -> None:
    cluster, _ = cluster_of(BACKED)
    first, second = cluster.endpoints

    assert cluster.has_other(first)
    assert cluster.choose(None, NOW, (first,)) is second
    assert cluster.is_hopeful


def test_endpoint_beside_a_backup_is_ejected() -> None:
    cluster, heard = cluster_of(f"{BACKED}, outlier: {{consecutive_errors: 1}}")

    cluster.attempt_failed(cluster.endpoints[0], "upstream_closed", NOW)

    assert in_use(cluster) == "b"
    assert heard.told == ["http://a:80 unknown -> unhealthy"]


def test_endpoint_becomes_a_backup_by_a_reload() -> None:
    cluster, _ = cluster_of("endpoints: ['http://a', 'http://b']")
    assert in_use(cluster) == "ab"

    cluster.configure(server_of(BACKED), NOW)

    assert in_use(cluster) == "a"
