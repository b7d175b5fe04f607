"""Facts about a cluster that changes: what a reload keeps, what names become, who has room."""

import pytest

from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.model import Server
from tests.support.clusters import ABC, NAME, cluster_of, server_of, urls
from tests.support.witness import Heard

# --- a reload ---


def test_reload_keeps_what_was_learnt_and_gives_what_is_gone() -> None:
    cluster, _ = cluster_of(ABC)
    a, b, c = cluster.endpoints
    cluster.probed(b, Verdict.UNREACHABLE, "refused", 7.0)

    removed = cluster.configure(server_of("endpoints: ['http://b', 'http://d']"), 50.0)

    assert (removed, [each.gone for each in (a, b, c)], [each.usable for each in (a, b, c)]) == (
        [a, c],
        [True, False, True],
        [False, False, False],
    )
    assert (
        cluster.endpoints[0],
        urls(cluster),
        [each.address.host for each in cluster.usable],
    ) == (
        b,
        ["http://b:80", "http://d:80"],
        ["d"],
    )


def test_reload_changes_a_weight_at_once() -> None:
    cluster, _ = cluster_of(ABC)
    endpoint = cluster.endpoints[0]

    cluster.configure(server_of(ABC.replace("'http://a'", "{url: 'http://a', weight: 7}")), 50.0)

    assert (cluster.endpoints[0] is endpoint, endpoint.weight, endpoint.full_weight) == (
        True,
        7.0,
        7.0,
    )


def test_address_that_is_given_twice_is_one_endpoint() -> None:
    cluster, _ = cluster_of("endpoints: ['http://a', 'http://a:80']")

    assert urls(cluster) == ["http://a:80"]


def test_retired_cluster_gives_up_all_its_endpoints() -> None:
    cluster, _ = cluster_of(ABC)

    gone = cluster.retire()

    assert (gone, [each.gone for each in gone]) == (list(cluster.endpoints), [True] * 3)


def test_retired_cluster_stays_retired_when_time_passes() -> None:
    cluster, heard = cluster_of(ABC)
    for _ in range(5):
        cluster.attempt_failed(cluster.endpoints[0], "upstream_closed", 7.0)
    cluster.retire()
    heard.told.clear()

    more = cluster.tick(50.0)

    assert ([each.usable for each in cluster.endpoints], heard.told, more) == (
        [False] * 3,
        [],
        False,
    )


# --- names ---


def test_name_is_one_endpoint_until_it_is_answered() -> None:
    cluster, _ = cluster_of(NAME)

    assert (urls(cluster), cluster.names) == (["http://svc:80"], {"svc"})


@pytest.mark.parametrize(
    "address", ["http://10.0.0.1", "'http://[::1]:8'", "http://localhost", "'unix:/run/x.sock'"]
)
def test_address_that_is_no_name_need_not_be_asked_for(address: str) -> None:
    cluster, _ = cluster_of(f"endpoints: [{address}]")

    assert cluster.names == set()


def test_every_address_of_a_name_is_an_endpoint() -> None:
    cluster, _ = cluster_of(NAME)

    removed = cluster.resolved("svc", ("10.0.0.1", "10.0.0.2", "fd00::3"), 50.0)

    assert (urls(cluster), removed) == (
        ["http://10.0.0.1:80", "http://10.0.0.2:80", "http://[fd00::3]:80"],
        [],
    )
    assert {each.host for each in cluster.endpoints} == {b"svc"}


def test_first_answer_takes_the_unresolved_endpoints_place_and_keeps_what_was_learnt() -> None:
    cluster, _ = cluster_of(NAME)
    (before,) = cluster.endpoints
    before.outlier.errors = 3
    seed = before.seed

    cluster.resolved("svc", ("10.0.0.1", "10.0.0.2"), 50.0)

    after = cluster.endpoints[0]
    assert (after is before, after.outlier.errors, after.gone, after.seed != seed) == (
        True,
        3,
        False,
        True,
    )


def test_same_answer_changes_nothing() -> None:
    cluster, heard = cluster_of(NAME)
    cluster.resolved("svc", ("10.0.0.1", "10.0.0.2"), 50.0)
    before, heard.restless = cluster.endpoints, set()

    assert (cluster.resolved("svc", ("10.0.0.1", "10.0.0.2"), 60.0), heard.restless) == ([], set())
    assert cluster.endpoints is before


