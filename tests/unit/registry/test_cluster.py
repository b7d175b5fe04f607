"""Facts about a cluster: who gets a call, what is kept and renewed, what names become."""

import pytest

from proxy import errors
from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from tests.support.clusters import ABC, cluster_of, server_of

UNHEALTHY, UNREACHABLE, HEALTHY = Verdict.UNHEALTHY, Verdict.UNREACHABLE, Verdict.HEALTHY


def probed(cluster: Cluster, at: int, result: Verdict, now: float = 7.0, times: int = 1) -> None:
    for _ in range(times):
        cluster.probed(cluster.endpoints[at], result, "as the test says", now)


def failed(cluster: Cluster, at: int, times: int, now: float = 7.0) -> Endpoint:
    endpoint = cluster.endpoints[at]
    for _ in range(times):
        cluster.attempt_failed(endpoint, "upstream_closed", now)
    return endpoint


def chosen(cluster: Cluster, times: int, key: bytes | None = None) -> str:
    """Where so many calls go, each still in flight when the next comes; by name."""
    hosts = []
    for _ in range(times):
        endpoint = cluster.choose(key, 7.0)
        endpoint.active += 1
        hosts.append(endpoint.address.host)
    return "".join(sorted(hosts))


# --- who gets a call ---

METHODS = ("least_request", "round_robin", "peak_ewma", "{hash: {header: x}}")


@pytest.mark.parametrize("method", METHODS)
def test_calls_in_flight_are_spread(method: str) -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: {method}")

    assert chosen(cluster, 6) == "aabbcc"


@pytest.mark.parametrize("method", METHODS)
def test_heavier_endpoint_gets_more(method: str) -> None:
    cluster, _ = cluster_of(
        f"endpoints: [{{url: 'http://a', weight: 3}}, 'http://b'], balance: {method}"
    )

    assert chosen(cluster, 8) == "aaaaaabb"


def test_slow_endpoint_gets_less_where_latency_counts() -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: peak_ewma")
    cluster.endpoints[0].latency.sample(0.2, 7.0)

    assert (cluster.measures, chosen(cluster, 6)) == (True, "bbbccc")


@pytest.mark.parametrize("method", ["round_robin", "{hash: {header: x}}"])
def test_latency_does_not_count_elsewhere(method: str) -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: {method}")
    cluster.endpoints[0].latency.sample(0.2, 7.0)

    assert (cluster.measures, chosen(cluster, 6)) == (False, "aabbcc")


def test_latency_is_measured_only_where_it_counts() -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: round_robin")
    before = cluster.measures

    cluster.configure(server_of(f"{ABC}, balance: peak_ewma"), 1.0)

    assert (before, cluster.measures) == (False, True)


def test_failed_attempt_is_what_latency_remembers() -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: peak_ewma")

    failed(cluster, 0, times=1)

    assert chosen(cluster, 4) == "bbcc"


def test_key_decides_where_there_is_one() -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: {{hash: {{header: x}}}}")

    assert len(set(chosen(cluster, 4, key=b"some key"))) == 1


@pytest.mark.parametrize(
    ("gone", "failing", "expected"),
    [
        pytest.param((), "a", "b", id="another"),
        pytest.param((), "a b", "c", id="the-last-one-not-tried"),
        pytest.param((), "a b c", "a", id="all-tried-not-the-last"),
        pytest.param((1, 2), "a", "a", id="no-other-usable"),
        pytest.param((0,), "b", "c", id="another-that-is-usable"),
    ],
)
def test_what_has_failed_is_not_chosen_while_another_is_usable(
    gone: tuple[int, ...], failing: str, expected: str
) -> None:
    cluster, _ = cluster_of(f"{ABC}, balance: round_robin")
    by_name = {each.address.host: each for each in cluster.endpoints}
    for at in gone:
        probed(cluster, at, UNREACHABLE)

    found = cluster.choose(None, 7.0, tuple(by_name[name] for name in failing.split()))

    assert found is by_name[expected]


# --- may it go at all ---


def test_nothing_usable_is_an_error_that_says_when_to_come_again() -> None:
    cluster, _ = cluster_of("endpoints: ['http://a'], health: {fast_interval: 4s}")
    probed(cluster, 0, UNHEALTHY)

    for ask in (cluster.check, cluster.begin, lambda now: cluster.choose(None, now)):
        with pytest.raises(errors.NoHealthyEndpointError, match="Backend server unhealthy: o") as e:
            ask(7.0)
        assert e.value.retry_after_s == 4


def test_open_circuit_is_an_error_that_says_when_to_come_again() -> None:
    cluster, heard = cluster_of(f"{ABC}, circuit: {{failures: 1, open_for: 9s}}")
    cluster.call_failed(cluster.begin(7.0), 7.0)

    with pytest.raises(errors.CircuitOpenError, match="Circuit open for o, retry in 7 s") as caught:
        cluster.check(9.5)

    assert (caught.value.retry_after_s, heard.told) == (7, ["circuit closed -> open"])


def test_asking_begins_no_trial() -> None:
    cluster, heard = cluster_of(f"{ABC}, circuit: {{failures: 1, open_for: 9s}}")
    cluster.call_failed(cluster.begin(7.0), 7.0)

    for _ in range(3):
        cluster.check(20.0)

    assert (cluster.circuit.state.value, heard.told) == ("open", ["circuit closed -> open"])


