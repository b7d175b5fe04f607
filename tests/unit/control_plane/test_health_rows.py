"""Facts about a server's row of `/health`, and how it writes moments."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
import pytest

from proxy.control_plane.health import Moments, circuit_figures, row
from proxy.policy.health import Verdict
from proxy.registry.cluster import Cluster
from proxy.telemetry.elsewhere import Elsewhere
from tests.support.clusters import cluster_of

TWO: Final = "endpoints: [{url: 'http://a', weight: 2}, 'http://b']"


def row_of(cluster: Cluster, now: float = 100.0) -> dict[str, Any]:
    shown: dict[str, Any] = orjson.loads(row(cluster, Moments(now), Elsewhere()))
    return shown


def test_row_shows_the_server_and_each_endpoint() -> None:
    cluster, _ = cluster_of(TWO)

    shown = row_of(cluster)

    assert {key: shown[key] for key in shown.keys() - {"circuit", "endpoints"}} == {
        "namespace": "o",
        "status": "unknown",
        "usable": 2,
        "in_flight": 0,
        "queued": 0,
        "panics": 0,
    }
    assert shown["endpoints"][0] == {
        "url": "http://a:80",
        "weight": 2,
        "backup": False,
        "status": "unknown",
        "reason": "not probed yet",
        "since": None,
        "usable": True,
        "ejected": False,
        "in_flight": 0,
    }
    assert [each["url"] for each in shown["endpoints"]] == ["http://a:80", "http://b:80"]


def test_row_says_why_an_endpoint_is_out_and_since_when() -> None:
    cluster, _ = cluster_of(TWO)
    for _ in range(5):
        cluster.attempt_failed(cluster.endpoints[0], "upstream_closed", 90.0)

    shown = row_of(cluster)

    first = shown["endpoints"][0]
    assert (shown["usable"], first["status"], first["reason"], first["usable"]) == (
        1,
        "unhealthy",
        "5 calls in a row failed, last upstream_closed",
        False,
    )
    assert (first["ejected"], first["since"] is not None) == (True, True)


def test_row_shows_a_panic() -> None:
    cluster, _ = cluster_of(TWO)
    ejected, down = cluster.endpoints
    for _ in range(5):
        cluster.attempt_failed(ejected, "upstream_closed", 90.0)
    cluster.probed(down, Verdict.UNREACHABLE, "refused", 95.0)

    shown = row_of(cluster)

    assert (shown["panics"], shown["usable"], [each["usable"] for each in shown["endpoints"]]) == (
        1,
        1,
        [True, False],
    )


def test_row_counts_what_goes_on() -> None:
    cluster, _ = cluster_of(TWO)
    cluster.gate.try_enter()
    cluster.endpoints[1].active = 3

    shown = row_of(cluster)

    assert (shown["in_flight"], [each["in_flight"] for each in shown["endpoints"]]) == (1, [0, 3])


def test_row_does_not_tell_where_a_socket_lies() -> None:
    cluster, _ = cluster_of("endpoints: ['unix:/run/secret.sock']")

    assert row_of(cluster)["endpoints"][0]["url"] == "http://origin"


def test_circuit_is_shown_with_nine_figures_and_how_long_it_stays_open() -> None:
    cluster, _ = cluster_of(f"{TWO}, circuit: {{failures: 2, open_for: 30s}}")
    cluster.succeeded(cluster.endpoints[0], cluster.begin(80.0))
    cluster.attempt_failed(cluster.endpoints[0], "upstream_closed", 90.0)
    for _ in range(2):
        cluster.call_failed(cluster.begin(90.0), 90.0)

    figures = circuit_figures(cluster, Moments(100.0), Elsewhere())

    assert figures.pop("last_failure_time") is not None
    assert figures == {
        "state": "open",
        "failure_count": 2,
        "success_count": 0,
        "total_calls": 3,
        "total_failures": 2,
        "total_successes": 1,
        "failure_rate": 2 / 3,
        "state_changes": 1,
        "retry_after_s": 20.0,
    }


def test_circuit_that_never_failed_has_no_last_failure() -> None:
    cluster, _ = cluster_of(TWO)

    figures = circuit_figures(cluster, Moments(100.0), Elsewhere())

    assert (figures["last_failure_time"], figures["failure_rate"], figures["retry_after_s"]) == (
        None,
        0.0,
        0.0,
    )


@pytest.mark.parametrize("moment", [None, 0.0], ids=["none", "nought"])
def test_what_has_not_happened_has_no_moment(moment: float | None) -> None:
    assert Moments(100.0).written(moment) is None


def test_moment_is_written_in_utc_with_milliseconds() -> None:
    before = datetime.now(UTC)

    written = Moments(100.0).written(40.0)

    assert written is not None
    assert written.endswith("Z")
    assert written[-5] == "."
    ago = before - datetime.fromisoformat(written)
    assert abs(ago - timedelta(seconds=60)) < timedelta(seconds=10)


def test_moments_of_one_answer_agree() -> None:
    moments = Moments(100.0)

    assert moments.written(40.0) == moments.written(40.0)