def test_new_answer_keeps_who_stays_and_gives_who_is_gone() -> None:
    cluster, _ = cluster_of(NAME)
    cluster.resolved("svc", ("10.0.0.1", "10.0.0.2"), 50.0)
    one, two = cluster.endpoints

    removed = cluster.resolved("svc", ("10.0.0.2", "10.0.0.3"), 90.0)

    assert (removed, one.gone, cluster.endpoints[0] is two) == ([one], True, True)
    assert [each.weight for each in cluster.endpoints] == [1.0, 0.1]


def test_answers_survive_a_reload() -> None:
    cluster, _ = cluster_of(NAME)
    cluster.resolved("svc", ("10.0.0.1", "10.0.0.2"), 50.0)
    before = cluster.endpoints

    removed = cluster.configure(server_of(f"{NAME}, timeout: 3s"), 60.0)

    assert (cluster.endpoints, removed) == (before, [])


def test_name_at_two_ports_is_answered_once() -> None:
    cluster, _ = cluster_of("endpoints: ['http://svc:1', 'http://svc:2/base', 'http://b']")

    cluster.resolved("svc", ("10.0.0.1",), 50.0)

    assert urls(cluster) == ["http://10.0.0.1:1", "http://10.0.0.1:2/base", "http://b:80"]


def test_endpoints_of_a_names_first_answer_share_the_load_at_once() -> None:
    cluster, _ = cluster_of(NAME)

    cluster.resolved("svc", ("10.0.0.1", "10.0.0.2", "10.0.0.3"), 0.1)

    assert [each.weight for each in cluster.endpoints] == [1.0, 1.0, 1.0]


# --- turns ---


def room(spec: Server) -> tuple[int, int, int]:
    gate = Cluster(spec, Heard()).gate
    return gate.most_busy, gate.most_pending, gate.most_requests


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("tls: null", (128, 256, 1024), id="by-default"),
        pytest.param(
            "limits: {max_connections: 7, max_pending: 8, max_requests: 9}", (7, 8, 9), id="given"
        ),
        pytest.param(
            "upstream_dependencies: {concurrency_safe: false}", (1, 256, 1024), id="unsafe"
        ),
    ],
)
def test_room_is_as_configured(more: str, expected: tuple[int, int, int]) -> None:
    assert room(server_of(f"{ABC}, {more}")) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("tls: null", 1.0, id="by-default"),
        pytest.param("limits: {queue_timeout: 3s}", 3.0, id="given"),
        pytest.param("upstream_dependencies: {concurrency_safe: false}", None, id="unsafe"),
        pytest.param(
            "limits: {queue_timeout: 3s}, upstream_dependencies: {concurrency_safe: false}",
            3.0,
            id="unsafe-and-given",
        ),
    ],
)
def test_call_waits_so_long_for_its_turn(more: str, expected: float | None) -> None:
    cluster, _ = cluster_of(f"{ABC}, {more}")

    assert cluster.queue_timeout_s == expected


def test_gate_of_a_tool_is_one_and_is_kept_while_the_tool_is() -> None:
    tools = f"{ABC}, tools: [{{name: t}}, {{name: u}}]"
    cluster, _ = cluster_of(tools)
    gate = cluster.serial_gate("t")

    cluster.configure(server_of(f"{tools}, limits: {{max_pending: 3}}"), 50.0)
    kept = (cluster.serial_gate("t") is gate, gate.most_busy, gate.most_pending)
    cluster.configure(server_of(f"{ABC}, tools: [{{name: u}}]"), 60.0)

    assert (kept, cluster.serial_gate("t") is gate) == ((True, 1, 3), False)


def test_queue_is_counted_over_the_server_and_its_tools() -> None:
    cluster, _ = cluster_of(ABC)

    class Waiter:
        def done(self) -> bool:
            return False

        def set_result(self, _: None, /) -> None:
            raise AssertionError

    for gate in (cluster.gate, cluster.serial_gate("t"), cluster.serial_gate("t")):
        gate.line_up(Waiter())

    assert cluster.queued == 3