def test_trial_is_begun_judged_and_told_of() -> None:
    cluster, heard = cluster_of(f"{ABC}, circuit: {{failures: 1, open_for: 9s, successes: 1}}")
    cluster.call_failed(cluster.begin(7.0), 7.0)

    ticket = cluster.begin(20.0)
    with pytest.raises(errors.CircuitOpenError):
        cluster.begin(20.0)
    cluster.succeeded(cluster.endpoints[0], ticket)

    assert heard.told == [
        "circuit closed -> open",
        "circuit open -> half_open",
        "circuit half_open -> closed",
    ]


# --- what calls and probes have shown ---


def test_success_ends_a_run_of_errors() -> None:
    cluster, heard = cluster_of(ABC)
    endpoint = failed(cluster, 0, times=4)

    cluster.succeeded(endpoint, cluster.begin(7.0))
    failed(cluster, 0, times=4)

    assert (endpoint.usable, heard.told, heard.doubts) == (True, [], [endpoint] * 8)


def test_verdict_is_that_of_the_best_endpoint() -> None:
    cluster, _ = cluster_of(ABC)
    seen = [cluster.verdict]

    for at, result in ((0, HEALTHY), (0, UNREACHABLE), (1, UNHEALTHY), (2, UNREACHABLE)):
        probed(cluster, at, result, times=3)
        seen.append(cluster.verdict)
    probed(cluster, 1, UNREACHABLE)

    assert (seen, cluster.verdict, repr(cluster)) == (
        [Verdict.UNKNOWN, HEALTHY, Verdict.UNKNOWN, Verdict.UNKNOWN, UNHEALTHY],
        UNREACHABLE,
        "<Cluster o 0 of 3 usable>",
    )


def test_only_a_probe_that_changes_something_is_told() -> None:
    cluster, heard = cluster_of(ABC)

    for result in (HEALTHY, HEALTHY, UNREACHABLE, UNREACHABLE, UNREACHABLE, UNREACHABLE):
        probed(cluster, 0, result)

    assert heard.told == ["http://a:80 unknown -> healthy", "http://a:80 healthy -> unreachable"]


def test_probe_that_agrees_with_an_ejection_is_not_told() -> None:
    cluster, heard = cluster_of(ABC)
    failed(cluster, 0, times=5)

    probed(cluster, 0, UNHEALTHY)

    assert heard.told == ["http://a:80 unknown -> unhealthy"]


def test_endpoint_that_probes_took_out_is_not_ejected_as_well() -> None:
    cluster, _ = cluster_of(ABC)
    probed(cluster, 0, UNREACHABLE)

    endpoint = failed(cluster, 0, times=9)

    assert (endpoint.outlier.ejected, endpoint.outlier.errors) == (False, 9)


@pytest.mark.parametrize(
    ("hosts", "out"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (10, 5)], ids=str
)
def test_at_most_half_are_ejected_and_one_of_two_may_go(hosts: int, out: int) -> None:
    listed = ", ".join(f"http://h{number}" for number in range(hosts))
    cluster, _ = cluster_of(f"endpoints: [{listed}]")

    for at in range(hosts):
        failed(cluster, at, times=6)

    assert (hosts - len(cluster.usable), cluster.panics) == (out, 0)


def test_panic_undoes_ejections_and_nothing_else() -> None:
    cluster, heard = cluster_of("endpoints: ['http://a', 'http://b', 'http://c', 'http://d']")
    for at in (0, 1):
        failed(cluster, at, times=5)

    probed(cluster, 3, UNREACHABLE)

    assert ([each.address.host for each in cluster.usable], cluster.panics) == (["a", "b", "c"], 1)
    assert heard.told[-3:] == [
        "panic in o",
        "http://a:80 unhealthy -> unknown",
        "http://b:80 unhealthy -> unknown",
    ]


# --- time ---


def test_ejection_ends_with_its_time() -> None:
    cluster, heard = cluster_of(f"{ABC}, outlier: {{base_ejection: 5s}}, slow_start: 0")
    failed(cluster, 0, times=5)
    restless = set(heard.restless)

    more = [cluster.tick(now) for now in (7.1, 11.9, 12.0, 12.1)]

    assert (restless, more, len(cluster.usable)) == ({cluster}, [True, True, False, False], 3)


def test_endpoint_that_comes_back_is_ramped_up_evenly() -> None:
    cluster, heard = cluster_of(f"{ABC}, slow_start: 10s")
    probed(cluster, 0, UNREACHABLE)
    probed(cluster, 0, HEALTHY, now=100.0, times=2)
    weights = [round(cluster.endpoints[0].weight, 2)]

    more = []
    for now in (100.5, 102.0, 105.0, 110.0):
        more.append(cluster.tick(now))
        weights.append(round(cluster.endpoints[0].weight, 2))

    assert (weights, more) == ([0.1, 0.1, 0.2, 0.5, 1.0], [True, True, True, False])
    assert ([each.weight for each in cluster.endpoints[1:]], heard.restless) == (
        [1.0, 1.0],
        {cluster},
    )


def test_endpoints_of_the_first_table_have_their_full_weight() -> None:
    cluster, heard = cluster_of("endpoints: [{url: 'http://a', weight: 5}, 'http://b']")

    assert ([each.weight for each in cluster.endpoints], heard.restless) == ([5.0, 1.0], set())


def test_endpoint_that_a_reload_brings_is_ramped_up() -> None:
    cluster, _ = cluster_of("endpoints: ['http://a']")

    cluster.configure(server_of("endpoints: ['http://a', {url: 'http://b', weight: 4}]"), 50.0)

    assert [each.weight for each in cluster.endpoints] == [1.0, 0.4]
